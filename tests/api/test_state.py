"""State crosses JSON, and nothing else is taken for it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_predictions.api.incremental import IncrementalCursor
from airflow_provider_predictions.api.pagination.base import Position
from airflow_provider_predictions.api.pagination.seen import SeenRows
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.api.state import StateError, decode, dump, encode, load
from airflow_provider_predictions.api.waiting.finished_events import FinishedEvents
from tests.api.lists import paginator_of
from tests.api.services import SERVICES


@pytest.mark.parametrize("moment", [datetime.min, datetime(2026, 11, 1, 12, 0, 0, 5), datetime.max])
def test_a_state_crosses_json_with_every_time_and_half_a_surrogate_pair(moment: datetime) -> None:
    seen = SeenRows(last=moment.replace(tzinfo=UTC), ties={"b", "a\ud800"})

    assert load(json.loads(json.dumps(dump(seen))), SeenRows) == decode(encode(seen), SeenRows) == seen


def test_equal_states_are_equal_values() -> None:
    ids = [f"id-{n}" for n in range(100)]

    assert json.dumps(dump(SeenRows(ties={*ids}))) == json.dumps(dump(SeenRows(ties={*ids[::-1]})))


STATES = [Position(page_size=1, left=None), SeenRows(), FinishedEvents(datetime.now(UTC))]
WRONG = [
    ("an array", lambda state: [state]),
    ("another version", lambda state: state | {"version": 2}),
    ("no version", lambda state: {name: value for name, value in state.items() if name != "version"}),
    ("a member more", lambda state: state | {"new": 1}),
    ("a member less", lambda state: dict(list(state.items())[:-1])),
    ("a member of another type", lambda state: state | {list(state)[-1]: {"a": []}}),
]


@pytest.mark.parametrize(("how", "change"), WRONG, ids=[how for how, _ in WRONG])
@pytest.mark.parametrize("state", STATES, ids=lambda state: type(state).__name__)
def test_another_shape_is_refused(state: Any, how: str, change: Any) -> None:
    with pytest.raises(StateError, match=f"not a {type(state).__name__} of version 1: "):
        load(change(dump(state)), type(state))
    with pytest.raises(StateError, match=f"not a {type(state).__name__} of version 1: "):
        decode(json.dumps(change(dump(state))).encode(), type(state))


def test_a_part_that_lacks_a_member_or_has_another_is_refused() -> None:
    state = dump(Position(page_size=1, left=None, seen=SeenRows(ordered=False)))
    del state["seen"]["ordered"]

    with pytest.raises(StateError, match="other members"):
        load(state, Position)
    with pytest.raises(StateError, match="other members"):
        load(state | {"seen": dump(SeenRows()) | {"new": 1}}, Position)


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[" * 100_000])
def test_text_that_is_not_json_is_no_state(text: bytes) -> None:
    with pytest.raises(StateError, match="not a SeenRows of version 1: "):
        decode(text, SeenRows)


@SERVICES
def test_a_paginator_and_a_cursor_refuse_another_version(service: Service[Any]) -> None:
    paginator, cursor = paginator_of(service), IncrementalCursor((), None)

    with pytest.raises(StateError, match="version"):
        paginator.restore(paginator.state() | {"version": 0}, tuple)
    with pytest.raises(StateError, match="version"):
        cursor.restore(cursor.state() | {"version": 0})
