"""What paths, sources, tables and periods may be."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import PurePath
from typing import Annotated, Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException, ObjectStoragePath
from pydantic import AfterValidator

from airflow_provider_predictions._compat import attached_schemes
from airflow_provider_predictions.api.coercion import BRACKETS, given, parsed, short
from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.wording import Log
from airflow_provider_predictions.report.window import CALENDAR, make_zone, no_period
from airflow_provider_predictions.storage.manifest import MANIFEST

A_PATH = "s3://aws_default@bucket/predictions"
NO_SOURCE = f"is empty; give a manifest, or a URL such as {A_PATH}"
LOCAL = ("file", "local")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CONNECTION = re.compile(r"^[^/@]*@")
"""The connection in a local URL."""
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)
_LAST_IS_TEMPLATE = re.compile(r"/\{\{[^{}]*\}\}\s*\Z")
_ONE_BRACE = re.compile(r"(?<!\{)\{[A-Za-z_][\w.]*\}(?!\})")
_SEVERAL = re.compile(r"""[\[({]\s*['"]""")
_TABLE = re.compile(r"[^.\s]+(\.[^.\s]+)+")
EXTRAS = {
    "s3": (("s3", "s3a", "s3n"), "s3fs", "airflow.providers.amazon"),
    "gcs": (("gs", "gcs"), "gcsfs", "airflow.providers.google"),
    "azure": (("abfs", "abfss", "adl"), "adlfs", "airflow.providers.microsoft.azure"),
}
"""The schemes of each extra, and the modules that it installs."""


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of a package above it
        return False


# At import, so that parsing a DAG does not look for modules again for each path.
_LACKING = {
    scheme: extra
    for extra, (schemes, *modules) in EXTRAS.items()
    if not all(map(_is_installed, modules))
    for scheme in schemes
}


def checked_path(path: object) -> str:
    """The text of a path, checked without access to any storage.

    :raises ValueError: for what is not a whole path or URL.
    """
    if not isinstance(path, str | PurePath | ObjectStoragePath):
        raise ValueError("must be a URL or a path")
    text = str(path).strip()
    if not text:
        raise ValueError(f"is empty; give a URL such as {A_PATH}")
    if _CONTROL.search(text):
        raise ValueError("holds a control character, such as a line end or a tab")
    if "::" in text:  # fsspec would read another path
        raise ValueError("holds ::, which chains URLs; give a path without it")
    if not (url := _URL.fullmatch(text)):
        if text.startswith("~"):
            raise ValueError("starts with ~, which only a shell expands; write the whole path: /home/name/…")
        if not text.startswith("/"):
            raise ValueError(
                "is relative to the directory of whatever worker runs the task; write the whole path, such "
                f"as /data/predictions, or a URL such as {A_PATH}"
            )
        return _require_directory(text, text)
    scheme, rest = url["scheme"].lower(), url["rest"]
    if scheme in LOCAL:
        local = _CONNECTION.sub("", rest)
        if not local.startswith("/"):
            raise ValueError(f"has a host; a local path is written {scheme}:///data/predictions")
        return _require_directory(local, text)
    for mark, what in {"?": "parameters such as versionId", "#": "a fragment"}.items():
        if mark in rest:
            raise ConfigurationError(f"holds a {mark}, after which stores read {what}; leave it out")
    # s3fs would list s3://bucket/a instead of s3://bucket//a.
    if rest.partition("/")[2].startswith("/"):
        raise ConfigurationError("has two slashes after the bucket; leave one out")
    if ":" in rest.partition("/")[0].rpartition("@")[0]:
        raise ValueError(f"holds a password; name a connection in the URL, such as {A_PATH}")
    if not rest.partition("/")[0].rpartition("@")[2]:
        raise ValueError(f"names no bucket; give a URL such as {A_PATH}")
    if (extra := _LACKING.get(scheme)) and scheme not in attached_schemes():
        raise ConfigurationError(_not_installed(scheme, extra))
    return text


def _require_directory(local: str, text: str) -> str:
    """The text of a local path that begins with one slash and is not the root."""
    if local.startswith("//"):
        raise ValueError("has a slash too many in front; a local path is written file:///data/predictions")
    if not local.strip("/"):
        raise ValueError("is the root of the file system; name a directory")
    return text


StoragePath = Annotated[Any, AfterValidator(checked_path)]


def _literal(value: Any) -> Any:
    """The value that a text shows, if it starts with a bracket."""
    return parsed(value) if isinstance(value, str) and value.startswith(BRACKETS) else value


def _checked_source(source: Any, where: str = "") -> list[Any]:
    """Manifests and URLs, as one flat list.

    :param where: the item of a list, for messages.
    """
    value = _literal(given(source))
    if value is None:
        raise ValueError(f"{where}is nothing; its task may have been skipped" if where else NO_SOURCE)
    if isinstance(value, Mapping):
        return [value]
    if isinstance(value, str | PurePath | ObjectStoragePath):
        try:
            return [checked_path(value)]
        except ValueError as error:
            raise ValueError(f"{where}{error}") from None
    if not isinstance(value, Iterable):
        raise ValueError(f"{where}must be manifests or URLs; found {type(value).__name__}")
    items = [found for n, item in enumerate(value, 1) for found in _checked_source(item, f"item {n} ")]
    if not (items or where):
        raise ValueError(NO_SOURCE)
    return items


def _checked_manifest(manifest: Any) -> Any:
    value = _literal(manifest)
    if not value:
        raise ValueError("is empty; give the output of a landing task")
    if isinstance(value, Mapping):
        return value
    if not str(value).endswith(f"/{MANIFEST}"):
        raise ValueError(f"must be a manifest, or the URL of one, which ends in /{MANIFEST}")
    return checked_path(value)


def _checked_table(table: object) -> str:
    if not isinstance(table, str) or not _TABLE.fullmatch(table):
        raise ValueError("must be a namespace and a name, such as documents.invoices")
    return table


def _checked_catalog(catalog: Any) -> str | Mapping[str, Any]:
    found = _literal(catalog)
    if not isinstance(found, str | Mapping) or not found or "://" in found:
        raise ValueError("must be the id of an Iceberg connection, or a mapping of pyiceberg's properties")
    return found


def _checked_period(period: Any) -> Any:
    found = _literal(period)
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


def path_of(path: str, log: Log, before: object = "") -> ObjectStoragePath:
    """A path in a storage that can be opened here. One that looks like a mistake is worth a warning.

    :param before: the path in the DAG, before rendering.
    :raises ConfigurationError: if the storage cannot be opened.
    """
    if doubt := _doubt(path, str(before)):
        log.warning("path: %s holds %s", path, doubt)
    return storage_path(path)


def _doubt(path: str, before: str) -> str:
    """What in a path looks like a template that rendered to nothing, or was never rendered."""
    _, _, rest = path.rpartition("://")
    nothing = "a template in it may have rendered to nothing"
    parts = [part.rpartition("=")[2] for part in rest.split("/")]  # team=None, as Hive names directories
    for word in {"None", "null"}.intersection(parts):
        return f"a directory named {word}; {nothing}"
    is_cut = rest.endswith("/") and _LAST_IS_TEMPLATE.search(before)
    if is_cut or (before != path and ("//" in rest or "=/" in f"{rest}/")):
        return f"a directory without a name; {nothing}"
    if braces := _ONE_BRACE.search(rest):
        return f"{braces[0]}, which is no template; write two braces on each side"
    if _SEVERAL.search(rest):
        return "the text of a list or a dict; a template in it may have rendered to more than one value"
    return ""


def doubt_of_table(table: str) -> str:
    """What in the name of a table looks like a template that rendered to nothing; empty if nothing does."""
    for word in sorted({"None", "null"}.intersection(table.split("."))):
        return f"a part named {word}; a template in it may have rendered to nothing"
    return ""


def storage_path(path: str, argument: str = "path") -> ObjectStoragePath:
    """A path in a storage that can be opened here.

    :param argument: the one that holds the path, for the message.
    :raises AirflowNotFoundException: if there is no such connection.
    :raises ConfigurationError: if the storage cannot be opened.
    """
    try:
        found = ObjectStoragePath(path)
        _ = found.fs
    except AirflowNotFoundException as error:
        where = short(path)[1:-1]
        raise AirflowNotFoundException(f"{argument}: {where} cannot be opened ({error})") from None
    except (ValueError, ImportError) as error:
        scheme = path.partition("://")[0]
        extra = _LACKING.get(scheme)
        what = _not_installed(scheme, extra) if extra else f"{scheme}:// cannot be opened here"
        raise ConfigurationError(f"{argument}: {what} ({error})") from error
    return found


def _not_installed(scheme: str, extra: str) -> str:
    return f"{scheme}:// needs the extra {extra}: pip install 'airflow-provider-predictions[{extra}]'"
