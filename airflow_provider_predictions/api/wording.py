"""Format numbers and words for logs and messages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from airflow_provider_predictions.api.limits import MAX_WORD_LENGTH, MAX_WORDS

UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""NUL, which PostgreSQL's JSONB refuses, and a lone surrogate, which Airflow's messages refuse."""


class Log(Protocol):
    """The log of a task: a logger of ``logging`` or, from Airflow 3 on, of structlog."""

    def info(self, message: str, /, *args: object) -> Any:
        """Log a message."""

    def warning(self, message: str, /, *args: object) -> Any:
        """Log a warning."""


def counted(number: int, noun: str) -> str:
    """``1 page``, ``2 pages``. The plural of the noun must end in s."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def counts(numbers: Mapping[str, int]) -> str:
    """``completed: 3, failed: 1``."""
    return ", ".join(f"{printable(word)}: {number}" for word, number in numbers.items())


def printable(word: str) -> str:
    """Make a word of a service printable, on one line, and short."""
    text = "".join(letter if letter.isprintable() else " " for letter in word)
    text = " ".join(text.split())
    return text if len(text) <= MAX_WORD_LENGTH else f"{text[:MAX_WORD_LENGTH]}…"


def encodable(word: str) -> str:
    """Make a word of a service fit into XCom and events. One event that does not fit stops a triggerer."""
    return UNSTORABLE.sub("\ufffd", word)


def joined(words: Iterable[str]) -> str:
    """The first 20 words in alphabetical order, and the number of the others."""
    found = sorted(words)
    more = f" and {len(found) - MAX_WORDS} more" if len(found) > MAX_WORDS else ""
    return ", ".join(map(printable, found[:MAX_WORDS])) + more


def quoted(words: Iterable[str]) -> str:
    """Words in quotes. Escapes follow one that may look like another word."""

    def one(word: str) -> str:
        escaped = "" if word.isascii() else f" ({printable(ascii(word)[1:-1])})"
        return f"'{printable(word)}'{escaped}"

    return ", ".join(map(one, words))
