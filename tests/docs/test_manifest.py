"""The manifest that the reference shows, against that of a landing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow_provider_predictions.operators.vlmrun import VlmRunPredictionsToObjectStorageOperator
from airflow_provider_predictions.sandbox.server import Sandbox
from tests.clock import SimulatedTime
from tests.docs.blocks import BLOCKS

OF_ITS_RUN = {"path", "created_min", "created_max", "committed_at"}
OF_ITS_PART = {"uri", "url", "bytes", "sha256"}


def lasting(manifest: dict[str, Any]) -> dict[str, Any]:
    """A manifest as another run of the same landing has it: other values only where they cannot be equal."""
    parts = [part | dict.fromkeys(OF_ITS_PART, "…") for part in manifest["parts"]]
    return manifest | dict.fromkeys(OF_ITS_RUN, "…") | {"parts": parts}


def test_the_manifest_of_the_reference_is_that_of_a_landing(
    connections: Sandbox, tmp_path: Path, simulated_time: SimulatedTime
) -> None:
    page = "docs/reference/manifest.md"
    (shown,) = [json.loads(b.code) for b in BLOCKS if b.place.startswith(page) and b.language == "json"]
    connections.vlmrun.fill(250)
    simulated_time.skip(60 - datetime.now(UTC).second)

    landed = VlmRunPredictionsToObjectStorageOperator(
        task_id="land", path=f"file://{tmp_path}", statuses=["completed"]
    ).execute({})

    assert lasting(shown) == lasting(landed)
