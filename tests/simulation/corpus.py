"""Histories that once broke an invariant: stories of the known cases, and tapes that were found."""

from __future__ import annotations

from dataclasses import dataclass

from tests.simulation.layout import (
    COMMIT,
    FIRST_PART,
    LAST_PAGE,
    PUT_MANIFEST,
    SECOND_PART,
    WRITE_NEW,
)

TO_COMMIT = (("a.1 " + WRITE_NEW, "go"),) * 2
"""The first state, and the one behind the commit, are written before the commit."""


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
        "an attempt is killed between making the file of its commit and writing it",
        "incremental, local",
        "blocked",
        (*TO_COMMIT, ("a.1 " + WRITE_NEW, "kill")),
    ),
    Case(
        "the disk is full when the commit is written",
        "incremental, local",
        "blocked",
        (*TO_COMMIT, ("a.1 " + WRITE_NEW, "fail")),
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
        "an attempt is frozen before it has read anything, and wakes after its retry has committed",
        "anew, store",
        "stale",
        (("a.1 get _manifest.json", "freeze"), ("a.1 frozen", "retry"), ("a.2 succeeded", "wake")),
    ),
    Case(
        "an attempt is frozen before it has read anything, and wakes after it was cleared",
        "anew, made anew",
        "stale",
        (
            ("a.1 get _manifest.json", "freeze"),
            ("a.1 frozen", "retry"),
            ("a.2 succeeded", "clear"),
            ("a.3 succeeded", "wake"),
        ),
    ),
    Case(
        "an attempt is frozen before its commit until its lock is old",
        "incremental, store",
        "doubled",
        (
            ("a.1 " + COMMIT, "freeze"),
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
    Case(
        "a proxy answers oddly to a commit of a landing that another is about to commit",
        "anew, odd answers",
        "log",
        (
            ("a.1 " + COMMIT, "odd"),
            ("a.1 " + COMMIT, "freeze"),
            ("a.1 frozen", "start"),
            ("b.1 succeeded", "wake"),
        ),
    ),
    Case(
        "a proxy answers oddly to the trial of conditional puts, and to a commit",
        "incremental, odd answers",
        "log",
        (
            ("a.1 create *_trial", "odd"),
            ("a.1 " + COMMIT, "odd"),
            ("a.1 " + COMMIT, "freeze"),
            ("a.1 frozen", "start"),
            ("b.1 succeeded", "wake"),
        ),
    ),
    Case(
        "the first attempt is killed before it knows that the store has no conditional puts",
        "incremental, conditions refused",
        "blocked",
        (("a.1 create *_trial", "kill"),),
    ),
    Case(
        "a retry has other statuses than the attempt whose checkpoint it finds",
        "incremental, other statuses",
        "claims",
        (("a.1 " + LAST_PAGE, "kill"), ("a.1 killed", "other")),
    ),
    Case(
        "a retry waits for what the attempt whose checkpoint it finds did not wait for",
        "incremental, other max_age",
        "missing",
        (
            ("a.1 get *", "grow"),
            ("a.1 get *", "grow"),
            ("a.1 " + LAST_PAGE, "kill"),
            ("a.1 killed", "other"),
        ),
    ),
    Case(
        "a run is deleted, and made anew under its id, and fails once",
        "incremental, made anew",
        "forgotten",
        (("a.1 succeeded", "grow"), ("a.1 succeeded", "again"), ("a'.1 list 0", "fail")),
    ),
    Case(
        "a run is deleted, and made anew under its id, and fails once, where tasks have no ids",
        "incremental, made anew, no ids",
        "forgotten",
        (("a.1 succeeded", "grow"), ("a.1 succeeded", "again"), ("a'.1 list 0", "fail")),
    ),
    Case(
        "a run is made anew with one more retry, and fails once",
        "incremental, made anew",
        "forgotten",
        (("a.1 succeeded", "grow"), ("a.1 succeeded", "raised"), ("a'.1 list 0", "fail")),
    ),
    Case(
        "a run is cleared when its DAG has no retries any more",
        "incremental, made anew",
        "forgotten",
        (("a.1 succeeded", "lowered"),),
    ),
    Case(
        "an attempt of a deleted run wakes and commits after the new run, which is cleared",
        "incremental, made anew",
        "forgotten",
        (
            ("a.1 get *", "freeze"),
            ("a.1 frozen", "again"),
            ("a'.1 succeeded", "grow"),
            ("a'.1 succeeded", "finish"),
            ("a'.1 succeeded", "wake"),
            ("a.1 succeeded", "clear"),
        ),
    ),
    Case(
        "a creation time is ahead of the clock",
        "incremental, dates ahead",
        "missing",
        (("a.1 get *", "ahead"), ("a.1 get *", "finish"), ("a.1 succeeded", "grow")),
    ),
    Case(
        "a run is killed after its commit, and never retried",
        "incremental, store",
        "leftover",
        (("a.1 " + PUT_MANIFEST, "kill"), ("a.1 killed", "stop")),
    ),
    Case(
        "a run is killed after its commit, and the next one commits",
        "incremental, store",
        "leftover",
        (("a.1 ls 00000001", "kill"), ("a.1 killed", "retry"), ("a.2 succeeded", "stop")),
    ),
    Case(
        "a writer is killed in the middle of a file",
        "incremental, local",
        "leftover",
        (("a.1 " + WRITE_NEW, "kill"),),
    ),
    Case(
        "an attempt is frozen before it lists what lies under a path that is new",
        "incremental, store",
        "final",
        (("a.1 ls .", "freeze"), ("a.1 frozen", "start"), ("b.1 succeeded", "wake")),
    ),
    Case(
        "a retry finds little room",
        "anew, no room",
        "worse",
        (("a.1 get *", "full"), ("a.1 put part-00002*", "kill")),
    ),
)

TAPES = (
    Case("an attempt wakes after its retry", "incremental, store", "lost", tape=(0, 3)),
    Case("a try is started twice", "incremental, store", "lost", tape=(*[0] * 3, 7)),
    Case(
        "a frozen attempt writes again what its retry has committed, and the list has grown",
        "incremental, store",
        "changed",
        tape=(0, 3, *[0] * 24, 8),
    ),
    Case("a run is frozen after its commit", "incremental, store", "forgotten", tape=(*[0] * 19, 3, 2)),
    Case("the put of a manifest fails", "incremental, store", "forgotten", tape=(*[0] * 19, 4, 0, 2)),
    Case(
        "the response to the put of a manifest is lost",
        "incremental, store",
        "forgotten",
        tape=(*[0] * 19, 5, 1),
    ),
    Case(
        "the response to a commit is lost",
        "incremental, store",
        "forgotten",
        tape=(*[0] * 8, 1, 1, *[0] * 8, 5),
    ),
    Case(
        "a try is started again after its commit",
        "incremental, store",
        "forgotten",
        tape=(1, *[0] * 19, 8),
    ),
    Case("a lock is old before its holder commits", "incremental, store", "doubled", tape=(*[0] * 17, 9, 1)),
    Case(
        "a commit arrives late",
        "incremental, store",
        "doubled",
        tape=(
            *(*[0] * 4, 1, *[0] * 9, 3, *[0] * 8, 1, *[0] * 4, 1, *[0] * 4, 7, 1, *[0] * 4),
            *(1, 1, 1, 0, 1, 4, 1, 6, *[0] * 2, 9),
        ),
    ),
    Case(
        "two tries of a run break the lock of each other",
        "incremental, store",
        "doubled",
        tape=(
            *(*[0] * 11, 1, *[0] * 5, 6, 1, 0, 6, 2, 3, 2, 1, 0, 1, *[0] * 2, 3, 2, *[0] * 4),
            *(1, 3, *[0] * 7, 2, 0, 1),
        ),
    ),
    Case("a try is started twice in a directory", "incremental, local", "lost", tape=(0, 5)),
    Case("a lock is empty when its maker is killed", "incremental, local", "blocked", tape=(*[0] * 54, 1)),
    Case(
        "a run is killed after its commit",
        "incremental, local",
        "forgotten",
        tape=(*[0] * 36, 2, 2),
    ),
    Case(
        "a prediction finishes between two tries", "incremental, local", "changed", tape=(0, 5, *[0] * 9, 9)
    ),
    Case("a lock in a directory is old", "incremental, local", "doubled", tape=(*[0] * 30, 1, 1, 8, 1)),
    Case(
        "two runs land at once while the list grows",
        "anew, store",
        "changed",
        tape=(*[0] * 8, 3, 7, *[0] * 3, 1),
    ),
    Case("a run lands over another", "anew, store", "neither"),
    Case("two runs land at once in a directory", "anew, local", "changed", tape=(*[0] * 11, 1, 9)),
    Case(
        "a retry has the key of another account",
        "anew, other account",
        "claims",
        tape=(*[0] * 8, 3, 2, 12),
    ),
    Case(
        "there is no room for a copy, and the listing for tidying up is stale",
        "anew, no room",
        "worse",
        tape=(
            *(1, 2, 9, 2, *[0] * 3, 8, 1, 1, 0, 1, 8, 0, 2, 0, 3, *[0] * 2, 2, *[0] * 3, 3, *[0] * 3),
            *(1, *[0] * 2, 3, 1, 0, 3, 0, 7),
        ),
    ),
    Case("two runs land other predictions", "anew, two filters", "changed", tape=(*[0] * 7, 1)),
    Case(
        "a retry that has copied all parts finds no room for the state",
        "incremental, local",
        "worse",
        tape=(
            *(*[0] * 4, 1, 3, *[0] * 3, 1, 0, 1, *[0] * 7, 7, 1, 2, 2, 4, *[0] * 12, 2, 1, 3, 2, *[0] * 5),
            *(1, 2, *[0] * 3, 1, 2, 0, 1, 2, *[0] * 4, 1, 3, 1, 0, *[1] * 4, *[0] * 4, 3, 1, 2, *[0] * 2),
            *(1, 1, *[0] * 2, 5),
        ),
    ),
    Case(
        "an attempt of a run that was made anew is overtaken by the new run",
        "anew, made anew",
        "uncommitted",
        tape=(
            *(4, 1, 1, 10, *[0] * 5, 8, 0, 2, 1, 4, *[0] * 6, 1, *[0] * 6, 1, 1, 0, 1, *[0] * 4, 2, 2),
            *(*[0] * 12, 1, 2, 0, 2, 2, *[0] * 4, 5, 0, 1, 2, 11, 0, 1, 1, 0, 1, 3, 10),
        ),
    ),
    Case(
        "an attempt is overtaken by one after a clear",
        "anew, made anew",
        "final",
        tape=(0, 5, *[0] * 25, 13),
    ),
)
