"""Check the arguments of a report."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from airflow_provider_predictions.api.coercion import BRACKETS, parsed
from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.filters import Number
from airflow_provider_predictions.api.limits import MAX_LOGO_BYTES, MAX_TITLE_LENGTH
from airflow_provider_predictions.operators.arguments import (
    A_PATH,
    ReportPeriod,
    Source,
    StoragePath,
    Timezone,
)
from airflow_provider_predictions.report.measures import MEASURES
from airflow_provider_predictions.tasks.arguments import REQUIRED, Argument, Templated, declare

_PNG = b"\x89PNG\r\n\x1a\n"


def check_together(values: Any) -> None:
    """Refuse a price without a currency, and the reverse.

    :param values: the arguments of a report.
    :raises ConfigurationError: naming the argument that is missing.
    """
    if (values.price_per_credit is None) != (values.currency is None):
        missing = "currency" if values.currency is None else "price_per_credit"
        raise ConfigurationError(f"{missing}: is missing; price_per_credit and currency go together")
    named = values.targets if isinstance(values.targets, Mapping) else ()
    if values.currency is None and any(str(name).partition(":")[0] == "cost" for name in named):
        raise ConfigurationError("targets: cost needs price_per_credit and currency")


def checked_title(title: Any) -> str:
    """Check a title of one line."""
    if not isinstance(title, str) or len(title) > MAX_TITLE_LENGTH or not title.isprintable():
        raise ValueError(f"must be one line of at most {MAX_TITLE_LENGTH} characters")
    return title


def checked_group(group_by: Any) -> str:
    """Check a path of members, such as ``metadata.customer``."""
    if not isinstance(group_by, str) or not all(group_by.split(".")) or not group_by.isprintable():
        raise ValueError("must be a member of the record, or a path such as metadata.customer")
    if group_by.partition(".")[0].lower() == "file_index":
        raise ValueError("must not be file_index, which is DuckDB's name for the number of a file")
    return group_by


def checked_currency(currency: Any) -> str:
    """Check a code of ISO 4217."""
    if not (isinstance(currency, str) and re.fullmatch("[A-Z]{3}", currency)):
        raise ValueError("must be a code of three letters, such as EUR")
    return currency


def checked_url(url: Any) -> str:
    """Check the URL of a prediction, with ``{id}`` in the place of its id."""
    if not isinstance(url, str) or not url.startswith(("https://", "http://")) or "{id}" not in url:
        raise ValueError("must be a URL with {id} in the place of the prediction's id")
    if "@" in url.split("/")[2]:
        raise ValueError("must not hold a user or a password, since readers of the report see it")
    return url


def as_data_url(content: bytes) -> str:
    """Turn an image into a ``data:`` URL.

    :param content: of the file.
    :raises ConfigurationError: if it is neither an SVG nor a PNG, or too large.
    """
    if len(content) > MAX_LOGO_BYTES:
        raise ConfigurationError(f"logo: has {len(content):,} bytes; a page takes {MAX_LOGO_BYTES:,}")
    kind = "png" if content.startswith(_PNG) else "svg+xml" if b"<svg" in content[:1000] else ""
    if not kind:
        raise ConfigurationError("logo: is neither an SVG nor a PNG")
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def checked_targets(given: Any) -> dict[str, dict[str, float]]:
    """Check targets by measure or ``measure:group``: ``{"failed_share:document.receipt": {"max": 0.05}}``.

    :raises ConfigurationError: naming what is wrong with them.
    """
    found = parsed(given) if isinstance(given, str) and given.startswith(BRACKETS) else given
    if not isinstance(found, Mapping):
        raise _wrong("must be a mapping of measures to bounds")
    return {str(name): _bounds(str(name), found[name]) for name in found}


def _bounds(name: str, bounds: Any) -> dict[str, float]:
    measure, colon, group = name.partition(":")
    if measure not in MEASURES:
        raise _wrong(f"there is no measure {measure}; there are {', '.join(MEASURES)}")
    if colon and not group:
        raise _wrong(f"{name} names no group after the colon")
    if not isinstance(bounds, Mapping) or not bounds or not bounds.keys() <= {"min", "max"}:
        raise _wrong(f"{name} needs min, max or both, and nothing else")
    found = {key: _bound(name, bound) for key, bound in bounds.items()}
    if MEASURES[measure].format == "share" and not all(0 <= bound <= 1 for bound in found.values()):
        raise _wrong(f"{name} is a share of 0 to 1: 0.05 is 5 %")
    if found.get("min", -math.inf) > found.get("max", math.inf):
        raise _wrong(f"the min of {name} is over its max")
    return found


def _bound(name: str, given: Any) -> float:
    """A number, or the text of one, as a template renders it."""
    try:
        found = math.nan if isinstance(given, bool) else float(given)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise _wrong(f"the bounds of {name} must be numbers")
    return found


def _wrong(what: str) -> ConfigurationError:
    return ConfigurationError(f"targets: {what}")


ReportCurrency = Annotated[Any, AfterValidator(checked_currency)]
ReportGroup = Annotated[Any, AfterValidator(checked_group)]
ReportTargets = Annotated[Any, AfterValidator(checked_targets)]
ReportTitle = Annotated[Any, AfterValidator(checked_title)]
PredictionUrl = Annotated[Any, AfterValidator(checked_url)]
Price = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False), Number]
REPORT = declare(
    Templated(
        "source",
        "str | ObjectStoragePath | Mapping[str, Any] | Collection[Any] | Ref",
        Source,
        "what to read: the path of landings, a directory above several, a manifest, its URL, the output of "
        "landing tasks, or a list of these",
        default=REQUIRED,
        needed=f"give a manifest, or a URL such as {A_PATH}",
        example=f'"{A_PATH}"',
    ),
    Templated(
        "path",
        "str | ObjectStoragePath | Ref",
        StoragePath,
        "a directory for this report, as an ``ObjectStoragePath`` URL. A later report replaces it",
        default=REQUIRED,
        needed=f"give a URL such as {A_PATH}",
        example='"s3://aws_default@bucket/reports/{{ ds }}"',
    ),
    Templated(
        "period",
        "str | Sequence[datetime | date | str | Ref] | Ref",
        ReportPeriod,
        "which predictions, by their creation: the last whole ``day``, ``week`` (from Monday) or ``month`` "
        "before the run, or a start and an end, as datetimes or ISO 8601 texts, in ``timezone`` if they have "
        "no offset",
        default="day",
        example='("2026-11-01", "2026-12-01")',
    ),
    Templated(
        "timezone",
        "str | Ref",
        Timezone,
        "the time zone in which days begin",
        default="UTC",
        example='"Europe/Oslo"',
    ),
    Templated(
        "targets",
        "Mapping[str, Mapping[str, float]] | Ref | None",
        ReportTargets,
        "the ``min`` and the ``max`` of a measure, or of a measure of one group, written ``measure:group``. "
        "Measures have the names of ``summary.json``",
        example='{"failed_share": {"max": 0.05}, "predictions": {"min": 1}}',
    ),
    Argument(
        "on_breach",
        'Literal["report", "fail"]',
        Literal["report", "fail"],
        "what happens if a target is missed: ``report`` says so, ``fail`` also fails the task after writing",
        default="report",
        example='"fail"',
        goes_with="targets",
    ),
    Templated(
        "group_by",
        "str | Ref | None",
        ReportGroup,
        "the member of a record to group by, or a path of members; by default the domain of VLM Run and the "
        "model of Cradl",
        example='"metadata.customer"',
    ),
    Templated(
        "price_per_credit",
        "float | str | Ref | None",
        Price,
        "what a credit of VLM Run costs, in ``currency``",
        example="0.01",
    ),
    Templated(
        "currency",
        "str | Ref | None",
        ReportCurrency,
        "the currency of ``price_per_credit``, as a code of ISO 4217",
        example='"EUR"',
    ),
    Templated(
        "title",
        "str | Ref | None",
        ReportTitle,
        "the title of the page; by default the services and the period",
        example='"Invoices of the north"',
    ),
    Templated(
        "logo",
        "str | ObjectStoragePath | Ref | None",
        StoragePath,
        "an SVG or PNG file of at most 50 kB, as a path or URL; it becomes part of the page",
        example='"s3://aws_default@bucket/logo.svg"',
    ),
    Templated(
        "prediction_url",
        "str | Ref | None",
        PredictionUrl,
        "the page of a prediction: a URL with ``{id}`` in the place of its id",
        example='"https://app.example.com/predictions/{id}"',
    ),
)
