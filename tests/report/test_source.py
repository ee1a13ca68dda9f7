"""Which landings a report reads, and that it trusts none that is not what its manifest says."""

from __future__ import annotations

import errno
import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_predictions.api.errors import ConfigurationError, DamagedLandingError, StorageError
from airflow_provider_predictions.report.build import build
from airflow_provider_predictions.report.summary import Options
from airflow_provider_predictions.report.window import make_window
from tests.report.landed import land, landings_of, left_out, report
from tests.report.records import made

START, END = datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC)
WINDOW = make_window((START, END), "UTC", END)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Two landings of VLM Run below a directory."""
    for place in ("a", "b/c"):
        land("vlmrun", tmp_path / "landed" / place, made("vlmrun", START, END, 10, seed=len(place)))
    return tmp_path / "landed"


def paths(source: object) -> list[str]:
    return [str(landed.path) for landed in landings_of(source, WINDOW)]


@pytest.mark.parametrize(
    "source",
    [
        lambda base: str(base),
        lambda base: f"file://{base}/",
        lambda base: ObjectStoragePath(f"file://{base}"),
        lambda base: [str(base / "a"), f"{base}/b/c/_manifest.json"],
        lambda base: [json.loads((base / place / "_manifest.json").read_text()) for place in ("a", "b/c")],
        lambda base: ({"path": str(base / "a"), "count": 10}, [[str(base / "b")]]),
        lambda base: [str(base), str(base / "a"), str(base)],
    ],
)
def test_landings_are_found_in_every_form_and_each_once(base: Path, source: Any) -> None:
    assert [path.removeprefix("file://") for path in paths(source(base))] == [f"{base}/a", f"{base}/b/c"]


def test_a_landing_that_is_too_old_counts_once_if_its_path_and_its_manifest_are_given(tmp_path: Path) -> None:
    old, path = datetime(2026, 10, 1, tzinfo=UTC), tmp_path / "landed"
    rows = [made("vlmrun", day, day + (END - START), 5, seed=day.day) for day in (old, START)]
    manifests = [land("vlmrun", path, each, incremental=True) for each in rows]

    for source in ([str(path), *manifests], [*manifests, str(path)]):
        report(source, WINDOW, tmp_path / "files")
        assert [*left_out(tmp_path / "files").values()] == [5]


def test_a_directory_that_cannot_be_listed_is_named_and_not_left_out(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = os.scandir

    def refuse(path: Any) -> Any:
        if str(path).endswith("/b"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)

    with pytest.raises(ConfigurationError, match="cannot be listed: Permission denied"):
        paths(str(base))


def test_reports_that_lie_there_are_no_landings(base: Path) -> None:
    (base / "_manifest.json").write_text(json.dumps({"files": [], "complete": True}))

    assert len(paths(str(base))) == 2


@pytest.mark.parametrize(
    ("source", "named"),
    [
        (lambda base: str(base / "nothing"), "there is no _manifest.json in"),
        (lambda base: f"{base}/_manifest.json", "there is no"),
        (lambda base: {"path": f"{base}/nothing"}, "there is no"),
        (lambda base: {"a": 1}, "no path"),
    ],
)
def test_a_source_without_landings_is_named(base: Path, source: Any, named: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^source: .*{named}"):
        paths(source(base))


@pytest.mark.parametrize("text", ["", "[]", "{", '"x"', '{"complete": true}', '{"parts": []}'])
def test_a_manifest_of_something_else_is_refused(base: Path, text: str) -> None:
    (base / "a/_manifest.json").write_text(text)
    shutil.rmtree(base / "a/_log")

    with pytest.raises(ConfigurationError, match=r"a/_manifest\.json is not a manifest of a landing"):
        paths(str(base))


def test_landings_of_two_services_make_one_report(base: Path, tmp_path: Path) -> None:
    alone = report(str(base), WINDOW, tmp_path / "alone")["count"]
    land("cradl", base / "d", made("cradl", START, END, 2))

    summary = report(str(base), WINDOW, tmp_path / "files")

    assert summary["services"] == ["cradl", "vlmrun"]
    assert summary["count"] == alone + 2


def test_a_landing_that_was_copied_is_read_where_it_lies(base: Path, tmp_path: Path) -> None:
    shutil.copytree(base / "a", tmp_path / "copy")
    shutil.rmtree(base)

    assert report(str(tmp_path / "copy"), WINDOW, tmp_path / "files")["count"] == 10


def test_a_part_that_was_changed_is_refused(base: Path, tmp_path: Path) -> None:
    (part,) = base.glob("a/part-*.jsonl")
    part.write_bytes(part.read_bytes()[:-100])

    with pytest.raises(DamagedLandingError, match=r"a/part-00000\..*\.jsonl is not what its manifest says"):
        report(str(base), WINDOW, tmp_path / "files")


def test_a_part_that_is_gone_is_refused(base: Path, tmp_path: Path) -> None:
    for part in base.glob("a/part-*.jsonl"):
        part.unlink()

    with pytest.raises(DamagedLandingError, match="is missing, but the manifest names it"):
        report(str(base), WINDOW, tmp_path / "files")


def test_a_landing_that_is_replaced_while_it_is_read_is_read_by_the_retry(tmp_path: Path) -> None:
    path, work = tmp_path / "landed", tmp_path / "work"
    land("vlmrun", path, made("vlmrun", START, END, 1))
    found = landings_of(str(path), WINDOW)
    land("vlmrun", path, made("vlmrun", START, END, 2))
    work.mkdir()

    with pytest.raises(StorageError, match="another landing has replaced it"):
        build(found, WINDOW, work, work, Options())

    assert report(str(path), WINDOW, tmp_path / "files")["count"] == 2


def test_no_retry_is_spent_on_the_manifest_of_a_landing_that_was_replaced(tmp_path: Path) -> None:
    path = tmp_path / "landed"
    old, new = (land("vlmrun", path, made("vlmrun", START, END, count)) for count in (1, 2))

    with pytest.raises(ConfigurationError, match=r"^source: .* is gone: another landing has replaced it"):
        report(old, WINDOW, tmp_path / "files")

    assert report([new], WINDOW, tmp_path / "files")["count"] == 2


def test_a_part_with_fewer_records_than_the_manifest_says_is_refused(base: Path, tmp_path: Path) -> None:
    manifest = json.loads((base / "a/_manifest.json").read_text())
    manifest["parts"][0]["count"] = manifest["count"] = 11

    with pytest.raises(DamagedLandingError, match=r"10 records in part-00000\..*\.jsonl, .* says 11"):
        report(manifest, WINDOW, tmp_path / "files")


def test_an_empty_landing_makes_a_report_that_says_so(service_name: str, tmp_path: Path) -> None:
    land(service_name, tmp_path / "landed", [])

    summary = report(str(tmp_path / "landed"), WINDOW, tmp_path / "files")

    assert summary["count"] == 0
    assert summary["measures"]["predictions"] == {"now": 0, "before": None, "history": [None, 0]}
    assert summary["verdict"]["state"] == "unknown"
    assert "No predictions of this period have landed." in (tmp_path / "files/report.html").read_text()


def test_landings_that_are_too_old_are_not_read_and_named(service_name: str, tmp_path: Path) -> None:
    old = datetime(2026, 10, 1, tzinfo=UTC)
    land(service_name, tmp_path / "landed/1", made(service_name, old, datetime(2026, 10, 2, tzinfo=UTC), 7))
    land(service_name, tmp_path / "landed/2", made(service_name, START, END, 5))
    for part in tmp_path.glob("landed/1/part-*.jsonl"):
        part.unlink()

    summary = report(str(tmp_path / "landed"), WINDOW, tmp_path / "files")

    assert summary["count"] == 5
    assert left_out(tmp_path / "files") == {"in landings of older predictions only, which were not read": 7}


def test_what_a_landing_could_not_prove_is_told(tmp_path: Path) -> None:
    land("vlmrun", tmp_path / "landed", made("vlmrun", START, END, 5), inconsistency="rows were removed")

    summary = report(str(tmp_path / "landed"), WINDOW, tmp_path / "files")

    assert any("rows were removed" in note for note in summary["notes"])
