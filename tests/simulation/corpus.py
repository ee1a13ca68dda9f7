"""Histories that once broke an invariant: stories of the known cases, and tapes that were found."""

from __future__ import annotations

from dataclasses import dataclass

from tests.simulation.layout import BEFORE_COMMIT, FIRST_PART, PUT_MANIFEST, SECOND_PART


@dataclass(frozen=True)
class Case:
    """A history, and what it once broke.

    :param name: what it shows, as one sentence.
    :param broke: the kind of the violation.
    :param story: directions for ``tape.Story``.
    :param tape: choices for ``tape.Recorded``, where there is no story.
    """

    name: str
    scenario: str
    broke: str
    story: tuple[tuple[str, str], ...] = ()
    tape: tuple[int, ...] = ()


STORIES = (
    Case(
        "a frozen attempt wakes after its retry has committed",
        "incremental, store",
        "lost",
        (("a.1 *" + FIRST_PART, "freeze"), ("a.2 succeeded", "wake")),
    ),
    Case(
        "a frozen attempt wakes and commits before its retry does",
        "incremental, store",
        "lost",
        (
            ("a.1 *" + FIRST_PART, "freeze"),
            ("a.2 list 8", "freeze"),
            ("a.2 frozen", "wake"),
            ("a.1 succeeded", "wake"),
        ),
    ),
    Case(
        "an attempt is killed between making the lock and writing it",
        "incremental, local",
        "blocked",
        (("a.1 write _*", "kill"),),
    ),
    Case(
        "the disk is full when the lock is written",
        "incremental, local",
        "blocked",
        (("a.1 write _*", "fail"),),
    ),
    Case(
        "a run that was killed after its commit is retried after another run",
        "incremental, store",
        "forgotten",
        (("a.1 " + PUT_MANIFEST, "kill"), ("a.1 killed", "start")),
    ),
    Case(
        "a run that failed after its commit is retried after another run",
        "incremental, store",
        "forgotten",
        (("a.1 " + PUT_MANIFEST, "fail"), ("a.1 *ed", "start")),
    ),
    Case(
        "two runs land other predictions under one path",
        "anew, two filters",
        "changed",
        (("a.1 *" + SECOND_PART, "freeze"), ("a.1 frozen", "start"), ("b.1 succeeded", "wake")),
    ),
    Case(
        "an attempt is frozen before its commit until its lock is old",
        "incremental, store",
        "doubled",
        (
            ("a.1 " + BEFORE_COMMIT, "freeze"),
            ("a.1 frozen", "clock"),
            ("a.1 frozen", "start"),
            ("b.1 succeeded", "wake"),
        ),
    ),
    Case(
        "a run lands anew over the landing of another",
        "anew, store",
        "neither",
        (("a.1 succeeded", "start"),),
    ),
)

TAPES: tuple[Case, ...] = ()
