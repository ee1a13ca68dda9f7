"""A report gives no number of a period that its landings do not hold completely."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from airflow_provider_predictions.report.summary import Summary
from airflow_provider_predictions.report.window import make_window
from tests.report.landed import land, report

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
END = datetime(2026, 11, 29, tzinfo=UTC)
FIRST = END - 9 * DAY
"""A day before the oldest period."""
WINDOW = make_window("day", "UTC", END)
HOURS = 9 * 24
MISSING = "may be missing here"
NO_SHRINK = [Phase.explicit, Phase.generate]
NONE = "No predictions were created in this period."


def moment(hour: float) -> datetime:
    return FIRST + hour * HOUR


def records(service: str, name: str, hours: Iterable[float]) -> list[bytes]:
    """Finished predictions that were created at these hours."""
    names = ("id", "created_at") if service == "vlmrun" else ("predictionId", "createdTime")
    status = "completed" if service == "vlmrun" else "succeeded"
    return [
        json.dumps(
            dict(zip(names, (f"{name} {hour}", moment(hour).isoformat()), strict=True)) | {"status": status}
        ).encode()
        for hour in hours
    ]


def filters(after: datetime | None = None, before: datetime | None = None) -> dict[str, Any]:
    times = {"created_after": after, "created_before": before}
    return {"statuses": None} | {name: time.isoformat() for name, time in times.items() if time}


@dataclass(frozen=True)
class Run:
    """A run of a landing task that did not fail.

    :param began: the hour when it began to read the list.
    :param hours: until it committed.
    """

    began: float
    hours: float = 0.0

    @property
    def day(self) -> int:
        """The day that it lands, where each has a window of its own. Some runs do not wait for its end."""
        return int((self.began - 20) / 24)

    @property
    def times(self) -> dict[str, datetime]:
        return {"began": moment(self.began), "at": moment(self.began + self.hours)}


@dataclass(frozen=True)
class Account:
    """An account of a service, and how it lands: incrementally, each day anew, or all again and again.

    :param created: the hours when its predictions were created.
    :param after: the hour that its user gave as ``created_after``.
    :param source: what of an incremental path is given to the report: the path, the output of the last run,
        or both.
    """

    service: str
    kind: str
    created: Sequence[float]
    runs: Sequence[Run]
    after: float = -99
    source: str = "path"

    def on(self, day: int) -> int:
        """How many predictions were created on a day."""
        return sum(24 * day <= hour < 24 * (day + 1) for hour in self.created)

    def land(self, root: Path) -> tuple[list[Any], float]:
        """Land, and return what is given to the report, and until when it can know of predictions."""
        return {"incremental": self._incremental, "days": self._days, "all": self._all}[self.kind](root)

    def _lists(self, run: Run, first: float, last: float) -> list[float]:
        """What a run finds within a window. Of what is created while it reads, it finds some."""
        late = run.began + run.hours
        found = (hour for hour in self.created if hour < run.began or (hour < late and not int(hour) % 2))
        return [hour for hour in found if first <= hour < last]

    def _incremental(self, root: Path) -> tuple[list[Any], float]:
        landed: set[float] = set()
        output, ended = None, 0.0
        for run in self.runs:
            new = [hour for hour in self._lists(run, self.after, HOURS + 99) if hour not in landed]
            # A later run begins at the watermark, and its manifest says so.
            after = max(self.after, run.began - 48) if output else self.after
            span = filters(moment(after) if after > -99 else None)
            lands = records(self.service, root.name, new)
            output = land(self.service, root, lands, incremental=True, filters=span, **run.times)
            ended = run.began if "committed_at" in output or self.source != "path" else ended
            landed |= {*new}
        return {"path": [str(root)], "output": [output], "both": [output, str(root)]}[self.source], ended

    def _days(self, root: Path) -> tuple[list[Any], float]:
        for run in self.runs:
            first, last = 24 * run.day, 24 * (run.day + 1)
            lands = records(self.service, root.name, self._lists(run, first, last))
            span = filters(moment(first), moment(last))
            land(self.service, root / str(run.day), lands, filters=span, **run.times)
        return [str(root)], max(min(run.began, 24 * (run.day + 1)) for run in self.runs)

    def _all(self, root: Path) -> tuple[list[Any], float]:
        for run in self.runs:
            lands = records(self.service, root.name, self._lists(run, self.after, HOURS + 99))
            span = filters(moment(self.after) if self.after > -99 else None)
            land(self.service, root, lands, filters=span, **run.times)
        return [str(root)], self.runs[-1].began


@st.composite
def accounts(draw: st.DrawFn) -> Account:
    """An account some of whose days are quiet, and some of whose runs failed."""
    busy = draw(st.sets(st.integers(0, 9), min_size=1))
    created = sorted({24 * day + draw(st.integers(0, 23)) + 0.5 for day in sorted(busy) for _ in range(2)})
    began = sorted(draw(st.sets(st.integers(20, HOURS + 12), min_size=1, max_size=7)))
    taken = st.sampled_from([0, 0.2, 2.9])
    return Account(
        draw(st.sampled_from(["vlmrun", "cradl"])),
        draw(st.sampled_from(["incremental", "incremental", "days", "all"])),
        created,
        [
            Run(hour, min(draw(taken), after - hour))
            for hour, after in zip(began, [*began[1:], 999], strict=True)
        ],
        draw(st.sampled_from([-99, -99, 40, HOURS - 30])),
        draw(st.sampled_from(["path", "path", "output", "both"])),
    )


def told_apart(found: list[Account]) -> list[Account]:
    """What is not incremental is complete together, since a backfill has a path for each day."""
    others = {one.service: one for one in found if one.kind != "incremental"}
    return [one for one in found if one.kind == "incremental"] + [*others.values()]


@given(several=st.lists(accounts(), min_size=1, max_size=3).map(told_apart))
@settings(deadline=None, max_examples=25, derandomize=True, phases=NO_SHRINK)
def test_no_number_is_that_of_a_part(several: list[Account]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        landed = [one.land(Path(directory, "in", str(place))) for place, one in enumerate(several)]
        summary = report([source for source, _ in landed], WINDOW, Path(directory, "files"))

    predictions = summary["measures"]["predictions"]
    now, *earlier = reversed(predictions["history"])
    assert (predictions["now"], predictions["before"]) == (now, earlier[0])
    for day, value in zip(range(7, 0, -1), earlier, strict=False):
        alive = [one.on(day) for one, (_, ended) in zip(several, landed, strict=True) if ended > 24 * day]
        assert value in (None, sum(alive))
    if now != sum(one.on(8) for one in several):
        assert [note for note in summary["notes"] if MISSING in note]
        assert summary["verdict"]["text"] != NONE
    if earlier[0] is None:
        assert not summary["changes"]


DAILY = [Run(24 * day + 0.1) for day in range(1, 10)]
"""A run after the end of each day."""


def account(*days: int, **others: Any) -> Account:
    """An incremental path with four predictions on each of these days."""
    created = [24 * day + hour + 0.5 for day in days for hour in (3, 9, 15, 21)]
    return Account(**{"service": "vlmrun", "kind": "incremental", "created": created, "runs": DAILY} | others)


def landed(base: Path, **several: Account) -> Summary:
    """The report on the directory above the paths of some accounts."""
    for name, one in several.items():
        one.land(base / "in" / name)
    return report(str(base / "in"), WINDOW, base / "files", targets={"failed_share": {"max": 0.5}})


def history(summary: Summary) -> list[float | None]:
    return summary["measures"]["predictions"]["history"]


def test_where_all_has_landed_nothing_is_noted(tmp_path: Path) -> None:
    days = account(*range(9), kind="days", runs=[Run(24 * day + 0.1) for day in range(1, 10)])

    summary = landed(tmp_path, a=account(*range(9)), b=account(*range(9)), c=days)

    assert (history(summary), summary["notes"]) == ([12] * 8, [])


def test_a_path_in_which_nothing_lands_any_more_is_named(tmp_path: Path) -> None:
    summary = landed(tmp_path, a=account(*range(9)), b=account(*range(9), runs=DAILY[:-1]))

    assert summary["notes"] == [
        f"The newest landing of VLM Run under {tmp_path}/in/b began at 2026-11-28 00:06, before the end of "
        "the period. Predictions that were created later may be missing here. A run that finds nothing "
        "leaves no trace."
    ]


def test_a_path_that_was_given_up_is_noted_and_hides_no_comparison(tmp_path: Path) -> None:
    summary = landed(tmp_path, a=account(*range(9)), b=account(*range(9), runs=DAILY[:5]))

    assert [note[: note.index(" began")] for note in summary["notes"]] == [
        f"The newest landing of VLM Run under {tmp_path}/in/b"
    ]
    # On the day of its last landing, a few minutes of it are there.
    assert history(summary) == [8, 8, 8, 8, None, 4, 4, 4]


def test_a_path_that_begins_is_not_taken_for_a_change(tmp_path: Path) -> None:
    summary = landed(tmp_path, a=account(*range(9)), b=account(8, runs=DAILY[-1:]))

    assert (history(summary), summary["changes"]) == ([None, 8], [])
    assert summary["text"].startswith("VLM Run, 28 November 2026: 8 predictions, 0.0")
    assert [note.split(", so")[0] for note in summary["notes"]] == [
        f"The sources hold nothing of VLM Run under {tmp_path}/in/b created before 2026-11-28 03:30"
    ]


@pytest.mark.parametrize(
    ("failed", "known", "notes"),
    [
        (
            7,
            [4, 4, 4, 4, 4, 4, None, 4],
            ["The landings leave out a part of the period before, so nothing is"],
        ),
        (5, [4, 4, 4, 4, None, 4, 4, 4], []),
        (1, [4, 4, 4, 4, 4, 4, 4], []),
    ],
)
def test_a_day_that_never_landed_is_not_one_without_predictions(
    failed: int, known: list[float | None], notes: list[str], tmp_path: Path
) -> None:
    runs = [run for day, run in enumerate(DAILY) if day != failed]

    summary = landed(tmp_path, a=account(*range(9), kind="days", runs=runs))

    assert history(summary) == known
    assert [note.split(" compared")[0] for note in summary["notes"]] == notes
    page = (tmp_path / "files/report.html").read_text()
    assert all(note in page for note in summary["notes"])


@pytest.mark.parametrize("day", [5, 7, 8])
def test_the_history_begins_where_the_last_service_does(day: int, tmp_path: Path) -> None:
    cradl = account(*range(9), service="cradl", kind="all", runs=DAILY[-1:], after=24 * day)

    summary = landed(tmp_path, a=account(*range(9)), b=cradl)

    assert history(summary) == ([8] * (9 - day) if day < 8 else [None, 8])


def test_a_landing_lacks_what_was_created_while_it_read(tmp_path: Path) -> None:
    for kind in ("incremental", "all"):
        base = tmp_path / kind
        created = [*account(*range(9)).created, HOURS - 0.01]

        summary = landed(
            base, a=account(kind=kind, created=created, runs=[*DAILY[:-1], Run(HOURS - 0.1, 0.3)])
        )

        assert history(summary)[-1] == 4
        assert [note[:57] for note in summary["notes"]] == [
            "The newest landing of VLM Run began at 2026-11-28 23:54, "
        ]


def test_what_a_commit_that_is_not_given_landed_in_the_minute_of_the_next_is_missing(tmp_path: Path) -> None:
    begins = [HOURS - 48 + 20 / 3600, HOURS - 48 + 40 / 3600, HOURS + 1]

    _, *given = [
        land(
            "vlmrun",
            tmp_path / "a",
            records("vlmrun", "a", [began - 1 / 3600]),
            incremental=True,
            began=moment(began),
            at=moment(began),
        )
        for began in begins
    ]

    assert history(report(given, WINDOW, tmp_path / "files"))[-2] is None


@pytest.mark.parametrize(("began", "is_cut"), [(-1, True), (1, False)])
def test_a_manifest_says_when_its_landing_began_if_not_in_the_minute_of_the_commit(
    began: int, is_cut: bool, tmp_path: Path
) -> None:
    moments = {"began": END + timedelta(seconds=began), "at": END + timedelta(seconds=59)}

    manifest = land("vlmrun", tmp_path / "a", records("vlmrun", "a", [HOURS - 1]), **moments)

    assert ("started_at" in manifest) == is_cut
    assert len(report(manifest, WINDOW, tmp_path / "files")["notes"][1:]) == is_cut


def test_of_a_manifest_that_does_not_say_when_its_landing_began_the_commit_counts(tmp_path: Path) -> None:
    rows, began = records("vlmrun", "a", [HOURS - 1]), END - timedelta(minutes=1)
    manifest = land("vlmrun", tmp_path / "a", rows, at=END, began=began)
    old = {name: fact for name, fact in manifest.items() if name != "started_at"}

    assert len(report(manifest, WINDOW, tmp_path / "files")["notes"][1:]) == 1
    assert report(old, WINDOW, tmp_path / "files")["notes"][1:] == []


@pytest.mark.parametrize(("source", "notes"), [("path", 1), ("both", 0)])
def test_a_quiet_evening_is_told_apart_from_an_outage_by_the_output_of_the_last_run(
    source: str, notes: int, tmp_path: Path
) -> None:
    quiet = account(*range(8), created=[30.5, 180.5, HOURS - 20], source=source)
    runs = [Run(hour + 0.1) for hour in range(25, HOURS + 2)]

    sources, _ = Account(**{**vars(quiet), "runs": runs}).land(tmp_path / "in")
    summary = report(sources, WINDOW, tmp_path / "files")

    assert history(summary)[-2:] == [1, 1]
    assert len(summary["notes"]) == notes
    for note in summary["notes"]:
        assert note.endswith("may be missing here. A run that finds nothing leaves no trace.")


@pytest.mark.parametrize("count", [0, 1])
def test_the_output_of_one_run_is_not_taken_for_all_that_has_landed(count: int, tmp_path: Path) -> None:
    created = [*account(*range(9)).created][: None if count else -1]
    path = account(created=created, runs=[*DAILY[:-1], Run(HOURS - 1.5), Run(HOURS + 1)], source="output")
    created += [HOURS - 1] * count

    sources, _ = path.land(tmp_path / "in")
    summary = report(sources, WINDOW, tmp_path / "files")

    assert history(summary) == [None, count]
    assert summary["notes"] == [
        f"The sources hold only some of the landings under {tmp_path}/in, so predictions may be missing "
        "here. Give the report that path."
    ]
    assert summary["verdict"]["text"] != NONE


@pytest.mark.parametrize("is_first", [True, False])
def test_the_output_of_a_run_that_committed_nothing_hides_no_later_commit(
    is_first: bool, tmp_path: Path
) -> None:
    """Both have the number after that of the newest commit."""
    root, empty = tmp_path / "landed", {"watermark": None, "unfinished": 0}
    land("vlmrun", root, records("vlmrun", "a", [HOURS - 20]), incremental=empty, at=END + HOUR / 2)
    output = land("vlmrun", root, [], incremental=True, at=END + HOUR)
    land("vlmrun", root, [], incremental=empty | {"unfinished": 3}, at=END + 2 * HOUR)

    source = [output, str(root)] if is_first else [str(root), output]
    summary = report(source, WINDOW, tmp_path / "files")

    assert "3 predictions were unfinished." in summary["verdict"]["text"]


@pytest.mark.parametrize("after", [None, FIRST - DAY])
def test_a_landing_of_the_newest_predictions_covers_no_period_before_the_oldest_of_them(
    after: datetime | None, tmp_path: Path
) -> None:
    hours = [HOURS - 48 + hour for hour in range(20, 48)]
    given = filters(after) | {"max_predictions": len(hours)}
    land("vlmrun", tmp_path / "a", records("vlmrun", "a", hours), filters=given, at=END)

    summary = report(str(tmp_path / "a"), WINDOW, tmp_path / "files")

    assert history(summary) == [None, 24]
    assert [note.split(" created")[0] for note in summary["notes"]] == [
        "The sources hold nothing",
        "The landings were limited by max_predictions, so predictions may be missing here.",
    ]


def test_a_gap_in_the_period_is_named_though_windows_join(tmp_path: Path) -> None:
    """The first of two windows was read before its end."""
    days = [(-48, -24, HOURS), (-24, -12, HOURS - 22), (-12, 0, HOURS)]
    for start, end, began in days:
        window = filters(END + start * HOUR, END + end * HOUR)
        rows = records("vlmrun", "a", [HOURS + start + 1])
        land("vlmrun", tmp_path / "in" / str(start), rows, filters=window, at=moment(began))

    summary = report(str(tmp_path / "in"), WINDOW, tmp_path / "files")

    assert history(summary) == [None, 2]
    assert f"The landings were limited by created_after, so predictions {MISSING}." in summary["notes"]


def test_landings_without_an_order_are_told_apart_by_their_filters_too(tmp_path: Path) -> None:
    hours = [HOURS - 47, HOURS - 23]
    for path, asked, facts in (
        ("a", {"domains": ["a"]}, {}),
        ("b", {"max_predictions": 2}, {"ordered": False}),
    ):
        rows = records("vlmrun", path, hours if path == "a" else [*hours[1:], HOURS - 2])
        land("vlmrun", tmp_path / "in" / path, rows, filters=filters() | asked, at=END, **facts)

    assert history(report(str(tmp_path / "in"), WINDOW, tmp_path / "files"))[-2] is None


def test_a_landing_that_began_before_the_end_is_the_only_reason_that_is_named(tmp_path: Path) -> None:
    for day, began in (-2, END - DAY), (-1, END - HOUR / 12):
        window = filters(END + day * DAY, END + (day + 1) * DAY)
        rows = records("vlmrun", "a", [HOURS + 24 * day + 1])
        land("vlmrun", tmp_path / "in" / str(day), rows, filters=window, at=began)

    summary = report(str(tmp_path / "in"), WINDOW, tmp_path / "files")

    assert history(summary) == [1, 1]
    assert [note[:57] for note in summary["notes"]] == [
        "The newest landing of VLM Run began at 2026-11-28 23:55, "
    ]
