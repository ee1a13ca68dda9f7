"""The steps of ``docs/guides/restore.md`` in each storage; ``tests/docs/test_restore.py`` has every case."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath

from airflow_provider_predictions.sandbox.server import Sandbox
from tests.docs.blocks import BLOCKS
from tests.given import LAND, context_of

(PAGE,) = [block for block in BLOCKS if block.place.startswith("docs/guides/restore.md")]
STEPS: dict[str, Callable[..., None]] = {}
exec(compile(PAGE.code, PAGE.place, "exec"), STEPS)


def test_a_path_is_restored_in_each_storage(store: ObjectStoragePath, connections: Sandbox) -> None:
    def land(run: str) -> int:
        connections.vlmrun.add()
        operator = LAND["vlmrun"](task_id="land", path=str(store), incremental=True)
        count: int = operator.execute(context_of(run))["count"]
        return count

    assert [land("monday"), land("tuesday")] == [1, 1]

    (store / "_state.json").unlink()
    with pytest.raises(AirflowFailException, match=r"_state\.json is missing"):
        land("wednesday")
    STEPS["restore_state"](store)
    assert land("thursday") == 2

    for commit in [*(store / "_log").iterdir()]:
        commit.unlink()
    STEPS["restore_log"](store)
    STEPS["restore_states"](store)
    STEPS["restore_manifest"](store, 2)
    assert land("friday") == 1
