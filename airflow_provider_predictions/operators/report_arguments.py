"""Check the arguments of a report."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from airflow_provider_predictions.api.coercion import BRACKETS, shown
from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.report.measures import MEASURES

LONGEST_TITLE = 120
LARGEST_LOGO = 50_000
"""Bytes, since the logo is part of the page."""
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
    if not isinstance(title, str) or len(title) > LONGEST_TITLE or not title.isprintable():
        raise ValueError(f"must be one line of at most {LONGEST_TITLE} characters")
    return title


def checked_group(group_by: Any) -> str:
    """Check a path of members, such as ``metadata.customer``."""
    if not isinstance(group_by, str) or not all(group_by.split(".")) or not group_by.isprintable():
        raise ValueError("must be a member of the record, or a path such as metadata.customer")
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


def checked_number(given: Any) -> Any:
    """Refuse True and False, which Python takes for numbers."""
    if isinstance(given, bool):
        raise ValueError("must be a number")
    return given


def as_data_url(content: bytes) -> str:
    """Turn an image into a ``data:`` URL.

    :param content: of the file.
    :raises ConfigurationError: if it is neither an SVG nor a PNG, or too large.
    """
    if len(content) > LARGEST_LOGO:
        raise ConfigurationError(f"logo: has {len(content):,} bytes; a page takes {LARGEST_LOGO:,}")
    kind = "png" if content.startswith(_PNG) else "svg+xml" if b"<svg" in content[:1000] else ""
    if not kind:
        raise ConfigurationError("logo: is neither an SVG nor a PNG")
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def checked_targets(given: Any) -> dict[str, dict[str, float]]:
    """Check targets by measure or ``measure:group``: ``{"failed_share:document.receipt": {"max": 0.05}}``.

    :raises ConfigurationError: naming what is wrong with them.
    """
    found = shown(given) if isinstance(given, str) and given.startswith(BRACKETS) else given
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
Price = Annotated[float, BeforeValidator(checked_number), Field(ge=0, le=1e9, allow_inf_nan=False)]
