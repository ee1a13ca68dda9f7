"""No target is met or missed by what has not landed."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_predictions.report.summary import Target
from airflow_provider_predictions.report.window import make_window
from tests.report.landed import FORMS, land, report
from tests.report.records import field

START, END, DAY = datetime(2026, 11, 28, tzinfo=UTC), datetime(2026, 11, 29, tzinfo=UTC), timedelta(days=1)
WINDOW = make_window("day", "UTC", END)
AFTER = END + timedelta(hours=1)
GROUPS = ("a", "b", "c", "never")


def vlmrun(day: datetime, group: str, number: int) -> bytes:
    created = day + timedelta(minutes=number)
    record = {"id": f"{group} {created}", "status": "completed", "domain": group}
    return json.dumps(record | {"created_at": created.isoformat()}).encode()


@pytest.mark.parametrize("seed", range(6))
def test_a_group_that_stopped_counts_as_none_and_one_that_never_was_meets_no_bound(
    seed: int, tmp_path: Path
) -> None:
    """Whenever it stopped within the periods that are read, or before them."""
    rng = random.Random(seed)
    last = {group: rng.randrange(10) for group in GROUPS[:-1]}  # days before the end
    days = [START - DAY * age for age in range(10)]
    records = [
        vlmrun(day, group, number)
        for group, age in last.items()
        for day in days[age:]
        for number in range(rng.randrange(1, 4))
    ] + [vlmrun(day, "other", 0) for day in days]
    land("vlmrun", tmp_path / "landed", records, at=AFTER)
    now = {group: sum(vlmrun(START, group, number) in records for number in range(4)) for group in GROUPS}
    bounds = {f"predictions:{group}": {rng.choice(("min", "max")): rng.randrange(4)} for group in GROUPS}

    targets = report(str(tmp_path / "landed"), WINDOW, tmp_path / "files", targets=bounds)["targets"]

    for target in targets:
        count, group = now[str(target["group"])], str(target["group"])
        is_missed = (target["min"] or 0) > count or (target["max"] is not None and target["max"] < count)
        has_occurred = last.get(group, 99) < 8
        state = "missed" if is_missed else "met" if has_occurred else "unknown"
        assert target["state"] == state, (target, last)
        assert (target["why"] == "") == has_occurred


@pytest.mark.parametrize(("bound", "state"), [({"min": 1}, "missed"), ({"max": 1}, "unknown")])
def test_a_group_that_occurs_nowhere_misses_its_minimum(
    bound: dict[str, float], state: str, tmp_path: Path
) -> None:
    """After eight days without predictions, no period that is read has the group."""
    land("vlmrun", tmp_path / "landed", [vlmrun(START, "a", 1)], at=AFTER)

    summary = report(str(tmp_path / "landed"), WINDOW, tmp_path / "files", targets={"predictions:b": bound})

    (target,) = summary["targets"]
    assert (target["state"], target["why"]) == (state, "there is no b in the periods that were read")
    assert (summary["verdict"]["text"] == "Look at b: predictions 0.") == (state == "missed")


def cradl(rng: random.Random, day: datetime, number: int) -> dict[str, Any]:
    created = day + timedelta(minutes=number)
    fields = [field("total", 0.9, **complaints(rng)) for _ in range(rng.randrange(3))]
    record = {"predictionId": f"{created}", "createdTime": created.isoformat(), "modelId": "m"}
    return (
        record
        | {"status": "succeeded", "fileUrl": "http://localhost/f", "predictions": fields}
        | complaints(rng)
    )


def complaints(rng: random.Random) -> dict[str, Any]:
    return {kind: ["blurred"] for kind in ("errors", "warnings") if rng.random() < 0.2}


def without_values(rng: random.Random, record: dict[str, Any]) -> dict[str, Any]:
    """As Cradl lists it, with or without a file."""
    return record | {"predictions": None, "fileUrl": rng.choice((record["fileUrl"], None))}


def judged(path: Path, records: list[dict[str, Any]], form: str, bounds: Any) -> tuple[list[Target], Any]:
    land("cradl", path / "landed", [json.dumps(one).encode() for one in records], form, at=AFTER)
    summary = report(str(path / "landed"), WINDOW, path / "files", targets=bounds)
    return summary["targets"], summary


@pytest.mark.parametrize("seed", range(8))
def test_values_that_were_not_read_would_change_no_judgement(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    whole = [cradl(rng, day, number) for day in (START - DAY, START) for number in range(rng.randrange(1, 8))]
    share = rng.choice((0, 0.2, 1))
    landed = [without_values(rng, one) if rng.random() < share else one for one in whole]
    lacking = sum(one["predictions"] is None and START.isoformat() <= one["createdTime"] for one in landed)
    names = ("errors", "warnings", "fields", "errors:blurred", "fields:total")
    bounds = {name: {rng.choice(("min", "max")): rng.randrange(4)} for name in names}
    form = rng.choice(FORMS)[0]

    known, _ = judged(tmp_path / "whole", whole, form, bounds)
    found, summary = judged(tmp_path / "part", landed, form, bounds)

    for truth, target in zip(known, found, strict=True):
        # What nobody complained of may be a message that is spelled wrong.
        assert target["state"] in (truth["state"], "unknown") or truth["state"] == "unknown", (truth, target)
        assert (target["state"] == truth["state"]) or lacking
    measures = summary["measures"]
    assert all(measures[name]["now"] != 0 for name in names[:3]) or not lacking
    notes = [note for note in summary["notes"] if note.startswith(f"The values of {lacking} prediction")]
    assert len(notes) == bool(lacking)


@pytest.mark.parametrize(("hour", "state"), [(-1, "unknown"), (0, "unknown"), (1, "met")])
def test_a_period_in_which_no_landing_has_read_the_list_meets_no_maximum(
    hour: int, state: str, tmp_path: Path
) -> None:
    rng, bounds = random.Random(1), {"failed": {"max": 0}, "predictions": {"max": 9}}
    rows = [json.dumps(cradl(rng, START - DAY, number)).encode() for number in range(3)]
    land("cradl", tmp_path / "a", rows, at=START + timedelta(hours=hour))

    targets = report(str(tmp_path / "a"), WINDOW, tmp_path / "files", targets=bounds)["targets"]

    assert [target["state"] for target in targets] == [state, state]


def test_a_period_in_which_no_landing_has_read_the_list_misses_its_minimum(tmp_path: Path) -> None:
    rows = [json.dumps(cradl(random.Random(1), START - DAY, 1)).encode()]
    land("cradl", tmp_path / "a", rows, at=START - DAY / 2)
    bounds = {"predictions": {"min": 1, "max": 9}}

    (target,) = report(str(tmp_path / "a"), WINDOW, tmp_path / "files", targets=bounds)["targets"]

    assert (target["state"], target["now"]) == ("missed", 0)


def test_errors_that_were_not_read_are_no_change(tmp_path: Path) -> None:
    rng = random.Random(1)
    before = [cradl(rng, START - DAY, number) | {"errors": ["blurred"]} for number in range(40)]
    now = [without_values(rng, cradl(rng, START, number)) | {"errors": None} for number in range(40)]

    targets, summary = judged(tmp_path, before + now, "jsonl", {"errors": {"max": 0}})

    assert targets[0]["why"] == "the values of 40 predictions have not landed"
    assert {one["measure"] for one in summary["changes"]}.isdisjoint({"errors", "warnings"})
    assert summary["measures"]["errors"]["now"] is None
