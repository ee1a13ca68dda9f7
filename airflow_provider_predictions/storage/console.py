"""URLs of objects, for browsers and for engines without Airflow."""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import quote

from airflow.providers.common.compat.sdk import ObjectStoragePath

S3 = "https://console.aws.amazon.com/s3/object/{bucket}?prefix={key}"
GCS = "https://console.cloud.google.com/storage/browser/_details/{bucket}/{key}"


def console_url(path: ObjectStoragePath, template: str = "") -> str | None:
    """The page of an object in the console of its storage, if that is known.

    Amazon S3 and Google Cloud Storage have a console. S3 servers of other vendors need a template. So does
    Azure's portal: its address of an object holds more than the object's URL.

    :param template: the URL of the page, with ``{bucket}`` and ``{key}`` for the percent-encoded names.
    """
    if template.startswith(("https://", "http://")):
        names = {"{bucket}": bucket_of(path), "{key}": path.key}
        return re.sub(r"\{bucket\}|\{key\}", lambda found: quote(names[found[0]], safe=""), template)
    if path.protocol in ("s3", "s3a", "s3n") and not _endpoint(path.fs):
        return S3.format(bucket=bucket_of(path), key=quote(path.key, safe=""))
    if path.protocol in ("gs", "gcs") and not getattr(path.fs, "_endpoint", None):
        return GCS.format(bucket=bucket_of(path), key=quote(path.key))
    return None


def plain_url(path: ObjectStoragePath) -> str:
    """The URL of an object without Airflow's connection. For a local file, its path."""
    if path.protocol in ("", "file", "local"):
        return path.path
    host = bucket_of(path)
    if path.protocol in ("abfs", "abfss", "adl"):
        return f"abfss://{host}@{path.fs.account_name}.dfs.core.windows.net/{path.key}"
    scheme = {"s3a": "s3", "s3n": "s3", "gcs": "gs"}.get(path.protocol, path.protocol)
    return f"{scheme}://{host}/{path.key}"


def bucket_of(path: ObjectStoragePath) -> str:
    """The bucket or container. Airflow before 3.3 leaves the connection id in front of it."""
    return str(path.bucket).rpartition("@")[2]


def _endpoint(fs: Any) -> str | None:
    given = (
        getattr(fs, "endpoint_url", None),
        fs.client_kwargs.get("endpoint_url"),
        os.environ.get("AWS_ENDPOINT_URL_S3"),
        os.environ.get("AWS_ENDPOINT_URL"),
    )
    return next(filter(None, given), None)
