"""The progress of a landing, in the log and in Airflow's metrics."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from airflow.providers.common.compat.sdk import Stats

from airflow_provider_predictions.api.filters import Filters
from airflow_provider_predictions.api.limits import MIN_LOG_SECONDS
from airflow_provider_predictions.api.page import Page
from airflow_provider_predictions.api.wording import counted

PREFIX = "predictions.landing"


class ProgressLog:
    """Counts pages, and logs the progress at most every ten seconds.

    :param log: writes a line.
    :param service: the tag of the metrics.
    :param filters: their window shows how much is left.
    """

    def __init__(self, log: Callable[[str], None], service: str, filters: Filters) -> None:
        self._log, self._filters, self._tags = log, filters, {"service": service}
        self._began = self._said = time.monotonic()
        self._records = self._pages = 0
        self._pages_said: int | None = None
        self._span: tuple[datetime, datetime] | None = None

    def page(self, page: Page) -> None:
        """Count a page that has landed."""
        self._records += len(page.predictions)
        self._pages += 1
        if span := page.records.span:
            oldest, newest = self._span or span
            self._span = min(oldest, span[0]), max(newest, span[1])
        if time.monotonic() - self._said >= MIN_LOG_SECONDS:
            self._said = time.monotonic()
            self._say(self._share())

    def finish(self) -> None:
        """Log the last line, unless it was logged before. The whole window is read, so it names no share."""
        self._say()

    def _say(self, share: str = "") -> None:
        """Log the progress if it has changed, and send the same numbers as metrics."""
        rate = self._records / max(time.monotonic() - self._began, 1e-3)
        records, pages = counted(self._records, "record"), counted(self._pages, "page")
        line = f"{records} in {pages}, {rate:.0f} records/s"
        numbers = {"records": self._records, "pages": self._pages, "records_per_second": rate}
        if self._span:
            age = max(datetime.now(UTC) - self._span[0], timedelta())
            numbers["oldest_age_seconds"] = age.total_seconds()
            line += f"; the oldest record seen is {_words(age)} old{share}"
        if self._pages != self._pages_said:
            self._log(line)
        self._pages_said = self._pages
        for name, number in numbers.items():
            Stats.gauge(f"{PREFIX}.{name}", number, tags=self._tags)

    def _share(self) -> str:
        """How much of the window the records reach over."""
        if not (self._span and (start := self._filters.created_after)):
            return ""
        window = (self._filters.created_before or datetime.now(UTC)) - start
        covered = min(1.0, (self._span[1] - self._span[0]) / window) if window else 1.0
        return f", of a window of {_words(window)}: about {covered:.0%} read"


def _words(span: timedelta) -> str:
    hours, minutes = divmod(int(span.total_seconds()) // 60, 60)
    days, hours = divmod(hours, 24)
    numbers = {"d": days, "h": hours} if days else {"h": hours, "min": minutes}
    return " ".join(f"{number} {unit}" for unit, number in numbers.items() if number) or "0 min"
