"""Each part of ``make soak``, small: what it measures for an hour, it can still measure."""

from __future__ import annotations

from collections import Counter

import pytest
from soak import histories, landing, rate_limiter, waits
from soak.common import FAULTS, mix
from soak.rate_limiter import SCENARIOS, densest
from soak.waits import polls

from tests.faults import RandomFaults, RateLimitRule, Seen
from tests.simulation.scenarios import SCENARIOS as SIMULATED


@pytest.mark.faults
def test_a_list_that_changes_lands_whole_while_requests_fail() -> None:
    report = landing.run(1500, rate=0.1, services=("cradl",))

    assert report.broken == []
    assert ("attempts; the first was killed halfway", "2") in report.rows


@pytest.mark.faults
def test_histories_of_landings_are_counted() -> None:
    report = histories.run(2)

    assert report.broken == []
    assert [(row[0], row[1], row[4]) for row in report.rows] == [(name, "2", "0") for name in SIMULATED]


@pytest.mark.faults
def test_many_waits_leave_nothing_behind() -> None:
    report = waits.run(60, 0.12, speed=120, longest=300)

    assert report.broken == []


@pytest.mark.faults
def test_landings_at_once_respect_a_limit_that_only_the_service_knows() -> None:
    report = rate_limiter.run(3, 300, scenarios=SCENARIOS[2:], services=("cradl",), per_second=4)

    assert report.broken == []
    assert len(report.rows) == 2


def test_a_list_that_is_read_again_after_a_failure_may_belong_to_the_poll_that_failed() -> None:
    assert list(polls([10, 20, 30], failed=())) == [(10, 20), (20, 30)]
    assert list(polls([10, 11, 20, 30], failed=[10.5])) == [(10, 20), (20, 30)]
    assert list(polls([10, 11, 12, 20, 30], failed=[10.5, 11])) == [(10, 20), (20, 30)]
    assert list(polls([10, 20], failed=[10])) == []


def test_the_densest_window_is_found() -> None:
    assert densest([], 60) == 0
    assert densest([61, 0, 60, 59.9, 60.1], 60) == 4


def seen(part: str, at: float) -> Seen:
    return Seen(part, "", "", None, "GET", at)


def test_random_faults_hit_a_share_of_one_part_in_every_way() -> None:
    chance = RandomFaults("cradl", 0.05, mix("cradl"), seed=3)
    faults = Counter(bool(chance(seen("cradl", n))) for n in range(100_000))

    assert 4_700 < faults[True] < 5_300
    assert chance.observed.total() == faults[True]
    assert set(chance.observed) == set(FAULTS[:-1])
    assert not any(chance(seen("vlmrun", n)) for n in range(1000))


def test_a_limit_takes_so_many_in_any_window() -> None:
    limit = RateLimitRule("vlmrun", 2, 60)

    taken = [limit(seen("vlmrun", at)) is None for at in (0, 30, 59, 60, 61, 89, 90)]

    assert taken == [True, True, False, True, False, False, True]
    assert limit.refused == 3
    assert limit(seen("cradl", 90)) is None
