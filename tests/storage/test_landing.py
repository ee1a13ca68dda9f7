"""Pages on their way into parts: what is written when, and what another attempt goes on with."""

from __future__ import annotations

import hashlib
import logging
import shutil
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_predictions.api.http.auth import BearerAuth
from airflow_provider_predictions.api.limits import MAX_RESUME_SECONDS
from airflow_provider_predictions.api.models import Prediction
from airflow_provider_predictions.api.page import Page
from airflow_provider_predictions.api.vlmrun import VlmRun
from airflow_provider_predictions.storage.attempt import Attempt, TaskRun, new_nonce
from airflow_provider_predictions.storage.formats.factory import make_format
from airflow_provider_predictions.storage.landing import Landing
from airflow_provider_predictions.storage.scratch_dir import Workspace
from tests.given import untagged
from tests.storage.landings import names, only

SERVICE = VlmRun("https://vlmrun.test/v1", BearerAuth("key"))
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
JUNK = Prediction.rejected(b"null", "null instead of an object")


class BrokenOffError(Exception):
    """What ends an attempt."""


def line(number: int) -> bytes:
    return b'{"id":"%d","created_at":"2026-11-01T12:00:00"}' % number


def page(*numbers: int, rejected: int = 0) -> Page:
    return Page(tuple(SERVICE.row(line(number)) for number in numbers), 1, (JUNK,) * rejected)


def landing(
    path: ObjectStoragePath, arguments: str = "all", compression: str | None = None, number: int = 1
) -> Landing:
    form = make_format("jsonl", compression, SERVICE)
    attempt = Attempt(path, 1, TaskRun("monday", number=number), new_nonce(), shared=True)
    return Landing(attempt, form, records_per_part=5, arguments=arguments)


def begin(path: ObjectStoragePath, *pages: Page) -> None:
    """An attempt that ends behind these pages."""
    with suppress(BrokenOffError), landing(path) as attempt:
        for number, each in enumerate(pages, attempt.progress.requests + 1):
            attempt.take(each, {"skip": number}, number)
        raise BrokenOffError


def spooled(attempt: Landing) -> int:
    return attempt.progress.spool.count


def test_a_part_is_closed_as_soon_as_it_is_full_and_the_last_one_holds_the_rest(
    file_store: ObjectStoragePath,
) -> None:
    with landing(file_store) as attempt:
        attempt.take(page(0, 1, 2), {}, 1)
        assert (spooled(attempt), names(file_store)) == (3, [])
        attempt.take(page(3, 4), {}, 2)
        assert (spooled(attempt), names(file_store)) == (0, ["_checkpoint-00000", "part-00000.jsonl"])
        attempt.take(page(*range(5, 18)), {"skip": 18}, 3)
        assert [part.count for part in attempt.progress.parts] == [5, 5, 5]
        attempt.finish()
        parts = attempt.progress.parts
        identities = list(attempt.identities())

    contents = [(file_store / part.name).read_bytes() for part in parts]
    assert b"".join(contents) == b"".join(line(number) + b"\n" for number in range(18))
    assert [untagged(part.name) for part in parts] == [f"part-0000{number}.jsonl" for number in range(4)]
    assert [part.count for part in parts] == [5, 5, 5, 3]
    assert [part.bytes for part in parts] == list(map(len, contents))
    assert [part.sha256 for part in parts] == [hashlib.sha256(content).hexdigest() for content in contents]
    assert identities == [(str(number), NOON) for number in range(18)]
    assert (attempt.progress.totals.count, attempt.progress.totals.duplicates) == (18, 3)


def test_a_compressed_part_is_described_as_it_is_stored(file_store: ObjectStoragePath) -> None:
    with landing(file_store, compression="gzip") as attempt:
        attempt.take(page(*range(7)), {}, 1)
        (part,) = attempt.progress.parts
        content = (file_store / part.name).read_bytes()
        assert (untagged(part.name), part.bytes) == ("part-00000.jsonl.gz", len(content))
        assert part.sha256 == hashlib.sha256(content).hexdigest()
        assert [id_ for id_, _ in attempt.identities()] == list("0123456")


def test_rejected_rows_lie_beside_the_parts(file_store: ObjectStoragePath) -> None:
    with landing(file_store) as attempt:
        attempt.take(page(1, rejected=2), {}, 1)
        attempt.finish()

    assert only(file_store, "_rejected").read_bytes() == b"null\nnull\n"


def test_a_landing_of_nothing_leaves_nothing(file_store: ObjectStoragePath) -> None:
    with landing(file_store) as attempt:
        attempt.finish()

    assert names(file_store) == []
    (home,) = Path(tempfile.gettempdir()).glob("airflow-predictions-*")
    assert list(home.iterdir()) == []


def test_the_next_attempt_goes_on_behind_the_last_page(file_store: ObjectStoragePath) -> None:
    begin(file_store, page(0, 1, 2), page(3, 4, 5, 6, rejected=1))

    with landing(file_store) as attempt:
        progress = attempt.progress
        assert (progress.position, progress.requests, len(progress.parts)) == ({"skip": 2}, 2, 1)
        assert (spooled(attempt), progress.rejected.count, progress.totals.count) == (2, 1, 7)
        attempt.take(page(7), {}, 3)
        attempt.finish()

    part = file_store / progress.parts[1].name
    assert part.read_bytes() == b"".join(line(n) + b"\n" for n in (5, 6, 7))
    assert only(file_store, "_rejected").read_bytes() == b"null\n"


def test_nothing_is_noted_behind_a_note_that_was_cut_short(file_store: ObjectStoragePath) -> None:
    begin(file_store, page(0, 1))
    (journal,) = Path(tempfile.gettempdir()).glob("airflow-predictions-*/*/journal")
    with journal.open("ab") as notes:
        notes.write(b'{"cut')
    begin(file_store, page(2))

    with landing(file_store) as attempt:
        assert (attempt.progress.position, spooled(attempt)) == ({"skip": 2}, 3)


def test_another_machine_goes_on_from_the_last_part(
    file_store: ObjectStoragePath, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(file_store, page(*range(7), rejected=1), page(7))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    with landing(file_store, number=2) as attempt:
        assert (attempt.progress.position, spooled(attempt)) == ({"skip": 1}, 2)
        assert [id_ for id_, _ in attempt.identities()] == list("0123456")
        attempt.finish()

    assert only(file_store, "_rejected").read_bytes() == b"null\n"


def goes_on(path: ObjectStoragePath, arguments: str = "all") -> bool:
    with suppress(BrokenOffError), landing(path, arguments) as attempt:
        found = attempt.progress.position is not None
        raise BrokenOffError
    return found


def test_progress_of_other_arguments_is_not_gone_on_with(file_store: ObjectStoragePath) -> None:
    begin(file_store, page(0, 1))

    assert goes_on(file_store)
    assert not goes_on(file_store, "others")


@pytest.mark.parametrize(("age", "good"), [(MAX_RESUME_SECONDS - 60, True), (MAX_RESUME_SECONDS + 60, False)])
def test_progress_is_good_for_its_lifetime(
    file_store: ObjectStoragePath,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    age: float,
    good: bool,
) -> None:
    begin(file_store, page(0, 1))
    now = time.time() + age
    monkeypatch.setattr(time, "time", lambda: now)

    with caplog.at_level(logging.INFO, "airflow_provider_predictions"):
        assert goes_on(file_store) is good

    assert ("is ignored: it is older than 24 hours" in caplog.text) is not good


@pytest.mark.parametrize("content", [b"other", b"", None])
def test_progress_whose_part_is_not_there_as_it_was_is_not_gone_on_with(
    file_store: ObjectStoragePath, content: bytes | None
) -> None:
    begin(file_store, page(*range(6)))
    part = only(file_store, "part-00000.jsonl")
    part.unlink()
    if content is not None:
        part.write_bytes(content)

    assert not goes_on(file_store)


def test_a_part_is_copied_since_its_attempt_may_still_remove_it(file_store: ObjectStoragePath) -> None:
    begin(file_store, page(*range(6)))
    earlier = only(file_store, "part-00000.jsonl")

    with landing(file_store) as attempt:
        attempt.finish()
        part, _ = attempt.progress.parts

    assert part.name != earlier.name
    assert (file_store / part.name).read_bytes() == earlier.read_bytes()


@pytest.mark.parametrize("content", [b"", b"null\n", b"{}\n", b"no json\n", b"\xff\n"])
def test_a_checkpoint_that_is_none_is_ignored(
    file_store: ObjectStoragePath, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    begin(file_store, page(*range(6)))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    only(file_store, "_checkpoint-00000").write_bytes(content)

    with landing(file_store, number=2) as attempt:
        assert attempt.progress.position is None


def test_an_attempt_ends_well_though_somebody_has_removed_its_directory() -> None:
    workspace = Workspace("of-a-path-that-nobody-lands-under")
    shutil.rmtree(workspace.directory)

    workspace.close(keep=False)

    assert not workspace.directory.exists()
