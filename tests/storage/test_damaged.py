"""Progress that cannot be gone on from is ignored: too old, not whole, or of parts that are gone."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath

from airflow_provider_predictions.sandbox.store import RecordStore
from tests.storage.landings import Machine, asked, assert_all, names, only

DAY = 24 * 3600.0


def checkpoint_of(path: ObjectStoragePath) -> Path:
    """The last one of the landing that was interrupted."""
    return only(path, "_checkpoint-00002")


def journal_of(machine: Machine) -> Path:
    (journal,) = machine.home.glob("*/journal")
    return journal


def make_old(file: Path, seconds: float) -> None:
    """Let a checkpoint say that it was saved so long before."""
    head, lines = file.read_bytes().split(b"\n", 1)
    notes = file.read_bytes().splitlines() if file.name == "journal" else [head]
    given = [json.loads(note) for note in notes]
    new = [json.dumps(note | {"saved_at": note["saved_at"] - seconds}).encode() for note in given]
    file.write_bytes(b"\n".join(new) + b"\n" + (lines if len(new) == 1 else b""))


@pytest.mark.parametrize(("age", "is_used"), [(DAY - 600, True), (DAY + 600, False)])
@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "elsewhere"])
def test_progress_is_good_for_a_day(
    begun,
    land,
    record_store: RecordStore,
    connections,
    service_name,
    new_machine,
    file_store,
    elsewhere,
    age,
    is_used,
) -> None:
    make_old(checkpoint_of(file_store), age)
    make_old(journal_of(begun), age)
    if elsewhere:
        new_machine()

    manifest = land()

    assert_all(manifest, record_store)
    assert (len(asked(connections, service_name)) < 12) is is_used


def delete(part: Path) -> None:
    part.unlink()


def shorten(part: Path) -> None:
    part.write_bytes(part.read_bytes()[:-1])


def lengthen(part: Path) -> None:
    part.write_bytes(part.read_bytes() + b"{}\n")


@pytest.mark.parametrize("harm", [delete, shorten, lengthen])
@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "elsewhere"])
def test_progress_whose_part_is_gone_or_replaced_is_ignored(
    begun, land, record_store: RecordStore, new_machine, file_store, caplog, elsewhere, harm
) -> None:
    harm(only(file_store, "part-00002.jsonl"))
    if elsewhere:
        new_machine()

    with caplog.at_level(logging.INFO, "airflow_provider_predictions"):
        manifest = land()

    assert "is ignored" in caplog.text
    assert_all(manifest, record_store)


def empty(file: Path) -> None:
    file.write_bytes(b"")


def spoil(file: Path) -> None:
    file.write_bytes(b"not JSON\n")


def cut_head(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:50])


def cut_lines(file: Path) -> None:
    head, lines = file.read_bytes().split(b"\n", 1)
    file.write_bytes(head + b"\n" + lines[: len(lines) // 2])


def alter_lines(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-10] ^= 1
    file.write_bytes(bytes(content))


def speak_otherwise(file: Path) -> None:
    """As another version of the package may have written it."""
    head, lines = file.read_bytes().split(b"\n", 1)
    told = {
        name: told for name, told in json.loads(head).items() if name in ("arguments", "spool", "rejected")
    }
    file.write_bytes(json.dumps(told).encode() + b"\n" + (b"" if file.name == "journal" else lines))


@pytest.mark.parametrize("harm", [empty, spoil, cut_head, cut_lines, alter_lines, speak_otherwise])
def test_a_checkpoint_that_was_not_written_whole_is_ignored(
    begun, land, record_store: RecordStore, new_machine, file_store, harm
) -> None:
    harm(checkpoint_of(file_store))
    new_machine()

    assert_all(land(), record_store)
    assert not [name for name in names(file_store) if "checkpoint" in name]


@pytest.mark.parametrize(
    ("file", "harm"),
    [
        *(("journal", harm) for harm in (delete, empty, spoil, cut_head, shorten, speak_otherwise)),
        *(("part-3", harm) for harm in (delete, empty, shorten, alter_lines)),
    ],
)
def test_a_workspace_that_was_not_written_whole_is_no_harm(
    begun, land, record_store: RecordStore, file, harm
) -> None:
    harm(journal_of(begun).with_name(file))

    assert_all(land(), record_store)


@pytest.mark.parametrize("content", [b"", b'{"path": "', b"[]"], ids=["empty", "cut short", "no object"])
def test_a_manifest_of_something_else_is_not_overwritten(
    begun, land, record_store: RecordStore, file_store, content: bytes
) -> None:
    (file_store / "_manifest.json").write_bytes(content)

    with pytest.raises(AirflowFailException, match=r"_manifest\.json is not what this version"):
        land()

    assert (file_store / "_manifest.json").read_bytes() == content
