"""Find the landings that the source of a report names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.report.window import Window
from airflow_provider_predictions.storage.errors import named
from airflow_provider_predictions.storage.landed import Landed, Span
from airflow_provider_predictions.storage.landings import newest, of_manifest, under
from airflow_provider_predictions.storage.manifest import MANIFEST

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath


def landings(
    source: Iterable[Any], make_path: Callable[[str], ObjectStoragePath], window: Window
) -> list[Landed]:
    """Find the landings of a source, each once, in the order of their commits.

    Commits under an incremental path that are older than the window may be left out.

    :param source: manifests, their URLs, paths of landings, and directories above some.
    :raises ConfigurationError: if nothing has landed there.
    """
    found: dict[tuple[str, int, str | None], Landed] = {}
    for given in source:
        with named("source"):
            for landed in _landings(given, make_path, window.span):
                landed.check_shape("source")  # also of those that are not read
                found.setdefault(landed.key, landed)
    return sorted(found.values(), key=attrgetter("order"))


def _landings(given: Any, make_path: Callable[[str], ObjectStoragePath], span: Span) -> list[Landed]:
    if isinstance(given, Mapping):
        if "path" not in given:
            raise ConfigurationError("source: holds an object that is no manifest: it has no path")
        path = make_path(str(given["path"]))
        if "parts" not in given:
            return under(path, span)
        return [replace(of_manifest(given, path), is_given=True)]
    text = str(given)
    if text.endswith(f"/{MANIFEST}"):
        return [newest(make_path(text.removesuffix(f"/{MANIFEST}")))]
    return under(make_path(text), span)
