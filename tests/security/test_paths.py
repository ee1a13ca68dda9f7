"""Whatever lies under a path, nothing is read, written or removed anywhere else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_predictions.api.errors import PredictionsError
from airflow_provider_predictions.operators.report import PredictionsReportOperator
from airflow_provider_predictions.sandbox.server import Sandbox
from tests.given import LAND, context_of, on_machine
from tests.report.landed import land
from tests.report.records import made
from tests.storage.landings import commit_state, down

START, END = datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC)
NAMES = [
    "../victim/part-00000.jsonl",
    "../../victim/part-00000.jsonl",
    "file://{outside}/victim/part-00000.jsonl",
    "{outside}/victim/part-00000.jsonl",
    "s3://other@bucket/part-00000.jsonl",
    "https://127.0.0.1:1/part-00000.jsonl",
]
"""Each ends like a part; beside the manifest there is none that fits it."""
REFUSED = r"is not a (manifest|commit) of a landing|its parts are not those of a landing"
NO_PARTS = [
    "",
    ".",
    "..",
    "../..",
    "../victim",
    "../victim/secret.txt",
    "file://{outside}/victim/secret.txt",
    "/etc/passwd",
    "secret.txt",
    "*.jsonl",
    "part-*.jsonl",
    "part-00000.jsonl\x00",
    "part-00000.jsonl/..",
    "part-00000.jsonl?versionId=1",
    "\\..\\victim",
    "part-\u0660\u0660\u0660\u0660\u0660.jsonl",
    None,
    7,
    ["part-00000.jsonl"],
]


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """The surroundings of a path; in them lies what is none of its business."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "part-00000.jsonl").write_bytes(b'{"id": "of-the-victim"}\n')
    (victim / "part-00001.jsonl").write_bytes(b"{}\n")
    (victim / "_rejected").write_bytes(b"{}\n")
    (victim / "secret.txt").write_bytes(b"of the victim\n")
    return tmp_path


def contents(directory: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in directory.rglob("*") if file.is_file()}


def change(file: Path, value: Any, *where: str | int) -> None:
    """Replace a value in a file of JSON."""
    content = json.loads(file.read_text())
    inner = reduce(getitem, where[:-1], content)
    inner[where[-1]] = value
    file.write_text(json.dumps(content))


def uri_in(outside: Path, uri: Any) -> Any:
    return uri.format(outside=outside) if isinstance(uri, str) else uri


def report_on(source: Any, outside: Path) -> Any:
    task = PredictionsReportOperator(
        task_id="r", source=source, path=f"file://{outside}/report", period=(START, END)
    )
    return task.execute({})


def as_given(path: Path, given: str) -> Any:
    """A landing as a report is told of it."""
    return str(path) if given == "directory" else json.loads((path / "_manifest.json").read_text())


def change_manifest(path: Path, given: str, value: Any, *where: str | int) -> None:
    """Replace a value where a report that is told so reads the manifest: of a directory, in its log."""
    if given == "directory":
        change(path / "_log/00000001.json", value, "manifest", *where)
    else:
        change(path / "_manifest.json", value, *where)


@pytest.mark.parametrize("given", ["directory", "manifest"])
def test_a_report_reads_beside_the_manifest_wherever_its_urls_lead(outside: Path, given: str) -> None:
    path = outside / "landed"
    landed = land("vlmrun", path, made("vlmrun", START, END, len(NAMES)), records_per_part=1)

    for number, uri in enumerate(NAMES):
        own = Path(landed["parts"][number]["url"]).name
        elsewhere = uri_in(outside, uri).replace("part-00000.jsonl", own)
        change_manifest(path, given, elsewhere, "parts", number, "uri")

    result = report_on(as_given(path, given), outside)

    assert result["count"] == len(NAMES)
    assert "of-the-victim" not in str(contents(outside / "report"))


@pytest.mark.parametrize("given", ["directory", "manifest"])
def test_a_report_refuses_a_manifest_that_names_what_is_no_part(
    outside: Path, given: str, subtests: pytest.Subtests
) -> None:
    path = outside / "landed"
    land("vlmrun", path, made("vlmrun", START, END, 5))
    (path / "secret.txt").write_bytes(b"{}\n")
    for uri in NO_PARTS:
        change_manifest(path, given, uri_in(outside, uri), "parts", 0, "uri")
        with (
            subtests.test(uri=ascii(uri)),
            pytest.raises(AirflowFailException, match=REFUSED),
        ):
            report_on(as_given(path, given), outside)

    assert not (outside / "report").exists()


def test_a_report_refuses_parts_that_are_none(outside: Path, subtests: pytest.Subtests) -> None:
    path = outside / "landed"
    land("vlmrun", path, made("vlmrun", START, END, 5))
    for parts in (None, 7, "part-00000.jsonl", {"uri": "x"}, [7], [None], [{}], [["uri"]]):
        change_manifest(path, "directory", parts, "parts")
        with (
            subtests.test(parts=parts),
            pytest.raises(AirflowFailException, match=REFUSED),
        ):
            report_on(str(path), outside)


def incremental(sandbox: Sandbox, service_name: str, outside: Path) -> tuple[Any, Path, Path]:
    """An incremental landing of which a run has landed: the task, its state and the manifest of the run."""
    getattr(sandbox, service_name).fill(5)
    task = LAND[service_name](task_id="t", path=f"file://{outside}/landed", incremental=True)
    landed = task.execute(context_of("monday", 1))
    manifest = Path(landed["path"].removeprefix("file://"), "_manifest.json")
    return task, outside / "landed/_state.json", manifest


def test_a_retry_writes_no_manifest_but_its_own_wherever_the_state_leads(
    connections: Sandbox, service_name: str, outside: Path, subtests: pytest.Subtests
) -> None:
    """The state says what the run has committed; its manifest is written again where it is missing."""
    task, state, manifest = incremental(connections, service_name, outside)
    wrote, first = state.read_text(), json.loads(manifest.read_text())
    before = contents(outside / "victim")
    for where in ("{outside}/victim", "file://{outside}/victim", "../victim", "..", "", ".", "/", None, 7):
        state.write_text(wrote)
        change(state, uri_in(outside, where), "recent", 0, "manifest", "path")
        commit_state(state.parent, json.loads(state.read_text()))
        manifest.unlink(missing_ok=True)
        with subtests.test(where=where):
            assert task.execute(context_of("monday", 2)) == first == json.loads(manifest.read_text())

    assert contents(outside / "victim") == before


def test_a_state_with_parts_elsewhere_tells_nobody_to_look_there(
    connections: Sandbox, outside: Path, subtests: pytest.Subtests
) -> None:
    task, state, manifest = incremental(connections, "vlmrun", outside)
    wrote, first = state.read_text(), json.loads(manifest.read_text())
    before = contents(outside / "victim")
    for uri in (*NAMES, *NO_PARTS):
        state.write_text(wrote)
        change(state, uri_in(outside, uri), "recent", 0, "manifest", "parts", 0, "uri")
        commit_state(state.parent, json.loads(state.read_text()))
        with subtests.test(uri=ascii(uri)):
            if uri in NAMES:
                assert task.execute(context_of("monday", 2)) == first
            else:
                with pytest.raises(AirflowFailException, match=r"path: .*_log/00000001\.json"):
                    task.execute(context_of("monday", 2))

    assert contents(outside / "victim") == before


ODD: list[tuple[Any, ...]] = [
    ("../../victim/1", "generation"),
    (None, "generation"),
    (1.5, "generation"),
    (-1, "generation"),
    ("../../victim", "nonce"),
    ("0000000\n", "nonce"),
    ("../../victim/secret.txt", "index"),
    ([], "landed"),
    ("../../../victim", "recent", 0, "nonce"),
    ("12345678/../..", "recent", 0, "nonce"),
    (None, "recent", 0, "run"),
    ("../victim", "recent", 0, "state"),
    ([], "recent", 0, "manifest"),
]


def test_a_state_of_other_values_is_refused(
    connections: Sandbox, outside: Path, subtests: pytest.Subtests
) -> None:
    task, state, _ = incremental(connections, "vlmrun", outside)
    wrote = state.read_text()
    for value, *where in ODD:
        state.write_text(wrote)
        change(state, value, *where)
        with (
            subtests.test(where=where, value=value),
            pytest.raises(
                AirflowFailException, match=r"_state\.json is (not a State of version 1|\S+, but not as)"
            ),
        ):
            task.execute(context_of("monday", 2))


def interrupted(server: Sandbox, service_name: str, outside: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A landing whose checkpoint is in storage only, as on another machine."""
    getattr(server, service_name).fill(40)
    task = LAND[service_name](task_id="t", path=f"file://{outside}/landed", page_size=10, records_per_part=7)
    server.wire.order(down(service_name, after=2))
    on_machine(monkeypatch, outside / "first")
    with pytest.raises(PredictionsError):
        task.execute(context_of("monday", 1))
    on_machine(monkeypatch, outside / "second")
    server.wire.clear()
    return task


@contextmanager
def checkpoint(outside: Path) -> Iterator[dict[str, Any]]:
    """The head of the last checkpoint, to be changed."""
    file = max((outside / "landed").glob("_checkpoint-*"))
    head, _, rest = file.read_bytes().partition(b"\n")
    facts = json.loads(head)
    yield facts
    file.write_bytes(json.dumps(facts).encode() + b"\n" + rest)


CHANGES = [
    *((uri, "parts", 0, "name") for uri in (*NAMES, *NO_PARTS)),
    ("../victim", "nonce"),
    *((f"../../../victim/{name}", name, "name") for name in ("spool", "rejected", "ids")),
]


@pytest.mark.parametrize(("value", "where"), [(value, where) for value, *where in CHANGES], ids=ascii)
def test_a_checkpoint_leads_nowhere(
    connections: Sandbox, outside: Path, monkeypatch: pytest.MonkeyPatch, value: Any, where: list[Any]
) -> None:
    task = interrupted(connections, "vlmrun", outside, monkeypatch)
    with checkpoint(outside) as facts:
        reduce(getitem, where[:-1], facts)[where[-1]] = uri_in(outside, value)
    before = contents(outside / "victim")

    manifest = task.execute(context_of("monday", 2))

    assert manifest["count"] == 40
    assert all(Path(part["url"]).parent == outside / "landed" for part in manifest["parts"])
    assert b"".join(Path(part["url"]).read_bytes() for part in manifest["parts"]).count(b"\n") == 40
    assert contents(outside / "victim") == before


JUNK = [b"", b"[]", b"7", b"null", b'"x"', b"{}", b"\xff", b"[" * 100_000]


def test_a_landing_starts_anew_whatever_a_checkpoint_holds(
    connections: Sandbox, outside: Path, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    task = interrupted(connections, "vlmrun", outside, monkeypatch)
    (outside / "landed").rename(outside / "left")
    for number, content in enumerate(JUNK):
        shutil.rmtree(outside / "landed", ignore_errors=True)
        shutil.copytree(outside / "left", outside / "landed")
        for file in (outside / "landed").glob("_checkpoint-*"):
            file.write_bytes(content)
        with subtests.test(content=content[:10]):
            assert task.execute(context_of("monday", 2 + number))["count"] == 40


def test_a_landing_writes_over_nothing_that_it_does_not_know(
    connections: Sandbox, outside: Path, subtests: pytest.Subtests
) -> None:
    path = outside / "landed"
    path.mkdir()
    for content in JUNK:
        (path / "_manifest.json").write_bytes(content)
        with subtests.test(content=content[:10]), pytest.raises(AirflowFailException, match="Remove it, or"):
            LAND["vlmrun"](task_id="t", path=f"file://{path}").execute({})

        assert contents(path) == {str(path / "_manifest.json"): content}


@pytest.mark.parametrize("run_id", ["../../victim", "manual__2026-01-01T00:00:00+00:00/x", "a\x00b", ""])
def test_a_run_names_its_directory_by_a_hash(connections: Sandbox, outside: Path, run_id: str) -> None:
    class Instance:
        dag_id, task_id, map_index, try_number = "../dag", "../../task", -1, 1

        def xcom_push(self, *_: object) -> None:
            """There is no console."""

    instance = Instance()
    instance.run_id = run_id  # type: ignore[attr-defined]
    connections.vlmrun.fill(3)
    before = contents(outside / "victim")
    task = LAND["vlmrun"](task_id="t", path=f"file://{outside}/landed", incremental=True)

    manifest = task.execute({"ti": instance})

    assert Path(manifest["path"].removeprefix("file://")).parents[1] == outside / "landed"
    assert {path.name for path in outside.iterdir()} == {"victim", "landed"}
    assert contents(outside / "victim") == before


def test_an_id_names_no_file(connections: Sandbox, service_name: str, outside: Path) -> None:
    record_store = getattr(connections, service_name)
    for id_ in ("../../victim/secret.txt", "/etc/passwd", "a\x00b", "..", "."):
        record_store.add().id = id_
    before = contents(outside / "victim")

    for form in ({}, {"incremental": True}, {"file_format": "parquet"}):
        path = f"file://{outside}/landed-{len(form)}{form.get('file_format', '')}"
        manifest = LAND[service_name](task_id="t", path=path, **form).execute({})
        assert manifest["count"] == 5

    assert contents(outside / "victim") == before
