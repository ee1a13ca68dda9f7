"""List and land the predictions of VLM Run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_predictions.operators.landing import PredictionsToObjectStorageOperator
from airflow_provider_predictions.operators.listing import ListPredictionsOperator
from airflow_provider_predictions.tasks.vlmrun import VlmRunTask

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date, datetime, timedelta
    from typing import Literal, Unpack

    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_predictions._compat import Ref, RetryPolicy
    from airflow_provider_predictions.tasks.airflow_arguments import OperatorArgs
    from airflow_provider_predictions.tasks.base import RETRY_POLICY


class VlmRunListPredictionsOperator(VlmRunTask, ListPredictionsOperator):
    """Push the predictions of VLM Run to XCom, each a dict as VLM Run sent it."""

    if TYPE_CHECKING:  # written by scripts/signatures.py

        def __init__(
            self,
            *,
            statuses: str | Collection[str | Ref] | Ref | None = None,
            created_after: datetime | date | str | Ref | None = None,
            created_before: datetime | date | str | Ref | None = None,
            max_predictions: int | str | Ref | None = None,
            page_size: int | str | Ref | None = None,
            retry_policy: RetryPolicy | None = RETRY_POLICY,
            fields: str | Collection[str | Ref] | Ref | None = None,
            max_xcom_bytes: int | None = 1048576,
            on_empty: Literal["warn", "skip", "fail", "ignore"] = "warn",
            vlmrun_conn_id: str | Ref = "vlmrun_default",
            domains: str | Collection[str | Ref] | Ref | None = None,
            **kwargs: Unpack[OperatorArgs],
        ) -> None: ...


class VlmRunPredictionsToObjectStorageOperator(VlmRunTask, PredictionsToObjectStorageOperator):
    """Land the predictions of VLM Run in object storage, byte for byte, and push the manifest to XCom."""

    if TYPE_CHECKING:  # written by scripts/signatures.py

        def __init__(
            self,
            *,
            path: str | ObjectStoragePath | Ref,
            statuses: str | Collection[str | Ref] | Ref | None = None,
            created_after: datetime | date | str | Ref | None = None,
            created_before: datetime | date | str | Ref | None = None,
            max_predictions: int | str | Ref | None = None,
            page_size: int | str | Ref | None = None,
            retry_policy: RetryPolicy | None = RETRY_POLICY,
            file_format: Literal["jsonl", "parquet"] = "jsonl",
            shape: Literal["records", "values"] = "records",
            paths: str | Collection[str | Ref] | Ref | None = None,
            compression: Literal["gzip", "zstd"] | None = None,
            records_per_part: int = 100000,
            partition_by: Literal["created_date"] | None = None,
            prefetch: int = 1,
            incremental: bool = False,
            max_age: timedelta | float | None = None,
            lookback: timedelta | float = timedelta(seconds=3600),
            max_rejected: int | None = 0,
            partition_keys: str | Collection[str | Ref] | Ref | None = (),
            on_empty: Literal["warn", "skip", "fail", "ignore"] = "warn",
            vlmrun_conn_id: str | Ref = "vlmrun_default",
            domains: str | Collection[str | Ref] | Ref | None = None,
            **kwargs: Unpack[OperatorArgs],
        ) -> None: ...
