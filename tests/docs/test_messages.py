"""The page on error messages, against the texts of the code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property

import pytest

from tests.docs.blocks import ROOT
from tests.docs.messages import HOLE, Message, messages

PAGE = ROOT / "docs/guides/messages.md"
MESSAGES = messages()

NOT_ON_THE_PAGE = {
    "_compat.py": "an argument of a DAG: see Wrong arguments of the page",
    "api/coercion.py": "what is wrong with the value of an argument or a field",
    "api/filters.py": "what is wrong with the value of an argument or a field",
    "api/json_slices.py": "why a text is not JSON: other messages quote it",
    "api/state.py": "why saved state cannot be read: other messages quote it",
    "api/urls.py": "what is wrong with the value of an argument or a field",
    "api/values.py": "what is wrong with the value of an argument or a field",
    "operators/*arguments.py": "what is wrong with the value of an argument or a field",
    "operators/outlets.py": "an argument of a DAG",
    "report/window.py": "an argument of a DAG",
    "sensors/arguments.py": "an argument of a DAG",
    "tasks/*": "an argument of a DAG",
}
"""Modules whose messages have no row of their own, and why. They begin with the argument or field."""


@dataclass(frozen=True)
class Row:
    """One message of a row of the page, and what the row says of retries."""

    message: str
    retry: str

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        fixed = [re.escape(piece) for piece in self.message.split(HOLE) if piece.strip()]
        return re.compile(".*".join(fixed), re.DOTALL)

    def matches(self, message: Message) -> bool:
        return bool(self.pattern.search(message.text))


def rows() -> list[Row]:
    found = []
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 4:
            found += [Row(message, cells[3]) for message in re.findall(r"`([^`]+)`", cells[0])]
    return found


ROWS = rows()


def is_whole(text: str) -> bool:
    """Whether a message begins with it, and it is more than a word or two."""
    return bool(re.match(rf"[A-Z{HOLE}]|\w+: ", text)) and len(re.findall(r"[A-Za-z]{2,}", text)) > 2


def test_the_page_has_rows_that_a_search_finds() -> None:
    assert len(ROWS) > 60
    assert {row.retry for row in ROWS} == {"yes", "no", "depends", "a warning"}
    assert len({row.message for row in ROWS}) == len(ROWS)
    assert not [row for row in ROWS if len(re.findall(r"[A-Za-z]+", row.message)) < 3]


def test_a_message_of_the_page_is_one_of_the_code(subtests: pytest.Subtests) -> None:
    for row in ROWS:
        with subtests.test(row=row):
            assert [message for message in MESSAGES if row.matches(message)]


def test_the_page_is_right_about_retries(subtests: pytest.Subtests) -> None:
    for message in MESSAGES:
        matching = [row for row in ROWS if row.matches(message)]
        if not (matching and message.retryable):
            continue
        with subtests.test(message=str(message)):
            row = max(matching, key=lambda row: len(row.message))
            said = {"yes": {True}, "no": {False}}.get(row.retry)
            assert row.retry in ("yes", "no", "depends"), "a row for an error"
            assert said is None or said & message.retryable
    assert len([row for row in ROWS if row.retry == "depends"]) < 4


def test_every_message_of_the_code_has_a_row() -> None:
    told = [m for m in MESSAGES if m.told and not m.is_reason and is_whole(m.text)]
    missing = [
        str(message)
        for message in told
        if not any(fnmatch(message.module, pattern) for pattern in NOT_ON_THE_PAGE)
        and not any(row.matches(message) for row in ROWS)
    ]

    assert len(told) > 150
    assert not missing, "\n".join(["docs/guides/messages.md has no row for", *missing])


def test_every_module_that_has_no_rows_is_one_of_the_package() -> None:
    modules = {message.module for message in MESSAGES if message.told}

    assert not [name for name in NOT_ON_THE_PAGE if not any(fnmatch(module, name) for module in modules)]
