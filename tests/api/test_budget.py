"""When requests may start."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_predictions.api.retry import DOUBLINGS, LONGEST_WAIT, Budget


class Account:
    """A service that takes so many requests in any 60 seconds, and its client, on a made clock."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.now = 0.0
        self.taken: list[float] = []
        self.refused = 0
        self.budget = Budget(window=60)

    def request(self) -> bool:
        """Wait for a turn and use it; whether it was taken."""
        self.now += self.budget.reserve(self.now)
        if sum(start > self.now - 60 for start in self.taken) < self.limit:
            self.taken.append(self.now)
            return True
        self.refused += 1
        self.now += self.budget.refused(self.now, None)
        return False


@given(st.integers(1, 5), st.lists(st.floats(0, 30), max_size=40))
def test_no_more_than_the_limit_start_in_any_minute(limit: int, gaps: list[float]) -> None:
    budget = Budget(limit)
    now, starts = 0.0, []
    for gap in gaps:
        now += gap
        starts.append(now + budget.reserve(now))

    starts.sort()
    assert all(later - earlier >= 59.999 for earlier, later in zip(starts, starts[limit:], strict=False))


def test_an_account_of_ten_requests_a_minute_is_read_to_the_end_with_few_refusals() -> None:
    account = Account(limit=10)

    taken = sum(account.request() for _ in range(250))

    assert taken + account.refused == 250
    assert account.refused <= account.now / 60 + 1
    assert taken >= 0.7 * 10 * account.now / 60


def test_after_a_refusal_no_more_start_in_a_window_than_were_taken() -> None:
    budget = Budget(window=60)
    for _ in range(6):
        budget.reserve(0)

    assert budget.refused(0, None) == 60
    assert [budget.reserve(60) for _ in range(10)] == [0] * 10
    assert budget.reserve(60) == 60


def test_a_learned_limit_is_forgotten() -> None:
    budget = Budget(window=60)
    budget.reserve(0)
    budget.refused(0, None)

    assert {budget.reserve(60.0 * DOUBLINGS) for _ in range(1000)} == {0}


def test_what_the_service_asks_for_pauses_everybody_and_has_a_bound() -> None:
    budget = Budget()
    budget.reserve(0)

    assert budget.refused(0, 17) == 17
    assert budget.reserve(1) == 16
    budget.refused(20, 10**9)
    assert budget.reserve(20) == LONGEST_WAIT


def test_who_asks_once_waits_for_the_given_limit_only() -> None:
    budget = Budget(2)
    budget.reserve(0)
    budget.refused(0, 100)

    assert [budget.reserve(0, patient=False) for _ in range(3)] == [0, 0, 60]
