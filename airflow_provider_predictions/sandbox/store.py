"""The predictions of one service, newest first."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from airflow_provider_predictions.sandbox.data import Kind, Record

FINISHED = 0.0
"""Seconds of work of a finished prediction."""


class RecordStore:
    """All predictions of one service.

    :param seed: equal seeds give equal predictions, except for their times.
    """

    def __init__(self, kind: Kind, seed: int) -> None:
        self.kind = kind
        self.seed = seed
        self.files = ""
        self.clear()

    def clear(self) -> None:
        self.rows: list[Record] = []
        self.cap: int | None = None
        """Most rows of a page, whatever size is requested."""
        self._rng = random.Random(self.seed)
        self._texts: dict[tuple[str, str], bytes] = {}

    def fill(self, count: int, *, moving: int = 0, days: float = 30) -> None:
        """Add finished predictions, spread over the last days, and newer unfinished ones."""
        now = datetime.now(UTC)
        step = timedelta(days=days) / max(1, count)
        made = [
            self.kind.make(self._rng, now - step * (count - n), self._rng.uniform(1, 40))
            for n in range(count)
        ]
        self.rows[:0] = made[::-1]
        for n in range(moving):
            self.add(work=4 + 12 * n / moving)

    def add(self, *, created: datetime | None = None, work: float = FINISHED) -> Record:
        """Add a prediction. By default it is finished and created now."""
        record = self.kind.make(self._rng, created or datetime.now(UTC), work)
        self.rows.insert(0, record)
        return record

    def remove(self, ids: Iterable[str]) -> None:
        gone = set(ids)
        self.rows = [row for row in self.rows if row.id not in gone]

    def find(self, id_: str) -> Record | None:
        return next((row for row in self.rows if row.id == id_), None)

    def status(self, record: Record) -> str:
        return self.kind.status(record, datetime.now(UTC))

    def text(self, record: Record) -> bytes:
        """A prediction as the service sends it now."""
        status = self.status(record)
        key = (record.id, status)
        if key not in self._texts:
            self._texts[key] = self.kind.show(record, status, self.files)
        return self._texts[key]

    def texts(self) -> list[bytes]:
        return [self.text(row) for row in self.rows]
