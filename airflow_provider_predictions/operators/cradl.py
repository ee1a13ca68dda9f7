"""List and land the predictions of Cradl."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from airflow_provider_predictions.operators.landing import PredictionsToObjectStorageOperator
from airflow_provider_predictions.operators.listing import ListPredictionsOperator
from airflow_provider_predictions.tasks.arguments import Argument, declare
from airflow_provider_predictions.tasks.cradl import CradlTask

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date, datetime, timedelta
    from typing import Literal, Unpack

    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_predictions._compat import Ref, RetryPolicy
    from airflow_provider_predictions.tasks.airflow_arguments import OperatorArgs
    from airflow_provider_predictions.tasks.base import RETRY_POLICY


class CradlListPredictionsOperator(CradlTask, ListPredictionsOperator):
    """Push the predictions of Cradl to XCom, each a dict as Cradl sent it."""

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
            cradl_conn_id: str | Ref = "cradl_default",
            model_id: str | int | Ref | None = None,
            order: str | Ref | None = None,
            **kwargs: Unpack[OperatorArgs],
        ) -> None: ...


class CradlPredictionsToObjectStorageOperator(CradlTask, PredictionsToObjectStorageOperator):
    """Land the predictions of Cradl in object storage, byte for byte, and push the manifest to XCom."""

    arguments = declare(
        Argument(
            "fetch_values",
            "bool",
            bool,
            "Cradl's list omits the extracted values and gives a ``fileUrl``. With True, each file is "
            "fetched and put into its record as ``predictions``, one more request per record. A "
            "file that is gone or forbidden does not stop the landing: its record lands without values",
            default=False,
            example="True",
        ),
        Argument(
            "max_values_missing",
            "int | None",
            Annotated[int, Field(ge=0)] | None,
            "with ``fetch_values``, fail, after all has landed, if more than this many records lack their "
            "values; None never to fail. The manifest counts them",
            example="10",
            goes_with="fetch_values",
        ),
    )

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
            cradl_conn_id: str | Ref = "cradl_default",
            model_id: str | int | Ref | None = None,
            order: str | Ref | None = None,
            fetch_values: bool = False,
            max_values_missing: int | None = None,
            **kwargs: Unpack[OperatorArgs],
        ) -> None: ...
