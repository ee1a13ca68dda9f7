"""Each way to wait in turn."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_predictions.sandbox.server import Sandbox
from tests.compat import AIRFLOW
from tests.given import WAIT
from tests.sensors.waiting import in_trigger, make, rescheduled


@pytest.fixture(params=["poke", "reschedule", "deferred"])
def mode(request: pytest.FixtureRequest) -> str:
    """Each way to wait in turn."""
    mode: str = request.param
    return mode


@pytest.fixture
def wait(request: pytest.FixtureRequest, mode: str, connections: Sandbox, service_name: str):
    """Wait in each way; the result, or what was raised."""
    if mode == "reschedule" and AIRFLOW < (3, 0):
        request.getfixturevalue("airflow_db")

    def run(**arguments: Any) -> Any:
        sensor = WAIT[service_name]
        if mode == "reschedule":
            return rescheduled(sensor, **arguments)
        if mode == "deferred":
            return in_trigger(make(sensor, deferrable=True, **arguments))
        return make(sensor, **arguments).execute({})

    return run
