"""What authors of DAGs give beside plain texts and lists: members of an Enum, views, arrays, generators."""

from __future__ import annotations

from collections import UserString, deque
from decimal import Decimal
from enum import Enum, StrEnum
from fractions import Fraction
from typing import Any

import numpy as np
import pendulum
import pytest

from airflow_provider_predictions.api.errors import ConfigurationError
from tests.given import LAND, LIST, WAIT
from tests.tasks.test_arguments import LISTED, make, outcome, rendered

LISTING, LANDING, SENSOR = LIST["cradl"], LAND["cradl"], WAIT["cradl"]


class Word(str, Enum):  # noqa: UP042  (as authors wrote it before StrEnum)
    """Whose ``str`` is ``Word.FAILED``, and so is what Jinja makes of it."""

    FAILED = "failed"
    NEW = "1e5"
    ORDER = "descending"
    PATH = "/x"
    TEMPLATE = "/x/{{ ds }}"
    NOTHING = ""


class Plain(StrEnum):
    """Whose ``str`` is its value."""

    FAILED = "failed"


@pytest.fixture(params=[False, True], ids=["text", "native"])
def native(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def value_of(made: Any, name: str, value: Any, native: bool, **params: Any) -> Any:
    argument = made.declared[name]
    return rendered(make(made, argument, value, native), argument, params=params)


def said(made: Any, name: str, value: Any, native: bool, **params: Any) -> str:
    argument = made.declared[name]
    return str(outcome(make(made, argument, value, native), argument, params=params))


ROWS: list[tuple[Any, str, Any, Any]] = [
    (LISTING, "statuses", Word.FAILED, ("failed",)),
    (LISTING, "statuses", [Word.FAILED, Word.NEW], ("1e5", "failed")),
    (LISTING, "statuses", (Word.FAILED, "x"), ("failed", "x")),
    (LISTING, "statuses", {Word.FAILED, "1e5", "7"}, ("1e5", "7", "failed")),
    (LISTING, "statuses", frozenset({Word.FAILED}), ("failed",)),
    (LISTING, "statuses", [Plain.FAILED], ("failed",)),
    (LISTING, "statuses", Word.NOTHING, None),
    (LISTING, "model_id", Word.NEW, "1e5"),
    (LISTING, "order", Word.ORDER, "descending"),
    (LANDING, "path", Word.PATH, "/x"),
    (SENSOR, "fail_on", [Word.FAILED], ("failed",)),
    (SENSOR, "prediction_ids", [Word.NEW, [Word.FAILED]], ("1e5", "failed")),
    (SENSOR, "prediction_ids", range(2), ("0", "1")),
    (SENSOR, "prediction_ids", np.array([2, 1]), ("1", "2")),
    (SENSOR, "prediction_ids", [np.int64(1), np.str_("a")], ("1", "a")),
    (SENSOR, "prediction_ids", [{"b"}, frozenset({"a"}), deque(["c"])], ("a", "b", "c")),
    (SENSOR, "prediction_ids", {"b": 1, "a": 2}.keys(), ("a", "b")),
    (LISTING, "statuses", np.array(["b", "a"]), ("a", "b")),
    (LISTING, "statuses", {"x": "a"}.values(), ("a",)),
    (LISTING, "statuses", deque(["a"]), ("a",)),
    (LISTING, "max_predictions", np.int64(5), 5),
    (LISTING, "created_after", pendulum.date(2026, 1, 1), pendulum.datetime(2026, 1, 1)),
    (SENSOR, "max_interval", pendulum.duration(hours=1), 3600.0),
]


def test_values_that_stand_for_texts_are_those_texts(native: bool, subtests: pytest.Subtests) -> None:
    for number, (made, name, value, expected) in enumerate(ROWS):
        with subtests.test(number=number, name=name):
            found = value_of(made, name, value, native)

            assert found == expected
            assert not isinstance(found, Enum)
            assert not any(isinstance(item, Enum) for item in (found if isinstance(found, tuple) else ()))


def test_an_array_is_its_list_in_every_argument(native: bool, subtests: pytest.Subtests) -> None:
    for made, argument in LISTED:
        with subtests.test(made=made.__name__, name=argument.name):
            found, expected = (
                value_of(made, argument.name, value, native) for value in (np.array(["b", "a"]), ["b", "a"])
            )

            assert found == expected


def test_a_list_in_an_item_of_a_list_is_the_same_natively(native: bool) -> None:
    both = ["{{ params.x }}", "{{ params.x | json }}", "c"]

    assert value_of(SENSOR, "prediction_ids", both, native, x=["a", "b"]) == ("a", "b", "c")
    for made, name in ((LISTING, "statuses"), (LISTING, "fields"), (SENSOR, "fail_on")):
        found = said(made, name, both, native, x=["a", "b"])
        assert found.startswith(f"{name}: item 1 must be text; found list")


@pytest.mark.parametrize("template", ["{{ params.x | map('upper') }}", "{{ params.x | select }}"])
def test_a_template_without_list_at_its_end_is_refused(template: str, native: bool) -> None:
    for made, name in ((LISTING, "statuses"), (LISTING, "model_id"), (SENSOR, "prediction_ids")):
        for form in (template, [template]) if name != "model_id" else (template,):
            found = said(made, name, form, native, x=["a"])
            assert found.startswith(
                f"{name}: rendered to a Python object, not a value; end the template with | list"
            )
    assert said(LANDING, "path", f"/x/{template}", native, x=["a"]).startswith(
        "path: rendered to a Python object"
    )
    assert value_of(LISTING, "statuses", "{{ params.x | map('upper') | list }}", native, x=["a"]) == ("A",)


def test_text_in_brackets_and_angles_is_no_object(native: bool) -> None:
    assert value_of(LISTING, "model_id", "{{ params.x }}", native, x="<a at home>") == "<a at home>"
    assert value_of(LISTING, "statuses", "{{ params.x }}", native, x="set aside") == ("set aside",)


def test_a_member_of_an_enum_with_a_template_and_a_class_are_refused_by_name() -> None:
    for value, why in (
        (Word.TEMPLATE, "is a Word with a template"),
        (Word, "is the class Word"),
        (list, "is the"),
    ):
        with pytest.raises(ConfigurationError, match=f"^path: {why}"):
            LANDING(task_id="t", path=value)
        with pytest.raises(ConfigurationError, match=f"^statuses: {why}"):
            LISTING(task_id="t", statuses=value)
        with pytest.raises(ConfigurationError, match=f"^statuses: {why}"):
            LISTING(task_id="t", statuses=[value])


NUMBERS = (Decimal(500), Fraction(500), np.int64(500), pendulum.duration(seconds=500))


@pytest.mark.parametrize("value", NUMBERS, ids=lambda value: type(value).__name__)
def test_a_number_of_any_library_is_used_as_a_float(value: Any) -> None:
    for made, name, beside in (
        (LANDING, "max_age", {"path": "/x", "incremental": True}),
        (LANDING, "lookback", {"path": "/x", "incremental": True}),
        (SENSOR, "max_interval", {}),
    ):
        running = made(task_id="t", **{name: value}, **beside).prepare_for_execution()

        running.rendered()

        assert type(getattr(running, name)) is float
        assert getattr(running, name) == 500.0


def test_a_list_that_contains_itself_is_refused_by_name(subtests: pytest.Subtests) -> None:
    itself: list[Any] = []
    itself.append(itself)
    for made, name in (
        (LANDING, "prefetch"),
        (LANDING, "path"),
        (SENSOR, "deferrable"),
        (SENSOR, "fail_on"),
        (LISTING, "on_empty"),
    ):
        for value in (itself, UserString("a")):  # whose items are of its own type
            with (
                subtests.test(name=name, type=type(value).__name__),
                pytest.raises(ConfigurationError, match=rf"^{name}: "),
            ):
                made(task_id="t", **({"path": "/x"} if made is LANDING else {}) | {name: value})


def test_a_set_may_hold_what_python_reads_as_a_list() -> None:
    with pytest.raises(ConfigurationError, match=r"^statuses: item \d must be text; found list"):
        LISTING(task_id="t", statuses={"[1]", "b"})
