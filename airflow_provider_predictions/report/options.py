"""What the author of a report chooses, and its checks."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.report.targets import Targets

LONGEST_TITLE = 120
LARGEST_LOGO = 100_000
"""Bytes, since the logo is part of the page."""
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Options:
    """What the author of a report chooses.

    :param title: of the page; by default the services and the period.
    :param group_by: a path of members of the record; by default the domain or the model.
    :param price_per_credit: in ``currency``, of VLM Run's credits.
    :param targets: by measure, or by measure and group.
    :param logo: a ``data:`` URL.
    :param prediction_url: with ``{id}``.
    :param made_by: the task and its DAG, in words.
    :param page_url: where the page will lie.
    """

    title: str | None = None
    group_by: str | None = None
    price_per_credit: float | None = None
    currency: str | None = None
    targets: Targets = field(default_factory=dict)
    logo: str = ""
    prediction_url: str = ""
    made_by: str = ""
    page_url: str = ""


DEFAULTS = Options()


def check_together(values: Any) -> None:
    """Refuse money without a price or a currency.

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
    """A title of one line."""
    if not isinstance(title, str) or len(title) > LONGEST_TITLE or not title.isprintable():
        raise ValueError(f"must be one line of at most {LONGEST_TITLE} characters")
    return title


def checked_group(group_by: Any) -> str:
    """A path of members, such as ``metadata.customer``."""
    if not isinstance(group_by, str) or not all(group_by.split(".")) or not group_by.isprintable():
        raise ValueError("must be a member of the record, or a path such as metadata.customer")
    return group_by


def checked_currency(currency: Any) -> str:
    """A code of ISO 4217."""
    if not (isinstance(currency, str) and len(currency) == 3 and currency.isascii() and currency.isupper()):
        raise ValueError("must be a code of three letters, such as EUR")
    return currency


def checked_url(url: Any) -> str:
    """A URL of a prediction, with ``{id}`` in the place of its id."""
    if not isinstance(url, str) or not url.startswith(("https://", "http://")) or "{id}" not in url:
        raise ValueError("must be a URL with {id} in the place of the prediction's id")
    return url


def as_data_url(content: bytes) -> str:
    """An image as a part of the page.

    :param content: of the file.
    :raises ConfigurationError: where it is neither an SVG nor a PNG, or too large.
    """
    if len(content) > LARGEST_LOGO:
        raise ConfigurationError(f"logo: has {len(content):,} bytes; a page takes {LARGEST_LOGO:,}")
    kind = "png" if content.startswith(_PNG) else "svg+xml" if b"<svg" in content[:1000] else ""
    if not kind:
        raise ConfigurationError("logo: is neither an SVG nor a PNG")
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
