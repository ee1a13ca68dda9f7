"""The arguments of a landing beside the filters."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.filters import Lookback, Names, Seconds
from airflow_provider_predictions.api.limits import MAX_LISTING_DELAY, MAX_PREFETCH
from airflow_provider_predictions.api.values import check_patterns
from airflow_provider_predictions.operators.arguments import A_PATH, StoragePath
from airflow_provider_predictions.operators.outcome import OnEmpty
from airflow_provider_predictions.storage.formats.base import RECORDS, VALUES
from airflow_provider_predictions.tasks.arguments import REQUIRED, Argument, Templated, declare

Paths = Annotated[Names, AfterValidator(check_patterns)]
NOT_INCREMENTAL = ("created_before", "max_predictions")
LANDING = declare(
    Templated(
        "path",
        "str | ObjectStoragePath | Ref",
        StoragePath,
        "the directory to land in, as an ``ObjectStoragePath`` URL. Each landing needs its own; all runs of "
        "an incremental landing share one",
        default=REQUIRED,
        needed=f"give a URL such as {A_PATH}",
        example='"s3://aws_default@bucket/predictions/{{ ds }}"',
    ),
    Argument(
        "file_format",
        'Literal["jsonl", "parquet"]',
        Literal["jsonl", "parquet"],
        "the format of the parts; ``parquet`` needs the extra of that name",
        default="jsonl",
        example='"parquet"',
    ),
    Argument(
        "shape",
        'Literal["records", "values"]',
        Literal["records", "values"],
        'what a row of a part is: ``records``, or with ``file_format="parquet"`` ``values``, one row for '
        "each extracted value",
        default="records",
        example='"values"',
    ),
    Templated(
        "paths",
        "str | Collection[str | Ref] | Ref | None",
        Paths | None,
        'with ``shape="values"``, which values land, by their labels, such as ``lines.amount``. ``*`` stands '
        "for any characters, dots too, and ``?`` for one; by default all values land",
        needed="give a label",
        example='["total", "lines.*"]',
    ),
    Argument(
        "compression",
        'Literal["gzip", "zstd"] | None',
        Literal[None, "gzip", "zstd"],
        "how the parts are compressed; ``zstd`` needs the extra of that name",
        example='"gzip"',
    ),
    Argument(
        "records_per_part",
        "int",
        Annotated[int, Field(ge=1)],
        "maximum number of records per object",
        default=100_000,
    ),
    Argument(
        "partition_by",
        'Literal["created_date"] | None',
        Literal[None, "created_date"],
        "``created_date`` writes parts into directories by day of creation, such as "
        "``created_date=2026-11-01/``",
        example='"created_date"',
    ),
    Argument(
        "prefetch",
        "int",
        Annotated[int, Field(ge=0, le=MAX_PREFETCH)],
        f"how many pages to request ahead while one is written, 0 to {MAX_PREFETCH}. If each page names the "
        "next one, only one can be requested ahead, and this is how many files ``fetch_values`` fetches at "
        "once",
        default=1,
    ),
    Argument(
        "incremental",
        "bool",
        bool,
        "land each prediction once, in the first run that finds it finished. Each run lands in a "
        "directory of its own under ``path``; ``_state.json`` there says what has landed",
        default=False,
        example="True",
        not_with=NOT_INCREMENTAL,
        why_not_with="which keeps its own window",
    ),
    Argument(
        "max_age",
        "timedelta | float | None",
        Seconds | None,
        "with ``incremental``, give up predictions that are unfinished this long after their creation, a "
        "timedelta or seconds; by default none is given up",
        example="timedelta(days=7)",
        goes_with="incremental",
    ),
    Argument(
        "lookback",
        "timedelta | float",
        Lookback,
        "with ``incremental``, how long after its creation a prediction may first appear in the list, a "
        "timedelta or seconds. Each run looks back this far from the newest prediction that the previous "
        "run saw, and at least this far from the service's clock",
        default=MAX_LISTING_DELAY,
        example="timedelta(hours=2)",
        goes_with="incremental",
    ),
    Argument(
        "max_rejected",
        "int | None",
        Annotated[int, Field(ge=0)] | None,
        "fail, after all has landed, if more than this many rows are not JSON objects; None never to fail. "
        "Such rows are kept in ``_rejected``, beside the parts",
        default=0,
    ),
    Templated(
        "partition_keys",
        "str | Collection[str | Ref] | Ref | None",
        Names | None,
        "the partitions of the asset in ``outlets`` that this landing fills, as a list or comma-separated "
        "text (Airflow 3.3 or newer); by default the event is for the whole asset",
        default=(),
        example='"{{ ds }}"',
    ),
    Argument(
        "on_empty",
        'Literal["warn", "skip", "fail", "ignore"]',
        OnEmpty,
        "what the task does, after the commit, if no record has landed. A skip pushes the manifest and "
        "sends no asset event",
        default="warn",
        example='"skip"',
    ),
)


def check_shape(known: Any, *, has_paths: bool) -> None:
    """Refuse a shape that the format does not have, and a choice of values if whole records land.

    :param known: the arguments as their types; None for a reference.
    :raises ConfigurationError: naming both arguments.
    """
    if known.shape == VALUES and known.file_format not in (None, "parquet"):
        raise ConfigurationError(f'shape: {VALUES} goes with file_format="parquet" only')
    if known.shape == RECORDS and has_paths:
        raise ConfigurationError('paths: goes with shape="values" only')
