"""Format numbers and texts for readers."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from airflow_provider_predictions.report.measures import Format

NARROW = "\u202f"
"""The narrow no-break space before a unit."""
CURRENCIES = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥"}
UNITS = (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1))
"""Units of time in seconds, with the next smaller one."""
UNKNOWN = "\u2013"
MINUS = "\u2212"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def joined_with_and(words: Sequence[str]) -> str:
    """Join words with commas and a final "and"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def without_controls(cell: Any) -> Any:
    """Replace control characters and marks of direction, which would change the text around them."""
    return _CONTROL.sub("\ufffd", cell) if isinstance(cell, str) else cell


def number(form: Format, value: float | None, currency: str | None = None, more: int = 0) -> str:
    """Format a number with its unit; a dash if it is None.

    :param currency: of an amount of money.
    :param more: digits than usual.
    """
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if form == "share":
        return f"{100 * value:.{1 + more}f}{NARROW}%"
    if form == "seconds":
        return f"{value:,.{more}f}{NARROW}s" if more else duration(value)
    if form == "money":
        return f"{CURRENCIES.get(currency or '', currency or '')}{NARROW}{value:,.{2 + more}f}"
    whole = float(value).is_integer() or (abs(value) >= 1000 and not more)
    return (
        f"{value:,.0f}" if whole else f"{value:,.{1 + more}f}" if abs(value) >= 1 else f"{value:.{2 + more}g}"
    )


def digits(form: Format, value: float | None, bounds: Sequence[float | None]) -> int:
    """How many digits more than usual tell a number from its bounds; 0 if nothing is to be told."""
    others = [bound for bound in bounds if bound is not None and bound != value]
    if value is None:
        return 0
    told = (
        more
        for more in range(13)
        if all(number(form, value, None, more) != number(form, one, None, more) for one in others)
    )
    return next(told, 0)


def duration(seconds: float) -> str:
    """Format seconds in their two largest units."""
    if seconds < 0:
        return f"{MINUS}{duration(-seconds)}"
    if seconds < 60:
        return f"{seconds:.3g}{NARROW}s"
    left = round(seconds)
    unit, size, below, part = next(units for units in UNITS if left >= units[1])
    rest = left % size // part
    return f"{left // size}{NARROW}{unit}" + (f" {rest}{NARROW}{below}" if rest else "")


def change(form: Format, now: float | None, before: float | None) -> str:
    """Format a change: shares in points, all else in per cent; empty if it is not known."""
    if now is None or before is None or not (math.isfinite(now) and math.isfinite(before)):
        return ""
    if form == "share":
        points = 100 * (now - before)
        return "unchanged" if abs(points) < 0.05 else f"{points:+.1f} points".replace("-", MINUS)
    if not before:
        return "new" if now else "unchanged"
    percent = 100 * (now - before) / abs(before)
    return "unchanged" if abs(percent) < 0.5 else f"{percent:+,.0f}{NARROW}%".replace("-", MINUS)
