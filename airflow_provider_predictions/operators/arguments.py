"""What a path can be, and how a landing's manifest says what it was narrowed to."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from importlib.util import find_spec
from pathlib import PurePath
from typing import Annotated, Any

from airflow.providers.common.compat.sdk import ObjectStoragePath
from pydantic import AfterValidator

from airflow_provider_predictions._compat import attached_schemes
from airflow_provider_predictions.api.arguments import Filters
from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.given import BRACKETS, given, shown
from airflow_provider_predictions.api.incremental import Ledger
from airflow_provider_predictions.api.waiting import Log
from airflow_provider_predictions.report.window import CALENDAR, make_zone, no_period
from airflow_provider_predictions.storage.manifest import MANIFEST

A_PATH = "s3://aws_default@bucket/predictions"
LOCAL = ("file", "local")
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)
_TABLE = re.compile(r"[^.\s]+(\.[^.\s]+)+")
EXTRAS = {
    "s3": (("s3", "s3a", "s3n"), "s3fs", "airflow.providers.amazon"),
    "gcs": (("gs", "gcs"), "gcsfs", "airflow.providers.google"),
    "azure": (("abfs", "abfss", "adl"), "adlfs", "airflow.providers.microsoft.azure"),
}
"""Of each extra its schemes, and the modules that it installs."""


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of a package above it
        return False


# Once, since no path is to make a task look for files while the DAG is parsed.
_LACKING = {
    scheme: extra
    for extra, (schemes, *modules) in EXTRAS.items()
    if not all(map(_is_installed, modules))
    for scheme in schemes
}


def checked_path(path: object) -> str:
    """The text of a path, checked without a look at any storage.

    :raises ConfigurationError: where it is no whole path or URL.
    """
    if not isinstance(path, str | PurePath | ObjectStoragePath):
        raise ValueError("must be a URL or a path")
    text = str(path).strip()
    if not text:
        raise ValueError(f"is empty; give a URL such as {A_PATH}")
    if not (url := _URL.fullmatch(text)):
        if text.startswith("~"):
            raise ValueError("starts with ~, which only a shell expands; write the whole path: /home/name/…")
        if not text.startswith("/"):
            raise ValueError(
                "is relative to the directory of whatever worker runs the task; write the whole path, such "
                f"as /data/predictions, or a URL such as {A_PATH}"
            )
        return text
    scheme, rest = url["scheme"].lower(), url["rest"]
    if scheme in LOCAL:
        if not rest.startswith("/"):
            raise ValueError(f"has a host; a local path is written {scheme}:///data/predictions")
        return text
    for mark, what in {"?": "parameters such as versionId", "#": "a fragment"}.items():
        if mark in rest:
            raise ConfigurationError(f"path: holds a {mark}, after which stores read {what}; leave it out")
    # s3fs would list s3://bucket/a in the place of s3://bucket//a.
    if rest.partition("/")[2].startswith("/"):
        raise ConfigurationError("path: has two slashes after the bucket; leave one out")
    if not rest.partition("/")[0].rpartition("@")[2]:
        raise ValueError(f"names no bucket; give a URL such as {A_PATH}")
    if (extra := _LACKING.get(scheme)) and scheme not in attached_schemes():
        raise ConfigurationError(f"path: {_not_installed(scheme, extra)}")
    return text


StoragePath = Annotated[Any, AfterValidator(checked_path)]


def _checked_source(source: Any, where: str = "") -> list[Any]:
    """Manifests and URLs, flat.

    :param where: the item of a list, for messages.
    """
    value = given(source)
    if isinstance(value, str) and value.startswith(BRACKETS):
        value = shown(value)
    if value is None and where:
        raise ValueError(f"{where}is nothing; its task may have been skipped")
    if value is None:
        raise ValueError(f"is empty; give a manifest, or a URL such as {A_PATH}")
    if isinstance(value, Mapping):
        return [value]
    if isinstance(value, str | PurePath | ObjectStoragePath):
        try:
            return [checked_path(value)]
        except ValueError as error:
            raise ValueError(f"{where}{str(error).removeprefix('path: ')}") from None
    if not isinstance(value, Iterable):
        raise ValueError(f"{where}must be manifests or URLs; found {type(value).__name__}")
    items = [found for n, item in enumerate(value, 1) for found in _checked_source(item, f"item {n} ")]
    if not (items or where):
        raise ValueError(f"is empty; give a manifest, or a URL such as {A_PATH}")
    return items


def _checked_manifest(manifest: Any) -> Any:
    """A manifest, or the URL of one."""
    value = shown(manifest) if isinstance(manifest, str) and manifest.startswith("{") else manifest
    if not value:
        raise ValueError("is empty; give the output of a landing task")
    if isinstance(value, Mapping):
        return value
    if not str(value).endswith(f"/{MANIFEST}"):
        raise ValueError(f"must be a manifest, or the URL of one, which ends in /{MANIFEST}")
    try:
        return checked_path(value)
    except ConfigurationError as error:
        raise ConfigurationError(str(error).removeprefix("path: ")) from None


def _checked_table(table: object) -> str:
    if not isinstance(table, str) or not _TABLE.fullmatch(table):
        raise ValueError("must be a namespace and a name, such as documents.invoices")
    return table


def _checked_catalog(catalog: Any) -> str | Mapping[str, Any]:
    found = shown(catalog) if isinstance(catalog, str) and catalog.startswith("{") else catalog
    if not isinstance(found, str | Mapping) or not found:
        raise ValueError("must be the id of an Iceberg connection, or a mapping of pyiceberg's properties")
    return found


def _checked_period(period: Any) -> Any:
    found = shown(period) if isinstance(period, str) and period.startswith(BRACKETS) else period
    is_pair = isinstance(found, list | tuple) and len(found) == 2
    if not (is_pair or found in CALENDAR):
        raise no_period(found)
    return found if isinstance(found, str) else tuple(found)


IcebergManifest = Annotated[Any, AfterValidator(_checked_manifest)]
IcebergTable = Annotated[Any, AfterValidator(_checked_table)]
IcebergCatalog = Annotated[Any, AfterValidator(_checked_catalog)]
Source = Annotated[Any, AfterValidator(_checked_source)]
ReportPeriod = Annotated[Any, AfterValidator(_checked_period)]
Timezone = Annotated[Any, AfterValidator(make_zone), AfterValidator(str)]


def path_of(path: str, log: Log) -> ObjectStoragePath:
    """A checked path, whose storage can be reached from here.

    :param log: of the task.
    :raises ConfigurationError: where it cannot.
    """
    if "None" in path.split("/"):
        log.warning("path: %s holds a directory named None; a template in it may have come to nothing", path)
    found = ObjectStoragePath(path)
    try:
        _ = found.fs
    except (ValueError, ImportError) as error:
        extra = next((name for name, (schemes, *_) in EXTRAS.items() if found.protocol in schemes), None)
        what = (
            _not_installed(found.protocol, extra) if extra else f"{found.protocol}:// cannot be opened here"
        )
        raise ConfigurationError(f"path: {what} ({error})") from error
    return found


def _not_installed(scheme: str, extra: str) -> str:
    return f"{scheme}:// needs the extra {extra}: pip install 'airflow-provider-predictions[{extra}]'"


def narrowing(filters: Filters, ledger: Ledger | None) -> dict[str, Any]:
    """What narrows a landing, as its manifest says it; an incremental one takes finished predictions only."""
    asked_for = filters.model_dump(mode="json", exclude={"page_size", "order"}, exclude_none=True)
    statuses: Collection[str] | None = filters.statuses
    if ledger:
        asked = ledger.terminal if ledger.statuses is None else ledger.statuses
        statuses = set(asked).intersection(ledger.terminal)
    return asked_for | {"statuses": None if statuses is None else sorted(statuses)}
