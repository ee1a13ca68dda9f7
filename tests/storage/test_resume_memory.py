"""What a landing of a long list keeps in memory where it resumes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from contextlib import suppress

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_predictions.api.page import Page
from tests.storage.landings import Machine
from tests.storage.test_landing import SERVICE, BrokenOffError, landing, page

LONG = "x" * 200_000


def long_page(start: int) -> Page:
    """A page that fills a part, whose ids take as much memory as those of many records."""
    rows = (b'{"id":"%s%d"}' % (LONG.encode(), number) for number in range(start, start + 5))
    return Page(tuple(map(SERVICE.row, rows)))


def test_a_resumed_landing_takes_the_same_memory_however_much_had_landed(
    file_store: ObjectStoragePath, new_machine: Callable[[], Machine]
) -> None:
    """The first checkpoint after a resume holds the ids of all records, and the third attempt reads it."""
    peaks = []
    for pages in (1, 12):
        path = file_store / str(pages)
        new_machine()
        with suppress(BrokenOffError), landing(path) as first:
            for number in range(pages):
                first.take(long_page(5 * number), {"skip": number}, number)
            raise BrokenOffError
        new_machine()
        tracemalloc.start()
        with landing(path, number=2) as second:
            second.take(page(*range(5)), {"skip": pages}, pages)
            new_machine()
            with landing(path, number=3) as third:
                assert len(third.progress.parts) == pages + 1
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert peaks[1] < peaks[0] + 2_000_000
