"""What Airflow's triggerer does with triggers of this package that do not work."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.compat import AIRFLOW
from tests.given import WATCH


def workload(id_: int, classpath: str, arguments: dict[str, Any]) -> Any:
    """A trigger as the triggerer reads it from the database."""
    from airflow.executors.workloads import RunTrigger
    from airflow.models.trigger import Trigger

    return RunTrigger(id=id_, classpath=classpath, encrypted_kwargs=Trigger.encrypt_kwargs(arguments))


@pytest.mark.parametrize(
    "wrong",
    [{"argument_of_a_newer_version": 1}, {"max_age": 0.0}, {"statuses": []}, {"page_size": 10_000}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_watcher_that_the_triggerer_cannot_make_harms_no_other(
    service_name: str, wrong: dict[str, Any]
) -> None:
    """Its DAG may have been parsed by another version of the package, with other rules."""
    if AIRFLOW < (3, 3):
        pytest.skip("the test hands a workload to the triggerer as Airflow 3.3 does")
    from airflow.jobs.triggerer_job_runner import TriggerRunner

    classpath, arguments = WATCH[service_name]().serialize()

    async def start() -> tuple[list[int], list[int]]:
        runner = TriggerRunner()
        runner.to_create.extend(
            [workload(1, classpath, arguments | wrong), workload(2, classpath, arguments)]
        )
        await runner.create_triggers()
        started = [*runner.triggers]
        for trigger in runner.triggers.values():
            trigger["task"].cancel()
        await asyncio.gather(
            *(trigger["task"] for trigger in runner.triggers.values()), return_exceptions=True
        )
        return started, [id_ for id_, _ in runner.failed_triggers]

    started, failed = asyncio.run(start())

    assert (started, failed) == ([2], [1])
