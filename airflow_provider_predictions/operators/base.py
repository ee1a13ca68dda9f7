"""Pages go somewhere: the same for every service."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from airflow.providers.common.compat.sdk import Context, ObjectStoragePath

from airflow_provider_predictions.api.arguments import words
from airflow_provider_predictions.api.client import Client
from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.models import Page, Prediction
from airflow_provider_predictions.hooks.base import airflow_errors
from airflow_provider_predictions.storage.manifest import commit, manifest, prepare
from airflow_provider_predictions.storage.writer import SUFFIXES, write_parts
from airflow_provider_predictions.tasks.base import PredictionsTask, is_template

MEBIBYTE = 1024 * 1024


class ListPredictionsOperator(PredictionsTask):
    """Push predictions to XCom, as a list of dicts, each as the service sent it.

    :param fields: only these top-level fields of each record, null where a record has none; a list or
        comma-separated text (templated).
    :param max_xcom_bytes: fail, before anything is pushed, when the JSON is larger; None for no limit.
    """

    template_fields: Sequence[str] = ("fields",)

    def __init__(
        self,
        *,
        fields: Sequence[str] | str | None = None,
        max_xcom_bytes: int | None = MEBIBYTE,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.fields = fields
        self.max_xcom_bytes = max_xcom_bytes
        if max_xcom_bytes is not None and max_xcom_bytes < 1:
            raise ConfigurationError(f"max_xcom_bytes: must be at least 1, or None; found {max_xcom_bytes}")

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """List, and return what is pushed."""
        with airflow_errors():
            filters = self.filters()
            with self.hook.get_conn() as client:
                texts = list(self._within_limit(client.pages(client.service.walk(filters))))
        self.log.info("%s: %d predictions in %d requests", self.hook.hook_name, len(texts), client.requests)
        # Python's json, unlike msgspec, takes whatever number a service sends.
        return [json.loads(text) for text in texts]

    def _within_limit(self, pages: Iterable[Page]) -> Iterator[bytes]:
        size = len("[]")
        for page in pages:
            for prediction in page.predictions:
                text = self._project(prediction)
                size += len(text) + len(",")
                if self.max_xcom_bytes is not None and size > self.max_xcom_bytes:
                    raise ConfigurationError(
                        f"max_xcom_bytes: the predictions are larger than {self.max_xcom_bytes} bytes. "
                        f"Land them with {self._landing_name}, choose fields, or narrow the filters"
                    )
                yield text

    def _project(self, prediction: Prediction) -> bytes:
        if self.fields is None:
            return prediction.raw
        given = msgspec.json.decode(prediction.raw, type=dict[str, msgspec.Raw])
        return msgspec.json.encode({name: given.get(name) for name in words(self.fields)})

    @property
    def _landing_name(self) -> str:
        return type(self).__name__.replace("ListPredictions", "PredictionsToObjectStorage")


class PredictionsToObjectStorageOperator(PredictionsTask):
    """Land predictions in object storage, byte for byte, and push the manifest to XCom.

    Writes JSON Lines to ``part-00000.jsonl`` and so on under ``path``, and last, as the commit,
    ``_manifest.json``: without one, what lies there is not complete. The same task run again replaces it.

    :param path: a directory as an ``ObjectStoragePath`` URL, such as
        ``s3://aws_default@bucket/predictions/{{ ds }}`` (templated). One landing each.
    :param file_format: ``jsonl``.
    :param compression: None or ``gzip``.
    :param records_per_part: how many records one object holds at most.
    """

    template_fields: Sequence[str] = ("path",)
    fetch_values = False

    def __init__(
        self,
        *,
        path: str | ObjectStoragePath,
        file_format: str = "jsonl",
        compression: str | None = None,
        records_per_part: int = 100_000,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.file_format = file_format
        self.compression = compression
        self.records_per_part = records_per_part
        if file_format != "jsonl":
            raise ConfigurationError(f"file_format: must be 'jsonl'; found {file_format!r}")
        if compression not in SUFFIXES:
            raise ConfigurationError(f"compression: must be None or 'gzip'; found {compression!r}")
        if records_per_part < 1:
            raise ConfigurationError(f"records_per_part: must be at least 1; found {records_per_part}")
        if not is_template(path):
            self._checked_path()

    def execute(self, context: Context) -> dict[str, Any]:
        """Land, and return the manifest."""
        with airflow_errors():
            filters = self.filters()
            path = self._checked_path()
            self._require_filesystem(path)
            with self.hook.get_conn() as client:
                prepare(path)
                parts, totals = write_parts(
                    self._pages(client, filters),
                    path,
                    compression=self.compression,
                    records_per_part=self.records_per_part,
                )
        content = manifest(
            path,
            parts,
            totals,
            requests=client.requests,
            service=client.service.name,
            format=self.file_format,
            compression=self.compression,
        )
        commit(path, content)
        self.log.info(
            "%s: %d predictions in %d parts under %s, %d requests",
            self.hook.hook_name,
            totals.count,
            len(parts),
            path,
            client.requests,
        )
        return content

    def _pages(self, client: Client, filters: Any) -> Iterator[Page]:
        for page in client.pages(client.service.walk(filters)):
            if self.fetch_values:
                yield Page(tuple(map(client.with_values, page.predictions)), page.duplicates)
            else:
                yield page

    def _checked_path(self) -> ObjectStoragePath:
        if not str(self.path).strip():
            raise ConfigurationError("path: is empty; give a URL such as s3://aws_default@bucket/predictions")
        return ObjectStoragePath(str(self.path))

    @staticmethod
    def _require_filesystem(path: ObjectStoragePath) -> None:
        try:
            _ = path.fs
        except (ValueError, ImportError) as error:
            raise ConfigurationError(
                f"path: {path.protocol}:// cannot be opened here: {error}. "
                "Install the extra s3, gcs or azure of airflow-provider-predictions"
            ) from error
