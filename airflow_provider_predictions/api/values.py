"""The values that a service has extracted, one by one, each with its path in the record.

A path is that of the value in JSON: ``lines[3].amount``, or ``["a.b"]`` for a name that holds more than
letters, digits, ``_`` and ``-``. A label is the path without positions: ``lines.amount``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from fnmatch import fnmatchcase
from typing import Any

from airflow_provider_predictions.api.limits import MAX_REMEMBERED_NAMES, MAX_VALUE_DEPTH
from airflow_provider_predictions.api.spelled_json import Digits, as_json, as_number

_PLAIN = re.compile(r"[\w-]+")
_METADATA = "_metadata"
_OF_METADATA = frozenset({"confidence", "bboxes", "bbox", "page", "content"})
_POSITION = re.compile(r"\[(?:[0-9]*|\*)\]")
_INT32 = 2**31


class Choice(dict[str, bool]):
    """Which labels are chosen.

    :param patterns: labels, in which ``*`` stands for any characters and ``?`` for one. None chooses all.
    """

    def __init__(self, patterns: Collection[str] | None) -> None:
        self.patterns = patterns
        self.matched: set[str] = set()

    def __missing__(self, label: str) -> bool:
        if len(self) >= MAX_REMEMBERED_NAMES:
            self.clear()
        hits = [each for each in self.patterns or () if fnmatchcase(label, each.replace("[", "[[]"))]
        self.matched.update(hits)
        self[label] = found = self.patterns is None or bool(hits)
        return found


def check_patterns(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Patterns that can match a label.

    :raises ValueError: if there are none, or one holds a position, which no label has.
    """
    if not patterns:
        raise ValueError("is empty, and would choose no value; leave it out for all values")
    for pattern in patterns:
        if _POSITION.search(pattern):
            label = _POSITION.sub("", pattern).removeprefix(".")
            raise ValueError(f"{pattern} holds a position, and no label does; write {label or 'a label'}")
    return patterns


_Facts = tuple[float | None, str | None, int | None]
"""Confidence as a number, confidence as a word, page."""
_NO_FACTS: _Facts = (None, None, None)


class Values:
    """The values of some records, in columns.

    :ivar records: of each value, the number of its record, as ``record`` says when it is added.
    :ivar deep: of the values whose nesting was cut, the numbers of their records.
    """

    def __init__(self, choice: Choice) -> None:
        self._choice = choice
        self.record = 0
        self.records: list[int] = []
        self.paths: list[str] = []
        self.labels: list[str] = []
        self.texts: list[str | None] = []
        self.numbers: list[float | None] = []
        self.confidences: list[float | None] = []
        self.levels: list[str | None] = []
        self.pages: list[int | None] = []
        self.deep: list[int] = []

    def __len__(self) -> int:
        return len(self.records)

    def add(self, path: str, label: str, value: Any, facts: _Facts = _NO_FACTS) -> bool:
        """Add a value, if its label is chosen.

        :return: whether it is.
        """
        if not self._choice[label]:
            return False
        kind, number = type(value), None
        if kind is Digits or kind is int:
            value, number = str(value), as_number(value)
        elif kind is not str and value is not None:
            value = as_json(value)
        self.records.append(self.record)
        self.paths.append(path)
        self.labels.append(label)
        self.texts.append(value)
        self.numbers.append(number)
        confidence, level, page = facts
        self.confidences.append(confidence)
        self.levels.append(level)
        self.pages.append(page)
        return True

    def add_deep(self, path: str, label: str, value: Any, facts: _Facts = _NO_FACTS) -> None:
        """Add what is nested too deeply as one value, which is its JSON text."""
        if self.add(path, label, value, facts):
            self.deep.append(self.record)


def leaves(values: Values, found: Any) -> None:
    """Add each leaf of a JSON value. An empty object or list is a leaf, but not as the whole.

    Beside a field ``x``, VLM Run writes ``x_metadata`` with its confidence: recorded outputs in the vendor's
    cookbook, and docs.vlm.run. Words such as ``hi`` are no numbers. Of several boxes, the lowest confidence
    and the first page count. If ``x_metadata`` has other members, it is a value, too.
    """
    if found not in ({}, [], None):
        _add_leaves(values, found, "", "", _NO_FACTS, MAX_VALUE_DEPTH)


def _add_leaves(values: Values, found: Any, path: str, label: str, facts: _Facts, levels: int) -> None:
    kind = type(found)
    if not found or (kind is not dict and kind is not list):
        values.add(path, label, found, facts)
    elif not levels:
        values.add_deep(path, label, found, facts)
    elif kind is dict:
        for name, member in found.items():
            if name.endswith(_METADATA) and _is_metadata(name, member, found):
                continue
            step = _STEPS[name]
            about = found.get(name + _METADATA)
            _add_leaves(
                values,
                member,
                f"{path}{step}" if path else step.removeprefix("."),
                f"{label}{step}" if label else step.removeprefix("."),
                _facts_of(about) if type(about) is dict else _NO_FACTS,
                levels - 1,
            )
    else:
        for position, element in enumerate(found):
            _add_leaves(values, element, f"{path}[{position}]", label, facts, levels - 1)


def _is_metadata(name: str, member: Any, siblings: dict[str, Any]) -> bool:
    is_like_it = member is None or (type(member) is dict and member.keys() <= _OF_METADATA)
    return is_like_it and name.removesuffix(_METADATA) in siblings


def _facts_of(metadata: dict[str, Any]) -> _Facts:
    boxes = metadata.get("bboxes")
    boxes = [box for box in boxes if type(box) is dict] if type(boxes) is list else []
    confidence, level = _confidence(metadata.get("confidence"))
    page = _page(metadata.get("page"))
    if confidence is None:
        found = [_confidence(box.get("confidence"))[0] for box in boxes]
        confidence = min((each for each in found if each is not None), default=None)
    if page is None and boxes:
        page = _page(boxes[0].get("page"))
    return confidence, level, page


def fields(values: Values, found: Any) -> None:
    """Add each of Cradl's fields, and each field of its line items.

    Line items are a field whose value is a list of rows of fields (specification: the items of
    ``predictions``). Instead of a list, an object by label is read, too: the vendor's connector for Power
    Automate declares it. A label that comes again is ``total[1]``, and line items are counted on, so that no
    path is given twice.
    """
    if found is not None:
        _add_fields(values, _listed(found) if type(found) is dict else found, "", "", MAX_VALUE_DEPTH)


def _add_fields(values: Values, found: Any, path: str, label: str, levels: int) -> None:
    if not _is_row(found):
        if path or found != []:
            _add_leaves(values, found, path, label, _NO_FACTS, levels)
        return
    counts: dict[str, int] = {}
    for position, field in enumerate(found):
        if not _is_field(field):  # it has no label, so that only ``paths`` for all values choose it
            values.add(f"{path}[{position}]", "", field)
            continue
        name = field["label"]
        own = f"{path}{_STEPS[name] if path else _STEPS[name].removeprefix('.')}"
        own_label = f"{label}{_STEPS[name]}" if label else _STEPS[name].removeprefix(".")
        value, count = field.get("value"), counts.get(name, 0)
        if type(value) is list and value and levels:
            rows = [value] if _is_row(value) else value
            for number, row in enumerate(rows, count):
                _add_fields(values, row, f"{own}[{number}]", own_label, levels - 1)
            counts[name] = count + len(rows)
        else:
            facts = (*_confidence(field.get("confidence")), _page(field.get("page")))
            _add_leaves(values, value, f"{own}[{count}]" if count else own, own_label, facts, levels)
            counts[name] = count + 1


def _is_row(found: Any) -> bool:
    """Whether it is a list with fields."""
    return type(found) is list and any(map(_is_field, found))


def _is_field(found: Any) -> bool:
    return type(found) is dict and type(found.get("label")) is str


def _listed(by_label: dict[str, Any]) -> list[Any]:
    """Fields by label, as a list."""
    return [
        {"label": name} | field
        if type(field) is dict and "value" in field
        else {"label": name, "value": field}
        for name, given in by_label.items()
        for field in (given if _is_row(given) else [given])
    ]


class _Steps(dict[str, str]):
    """The step to a member, by its name."""

    def __missing__(self, name: str) -> str:
        if len(self) >= MAX_REMEMBERED_NAMES:
            self.clear()
        is_plain = _PLAIN.fullmatch(name)
        self[name] = step = f".{name}" if is_plain else f"[{json.dumps(name, ensure_ascii=False)}]"
        return step


_STEPS = _Steps()


def _confidence(value: Any) -> tuple[float | None, str | None]:
    """A confidence as a number, or as a word, as it was sent."""
    return as_number(value), value if type(value) is str else None


def _page(value: Any) -> int | None:
    number = as_number(value)
    is_page = number is not None and number.is_integer() and -_INT32 <= number < _INT32
    return int(number) if is_page and number is not None else None
