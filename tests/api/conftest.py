"""How long hypothesis looks for a counterexample, and without a word."""

from __future__ import annotations

import pytest
from hypothesis import settings


@pytest.fixture(params=[30, pytest.param(250, marks=pytest.mark.slow)])
def examples(request: pytest.FixtureRequest) -> settings:
    """So many examples, the same ones every time: only a change of the code changes a result."""
    return settings(deadline=None, derandomize=True, max_examples=request.param)


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of examples would fill the log."""
    caplog.set_level("ERROR", "airflow_provider_predictions")
