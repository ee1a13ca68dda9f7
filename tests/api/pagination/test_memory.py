"""What a pass over a long list keeps in memory."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Sequence

import pytest

from airflow_provider_predictions.api.models import GetRequest
from tests.api.lists import Listing, Row, pages, paginator_of
from tests.api.services import VLMRUN

pytestmark = pytest.mark.usefixtures("quiet")


MANY = pytest.mark.parametrize("many", [50_000, pytest.param(300_000, marks=pytest.mark.slow)])


def growth(numbers: Sequence[int], memory: Callable[[], int]) -> int:
    """Bytes that the last nine tenths of a list add to what its first tenth takes."""
    listing, read, few = Listing(Row(f"row{n}", -n) for n in numbers), 0, 0
    texts = [row.text("id", "created_at") for row in listing.rows]

    class Printed:
        def answer(self, request: GetRequest) -> bytes:
            skip, limit = int(request.params["skip"]), int(request.params["limit"])
            return f"[{','.join(texts[skip : skip + limit])}]".encode()

    for page in pages(paginator_of(VLMRUN), Printed(), most=400):
        read += len(page.predictions)
        if not few and read >= len(numbers) / 10:
            few = memory()
    assert read == len(numbers)
    return memory() - few


def traced() -> int:
    """The most that was allocated since the first call; what the test itself holds was before that."""
    tracemalloc.start()
    return tracemalloc.get_traced_memory()[1]


@MANY
def test_a_list_in_order_takes_the_same_memory_however_long_it_is(many: int) -> None:
    try:
        assert growth(range(many), traced) < 2_000_000
    finally:
        tracemalloc.stop()


PEAK = """
import random, resource, sys
from tests.api.pagination.test_memory import growth
many = int(sys.argv[1])
numbers = random.Random(1).sample(range(many), many)
print(growth(numbers, lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))
"""


@MANY
def test_a_list_out_of_order_takes_little_memory_a_row(many: int) -> None:
    """Of the process, since tracemalloc does not see what SQLite takes."""
    run = subprocess.run([sys.executable, "-c", PEAK, str(many)], capture_output=True, text=True, check=True)

    assert int(run.stdout.splitlines()[-1]) <= 64 * many * 9 // 10
