"""What is landed, where, and what may happen there."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from tests.simulation.listing import DOMAINS, Arguments

RUNS = ("a", "b")
BY_DAY = Arguments(partition_by="created_date", records_per_part=1)
"""Ten parts are written at once, which is about the whole list."""


@dataclass(frozen=True)
class Scenario:
    """What is landed, and where.

    :param incremental: else anew by each run.
    :param local: in a directory, else in an object store.
    :param arguments: those that its task may have; the last run has those of the newest commit.
    :param begins: with which of them the other runs begin.
    :param creates: see ``Store.begin``. A store without conditional puts has one attempt at a time.
    :param freedoms: what may happen beside what may happen everywhere; see ``options``.
    :param has_ids: see ``Task``.
    """

    incremental: bool
    local: bool = False
    arguments: tuple[Arguments, ...] = (Arguments(),)
    begins: tuple[int, int] = (0, 0)
    creates: str = "created"
    freedoms: Set[str] = frozenset()
    has_ids: bool = True


SCENARIOS = {
    "incremental, store": Scenario(incremental=True, local=False),
    "incremental, local": Scenario(incremental=True, local=True),
    "anew, store": Scenario(incremental=False, local=False),
    "anew, local": Scenario(incremental=False, local=True),
    "anew, two filters": Scenario(
        incremental=False,
        arguments=(Arguments(), *(Arguments(domains=(domain,)) for domain in DOMAINS)),
        begins=(1, 2),
    ),
    "incremental, odd answers": Scenario(incremental=True, freedoms={"odd"}),
    "anew, odd answers": Scenario(incremental=False, freedoms={"odd"}),
    "incremental, conditions refused": Scenario(incremental=True, creates="501"),
    "incremental, conditions ignored": Scenario(incremental=True, creates="ignored"),
    "anew, conditions refused": Scenario(incremental=False, creates="501"),
    "incremental, other statuses": Scenario(
        incremental=True,
        arguments=(Arguments(), Arguments(statuses=("completed",)), Arguments(compression="gzip")),
        begins=(1, 1),
        freedoms={"other"},
    ),
    "incremental, other max_age": Scenario(
        incremental=True,
        arguments=(Arguments(), Arguments(max_age=1800.0)),
        begins=(1, 1),
        freedoms={"other"},
    ),
    "anew, other arguments": Scenario(
        incremental=False,
        arguments=(
            Arguments(),
            Arguments(statuses=("completed",)),
            Arguments(domains=DOMAINS[:1]),
            Arguments(compression="gzip"),
        ),
        begins=(1, 2),
        freedoms={"other"},
    ),
    "anew, other account": Scenario(
        incremental=False,
        arguments=(Arguments(), *(Arguments(account=domain) for domain in DOMAINS)),
        begins=(1, 2),
        freedoms={"other"},
    ),
    "incremental, made anew": Scenario(incremental=True, freedoms={"again", "clear"}),
    "incremental, made anew, no ids": Scenario(incremental=True, freedoms={"again", "clear"}, has_ids=False),
    "anew, made anew": Scenario(incremental=False, freedoms={"again", "clear"}),
    "anew, made anew, no ids": Scenario(incremental=False, freedoms={"again", "clear"}, has_ids=False),
    "incremental, dates ahead": Scenario(incremental=True, freedoms={"ahead"}),
    "incremental, by day": Scenario(incremental=True, arguments=(BY_DAY,)),
    "anew, by day": Scenario(incremental=False, arguments=(BY_DAY,)),
    "anew, by day, local": Scenario(incremental=False, local=True, arguments=(BY_DAY,)),
    "incremental, no room": Scenario(incremental=True, freedoms={"full"}),
    "anew, no room": Scenario(incremental=False, freedoms={"full"}),
}
