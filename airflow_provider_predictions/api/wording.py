"""Numbers and words as the log and messages write them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from airflow_provider_predictions.api.limits import MAX_WORD_LENGTH, MAX_WORDS


class Log(Protocol):
    """The log of a task: a logger of ``logging`` or, from Airflow 3 on, of structlog."""

    def info(self, message: str, /, *args: object) -> Any:
        """Log a message."""

    def warning(self, message: str, /, *args: object) -> Any:
        """Log a warning."""


def counted(number: int, noun: str) -> str:
    """``1 page``, ``2 pages``.

    :param noun: in the singular. Its plural ends in s.
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def counts(numbers: Mapping[str, int]) -> str:
    """``completed: 3, failed: 1``."""
    return ", ".join(f"{shown(word)}: {number}" for word, number in numbers.items())


def shown(word: str) -> str:
    """A word from outside: on one line, printable, and short."""
    text = "".join(letter if letter.isprintable() else " " for letter in word)
    text = " ".join(text.split())
    return text if len(text) <= MAX_WORD_LENGTH else f"{text[:MAX_WORD_LENGTH]}…"


def listed(words: Iterable[str]) -> str:
    """Words in alphabetical order, the first 20 of them."""
    found = sorted(words)
    more = f" and {len(found) - MAX_WORDS} more" if len(found) > MAX_WORDS else ""
    return ", ".join(map(shown, found[:MAX_WORDS])) + more


def quoted(words: Iterable[str]) -> str:
    """Words in quotes."""
    return ", ".join(f"'{shown(word)}'" for word in words)
