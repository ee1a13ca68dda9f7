"""Remember which rows of a list were yielded.

While rows come in the order of creation, rows behind the last one are new, and so are rows in front of the
first. So hardly any id is looked up, and the ids stay in a file. Without that order, every row is looked up.
"""

from __future__ import annotations

import operator
import tempfile
from array import array
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain

import msgspec

from airflow_provider_predictions.api.limits import MAX_RECENT_PAGES, MAX_SPOOLED_BYTES, MAX_TIES
from airflow_provider_predictions.api.models import Prediction
from airflow_provider_predictions.api.record_batch import RecordBatch
from airflow_provider_predictions.api.state import Versioned


class Index:
    """Hashes of ids in a temporary database. Memory stays flat however many there are."""

    def __init__(self, hashes: Iterable[int]) -> None:
        import sqlite3

        # Threads use it one at a time.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("CREATE TABLE seen (hash INTEGER PRIMARY KEY)")
        self._database.execute("BEGIN")
        self.add(hashes)

    def add(self, hashes: Iterable[int]) -> None:
        self._database.executemany("INSERT OR IGNORE INTO seen VALUES (?)", ((hash_,) for hash_ in hashes))

    def __contains__(self, id_: str) -> bool:
        return bool(self._database.execute("SELECT 1 FROM seen WHERE hash = ?", (hash(id_),)).fetchone())


class HashFile:
    """Hashes of ids in a file. Writing is cheap. They are read when the first id is looked up."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(MAX_SPOOLED_BYTES)  # noqa: SIM115  (lives as long as the pass)

    def add(self, hashes: Iterable[int]) -> None:
        self._file.write(array("q", hashes).tobytes())

    def __iter__(self) -> Iterator[int]:
        self._file.seek(0)
        while block := self._file.read(MAX_SPOOLED_BYTES):
            yield from array("q", block)


class SeenRows(Versioned, dict=True):
    """The rows yielded so far. The fields are saved; the ids are not, see ``earlier``.

    :ivar newest_first: the expected order. It is checked, never assumed.
    :ivar ordered: whether all rows so far came in that order.
    :ivar moved: whether two rows had different times. Otherwise no order is proven.
    :ivar first: creation time of the row furthest up the list.
    :ivar last: creation time of the row furthest down the list.
    :ivar ties: ids of rows created at that time, up to ``MAX_TIES``.
    :ivar count: rows yielded.
    """

    newest_first: bool = True
    ordered: bool = True
    moved: bool = False
    first: datetime | None = None
    last: datetime | None = None
    ties: set[str] = msgspec.field(default_factory=set)
    count: int = 0

    def __post_init__(self) -> None:
        self.earlier: Callable[[], Iterable[str]] = tuple
        """Returns the ids yielded before this pass resumed. Called only if the order does not suffice."""
        self._top: set[str] = set()
        """Ids of the first page, whose rows come again when the front of the list is read again."""
        self._recent: deque[set[str]] = deque(maxlen=MAX_RECENT_PAGES)
        self._ids: HashFile | Index = HashFile()

    @property
    def proven(self) -> bool:
        return self.ordered and self.moved

    @property
    def _is_behind(self) -> Callable[[datetime, datetime], bool]:
        return operator.gt if self.newest_first else operator.lt

    def note_order(self, times: Sequence[datetime | None]) -> bool:
        """Note the creation times of neighbours. Return whether they break the order."""
        if not self.ordered:
            return False
        known = [time for time in times if time]
        neighbours = (known[1:], known[:-1])
        self.ordered = len(known) == len(times) and not any(map(self._is_behind, *neighbours))
        self.moved = self.moved or any(map(operator.ne, *neighbours))
        return not self.ordered

    def knows(self, row: Prediction) -> bool:
        is_tie = self.ordered and row.created_at == self.last
        if self.ordered and not is_tie and (self._lies_ahead(row) or self._lies_in_front(row)):
            return False
        if row.id in self.ties or any(row.id in page for page in (self._top, *self._recent)):
            return True
        if is_tie and len(self.ties) < MAX_TIES:
            return False
        if isinstance(self._ids, HashFile):
            self._ids = Index(chain(map(hash, self.earlier()), self._ids))
        return row.id in self._ids

    def drop_known(self, rows: Sequence[Prediction]) -> RecordBatch:
        """Return the rows of a response that are new, and remember them."""
        batch = RecordBatch.of(rows)
        fresh = batch if self._all_pass(batch) else self._pass_each(batch)
        self.count += len(fresh)
        return fresh

    def _all_pass(self, rows: RecordBatch) -> bool:
        """The common case, fast: each row has its own creation time, and all come in order."""
        if not (self.ordered and rows.order is self._is_behind):
            return False
        first, last = rows.times_to_compare
        if not first or (self.last and not self._is_behind(self.last, first)):
            return False
        self.first, self.last, self.ties = self.first or first, last, {rows.ids[-1]}
        self._note(rows.ids)
        return True

    def _pass_each(self, rows: RecordBatch) -> RecordBatch:
        """Check row by row. A rejected row has no id, so it is a repeat if a known row follows it."""
        fresh: dict[str, Prediction] = {}
        rejected: list[Prediction] = []
        for row in rows:
            if row.fault is not None:
                rejected.append(row)
            elif row.id in fresh or self.knows(row):
                rejected.clear()
            else:
                fresh[row.id] = row
                self._pass(row)
        for row in fresh.values():
            if self.first is None or self._lies_in_front(row):
                self.first = row.created_at
        self._note(fresh)
        found = [*fresh.values(), *rejected]
        return rows if len(found) == len(rows) and not rejected else RecordBatch(found)

    def _pass(self, row: Prediction) -> None:
        """Move on to a row, unless it lies before the last one."""
        if not self.ordered:
            return
        if row.created_at == self.last:
            if len(self.ties) < MAX_TIES:
                self.ties.add(row.id)
        elif self._lies_ahead(row):
            self.last, self.ties = row.created_at, {row.id}

    def _lies_ahead(self, row: Prediction) -> bool:
        last, created = self.last, row.created_at
        return last is None or created is None or self._is_behind(last, created)

    def _lies_in_front(self, row: Prediction) -> bool:
        first, created = self.first, row.created_at
        return first is not None and created is not None and self._is_behind(created, first)

    def _note(self, ids: Collection[str]) -> None:
        known = set(ids)
        self._ids.add(map(hash, ids))
        self._recent.append(known)
        self._top = self._top or known
