"""``make mutation``: change one thing at a time in api/ and storage/, and see whether a test notices.

``MINUTES=10`` tries for so long, ``MODULES="api.http.retry api.pagination.seen"`` changes these alone; then
nothing is written. A change that a test has noticed is not tried again while the code and that test are the
same, so a further run goes on where the last one has ended.
"""

from __future__ import annotations

import argparse
import os
import random
import time
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from tables import write

from mutation.mutants import ROOT, Mutant, modules, mutants
from mutation.runner import Baseline, outcomes, prepared

PAGE = ROOT / "docs" / "evidence.md"
EXPLAINED = ROOT / "tests" / "mutation.toml"
SEED = 7
CONTROLS = 25
"""Of so many mutants, one is tried without its change too: what fails then fails for another reason."""
COLUMNS = ("module", "mutants", "tried", "killed", "survived, explained", "survived", "score")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="module", help="such as api.http.retry; by default all")
    parser.add_argument("--minutes", type=float, default=30, help="by default 30; after them, none is begun")
    given = parser.parse_args()
    if unknown := {*given.modules} - {*modules()}:
        parser.error(f"no such module: {', '.join(sorted(unknown))}")
    everything = [mutant for module in modules() for mutant in mutants(module)]
    explained = explanations(everything)
    chosen = [mutant for mutant in everything if not given.modules or mutant.module in given.modules]
    # A sample of the whole, however many the minutes allow, and the same in each run.
    random.Random(SEED).shuffle(chosen)
    tried, survived, controls = list[Mutant](), list[Mutant](), Counter[bool]()
    with prepared():
        baseline, processes = Baseline(), os.cpu_count() or 1
        try:
            for mutant, killer in outcomes(in_time(chosen, given.minutes), baseline, processes):
                if mutant.is_unchanged:
                    controls[killer is None] += 1
                    if killer:
                        print(f"Without a change, {killer} fails", flush=True)
                    continue
                tried.append(mutant)
                if killer:
                    baseline.killed[mutant.name] = killer
                else:
                    survived.append(mutant)
                    if key(mutant) not in explained:
                        print(mutant.name, flush=True)
        finally:
            baseline.keep()
    table = table_of(chosen, tried, survived, explained)
    if controls[False] > controls[True]:
        raise SystemExit("Most tests fail without a change, so nothing is known of the changes")
    control = f"Of {controls.total()} trials without a change, {controls[True]} survived."
    print(table, control, sep="\n")
    if not given.modules:
        when = f"Measured on {datetime.now(UTC):%Y-%m-%d} with {processes} processes"
        write(PAGE, "make mutation", f"{when}, in {given.minutes:g} minutes. {control}\n\n{table}")


def in_time(chosen: Iterable[Mutant], minutes: float) -> Iterator[Mutant]:
    """As many as can be begun, and some of them without their change too."""
    end = time.monotonic() + 60 * minutes
    for number, mutant in enumerate(chosen):
        if time.monotonic() > end:
            return
        yield mutant
        if number % CONTROLS == 0:
            yield mutant.unchanged


def key(mutant: Mutant) -> tuple[str, str, str]:
    """A mutant, wherever in its module it stands by now."""
    return (mutant.module, *mutant.change)


def explanations(everything: list[Mutant]) -> set[tuple[str, str, str]]:
    """The mutants of which it is said why no test tells them from the code."""
    found = {
        (entry["module"], before, after)
        for entry in tomllib.loads(EXPLAINED.read_text())["explained"]
        for before, after in entry["changes"]
    }
    if stale := found - set(map(key, everything)):
        # The code has changed since; they can go.
        print("No such mutant, but an explanation:", *map(" | ".join, sorted(stale)), sep="\n", flush=True)
    return found


def table_of(
    chosen: list[Mutant], tried: list[Mutant], survived: list[Mutant], explained: set[tuple[str, str, str]]
) -> str:
    counts = [Counter(mutant.module for mutant in found) for found in (chosen, tried, survived)]
    counts.append(Counter(mutant.module for mutant in survived if key(mutant) in explained))
    rows = [row(module, *(count[module] for count in counts)) for module in sorted(counts[0])]
    rows.append(row("all", *(count.total() for count in counts)))
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in [COLUMNS, ["---"] * len(COLUMNS), *rows])


def row(module: str, mutants: int, tried: int, survived: int, explained: int) -> list[object]:
    killed, rest = tried - survived, survived - explained
    score = f"{killed / (killed + rest):.0%}" if killed + rest else ""
    return [module, f"{mutants:,}", f"{tried:,}", f"{killed:,}", explained, rest, score]


if __name__ == "__main__":
    main()
