"""The period of a report: a calendar period in a time zone, or the time between two moments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cached_property
from itertools import chain
from typing import Any, Literal
from zoneinfo import ZoneInfo

from airflow_provider_predictions.api.coercion import short
from airflow_provider_predictions.api.errors import ConfigurationError

Period = Literal["day", "week", "month"] | Sequence[datetime | str]
CALENDAR = ("day", "week", "month")
MOST_PERIODS = 8
"""The number of periods that are shown, with this one."""
MOST_HOURS, MOST_DAYS, MOST_WEEKS = 48, 62, 370
"""Longer windows are cut into days, weeks (both in days) and months."""


@dataclass(frozen=True)
class Bucket:
    """A column of a chart: an hour, a day, a week or a month."""

    label: str
    start: datetime
    end: datetime


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
        """The first moment."""
        return self.starts[0]

    @property
    def before(self) -> datetime:
        """The start of the period before."""
        return self.starts[1]

    @property
    def title(self) -> str:
        """The period in words."""
        return in_words(self.start, self.end, self.zone)

    @cached_property
    def unit(self) -> str:
        """The length of a bucket: hour, day, week or month."""
        length = self.end - self.start
        if length <= timedelta(hours=MOST_HOURS):
            return "hour"
        if length <= timedelta(days=MOST_DAYS):
            return "day"
        return "week" if length <= timedelta(days=MOST_WEEKS) else "month"

    @cached_property
    def buckets(self) -> tuple[Bucket, ...]:
        """The parts of the window, cut by the clock or the calendar of its time zone."""
        cuts = [self.start]
        while cuts[-1] < self.end:
            cuts.append(min(self._next(cuts[-1]), self.end))
        form = {"hour": "%m-%d %H:%M", "day": "%Y-%m-%d", "week": "%Y-%m-%d", "month": "%Y-%m"}[self.unit]
        starts = [cut.astimezone(self.zone) for cut in cuts[:-1]]
        if len({format(start, form) for start in starts}) < len(starts):
            form += " %z"  # when clocks are set back, an hour comes twice
        return tuple(
            Bucket(format(local, form), start, end)
            for local, start, end in zip(starts, cuts, cuts[1:], strict=False)
        )

    def _next(self, moment: datetime) -> datetime:
        if self.unit == "hour":
            # Along the clock on the wall, which in some zones is half an hour off.
            local = moment.astimezone(self.zone)
            past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
            return moment + timedelta(hours=1) - past
        day = moment.astimezone(self.zone).date()
        if self.unit == "day":
            return _midnight(day + timedelta(days=1), self.zone)
        if self.unit == "week":
            return _midnight(day + timedelta(days=7 - day.weekday()), self.zone)
        return _midnight(_month(day, 1), self.zone)


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
    today = reference.astimezone(zone).date()
    last = today
    if period == "day":
        first = today - timedelta(days=1)
    elif period == "week":
        last = today - timedelta(days=today.weekday())
        first = last - timedelta(days=7)
    elif period == "month":
        last = today.replace(day=1)
        first = _month(last, -1)
    else:
        raise no_period(period)
    starts = (_midnight(first - age * (last - first), zone) for age in range(MOST_PERIODS))
    return Window(_midnight(last, zone), tuple(starts), zone)


def in_words(start: datetime, end: datetime, zone: ZoneInfo) -> str:
    """Write a period in words, such as 14-27 November 2026 with an en dash."""
    first, last = in_zone(start, zone), in_zone(end, zone)
    if not (_is_midnight(first) and _is_midnight(last)):
        return f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}"
    last -= timedelta(days=1)
    whole = f"{last.day} {last:%B %Y}"
    if first.date() == last.date():
        return whole
    if first.year != last.year:
        return f"{first.day} {first:%B %Y} \u2013 {whole}"
    return (
        f"{first.day} {first:%B} \u2013 {whole}" if first.month != last.month else f"{first.day}\u2013{whole}"
    )


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


def days_of(days: Iterable[datetime], zone: ZoneInfo) -> list[tuple[str, datetime]]:
    """The name and the start of each day in a time zone that overlaps one of these days.

    :param days: the starts of days in UTC.
    """
    moments = chain.from_iterable((day, day + timedelta(hours=23, minutes=59)) for day in days)
    found = {in_zone(moment, zone).date() for moment in moments}
    return [(day.isoformat(), _midnight(day, zone)) for day in sorted(found)]


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


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return in_zone(datetime(day.year, day.month, day.day, tzinfo=zone), UTC)


def _is_midnight(moment: datetime) -> bool:
    return (moment.hour, moment.minute, moment.second, moment.microsecond) == (0, 0, 0, 0)


def _month(day: date, step: int) -> date:
    """The first day of another month."""
    month = day.year * 12 + day.month - 1 + step
    return date(month // 12, month % 12 + 1, 1)
