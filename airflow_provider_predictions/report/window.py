"""The period of a report: a calendar period in a time zone, or the time between two moments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cached_property
from typing import Any, Literal
from zoneinfo import ZoneInfo

from airflow_provider_predictions.api.coercion import short
from airflow_provider_predictions.api.errors import ConfigurationError

Period = Literal["day", "week", "month"] | Sequence[datetime | str]
CALENDAR = ("day", "week", "month")
MOST_PERIODS = 8
"""The number of periods that are shown, with this one."""
LONGEST = {"hour": timedelta(hours=48), "day": timedelta(days=62), "week": timedelta(days=370)}
"""The longest window that is cut into such buckets. Longer ones are cut into months."""
UNITS = {
    "hour": ("%m-%d %H:%M", "%-d %b %H:%M", "%H:%M", "%-d %b", "%-d %b"),
    "day": ("%Y-%m-%d", "%a %-d %b", "%-d", "%-d %b", "%b"),
    "week": ("%Y-%m-%d", "Week of %-d %b %Y", "%-d %b", "%-d %b", "%-d %b"),
    "month": ("%Y-%m", "%B %Y", "%b", "%b %Y", "%Y"),
}
"""How a bucket is written: in the CSVs, in full, below the axis, and where a
larger unit begins. Last is that unit."""
MAX_LABELS = 16
"""The most labels below an axis."""


@dataclass(frozen=True)
class Bucket:
    """A column of a chart: an hour, a day, a week or a month.

    :param label: in the CSVs.
    :param full: on the page.
    :param short: below the axis; empty if there is no room.
    :param is_odd: whether only a wide screen has room for it.
    """

    start: datetime
    end: datetime
    label: str
    full: str
    short: str
    is_odd: bool


@dataclass(frozen=True)
class Window:
    """A period with the periods before it.

    :param end: the first moment after it.
    :param starts: the starts of this period and of those before it, the newest first. All have one length.
    """

    end: datetime
    starts: tuple[datetime, ...]
    zone: ZoneInfo

    @property
    def start(self) -> datetime:
        return self.starts[0]

    @property
    def before(self) -> datetime:
        """The start of the period before."""
        return self.starts[1]

    def period(self, age: int) -> tuple[datetime, datetime]:
        """The start of a period, and the first moment after it. Age 0 is this one, age 1 the one before."""
        return self.starts[age], self.starts[age - 1] if age else self.end

    @property
    def span(self) -> tuple[datetime, datetime]:
        """From the start of the oldest period until the end of this one."""
        return self.starts[-1], self.end

    @property
    def title(self) -> str:
        return in_words(self.start, self.end, self.zone)

    @cached_property
    def unit(self) -> str:
        """The length of a bucket: hour, day, week or month."""
        length = self.end - self.start
        return next((unit for unit, longest in LONGEST.items() if length <= longest), "month")

    @cached_property
    def buckets(self) -> tuple[Bucket, ...]:
        """The parts of the window, cut by the clock or the calendar of its time zone."""
        cuts = [self.start]
        while cuts[-1] < self.end:
            cuts.append(min(self._next(cuts[-1]), self.end))
        starts = [cut.astimezone(self.zone) for cut in cuts[:-1]]
        form, full, short, first, outer = UNITS[self.unit]
        if len({format(start, form) for start in starts}) < len(starts):
            form += " %z"  # when clocks are set back, an hour comes twice
        every, last, found = -(-len(starts) // MAX_LABELS), "", []
        for at, start in enumerate(starts):
            below = ""
            if at % every == 0:
                below = format(start, short if format(start, outer) == last else first)
                last = format(start, outer)
            texts = format(start, form), format(start, full), below
            found.append(Bucket(cuts[at], cuts[at + 1], *texts, at // every % 2 == 1))
        return tuple(found)

    def _next(self, moment: datetime) -> datetime:
        local = moment.astimezone(self.zone)
        if self.unit == "hour":
            # Along the clock on the wall, which in some zones is half an hour off.
            return moment + timedelta(hours=1) - (local - local.replace(minute=0, second=0, microsecond=0))
        first, days = _first_day(local.date(), self.unit), {"day": 1, "week": 7, "month": 31}[self.unit]
        return _midnight(_first_day(first + timedelta(days), self.unit), self.zone)


def make_window(period: Period, timezone: str, reference: datetime) -> Window:
    """The last whole period at a moment, or the one that is given.

    :param period: ``day``, ``week`` (from Monday), ``month``, or a start and an end.
    :param timezone: an IANA name. Times without an offset are in it, too.
    :param reference: an aware moment. A period that ends at it is whole.
    :raises ConfigurationError: naming ``period`` or ``timezone``.
    """
    zone = make_zone(timezone)
    if not isinstance(period, str):
        return _between(period, zone)
    if period not in CALENDAR:
        raise no_period(period)
    last = _first_day(reference.astimezone(zone).date(), period)
    first = _first_day(last - timedelta(days=1), period)
    starts = (_midnight(first - age * (last - first), zone) for age in range(MOST_PERIODS))
    return Window(_midnight(last, zone), tuple(starts), zone)


def in_words(start: datetime, end: datetime, zone: ZoneInfo) -> str:
    """Write a period in words, such as 14-27 November 2026 with an en dash."""
    first, last = in_zone(start, zone), in_zone(end, zone)
    if {first.time(), last.time()} != {time()}:
        return f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}"
    last -= timedelta(days=1)
    whole = f"{last.day} {last:%B %Y}"
    if first.date() == last.date():
        return whole
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}\u2013{whole}"
    return f"{first.day} {first:%B}{f' {first.year}' if first.year != last.year else ''} \u2013 {whole}"


def no_period(found: object) -> ConfigurationError:
    """The error of an invalid period."""
    return ConfigurationError(
        f"period: must be {', '.join(CALENDAR)} or a pair of times; found {short(found)}"
    )


def make_zone(timezone: str | tzinfo) -> ZoneInfo:
    """Find a time zone by its name.

    :raises ConfigurationError: if there is none.
    """
    try:
        return ZoneInfo(str(timezone))
    except (KeyError, ValueError, OSError, TypeError):
        raise ConfigurationError(
            f"timezone: must be a name such as Europe/Oslo; found {short(timezone)}"
        ) from None


def in_zone(moment: datetime, zone: tzinfo) -> datetime:
    """Convert a moment to a time zone. Where that leaves the years 1 to 9999, it becomes UTC."""
    try:
        return moment.astimezone(zone)
    except OverflowError:
        return moment.replace(tzinfo=UTC)


def _between(period: Any, zone: ZoneInfo) -> Window:
    try:
        first, last = period
    except (TypeError, ValueError):
        raise no_period(period) from None
    try:
        start, end = _moment(first, zone), _moment(last, zone)
        _ = start - (end - start)
    except OverflowError:
        raise ConfigurationError(f"period: reaches back before the year 1; found {short(period)}") from None
    if start >= end:
        raise ConfigurationError(
            f"period: the end must lie after the start; found {start.isoformat()} and {end.isoformat()}. In "
            "Airflow 3 the data interval of a cron schedule has no width; period='day' needs none"
        )
    earliest = datetime.min.replace(tzinfo=UTC)
    ages = range(min(MOST_PERIODS, 1 + (start - earliest) // (end - start)))
    return Window(end, tuple(start - age * (end - start) for age in ages), zone)


def _moment(value: object, zone: ZoneInfo) -> datetime:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip())
    except ValueError:
        raise ConfigurationError(
            f"period: must hold times such as 2026-11-01 or 2026-11-01T06:00+01:00; found {short(value)}"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def _first_day(day: date, unit: str) -> date:
    """The first day of the day, week or month that a day is in."""
    if unit == "month":
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if unit == "week" else day


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return in_zone(datetime(day.year, day.month, day.day, tzinfo=zone), UTC)
