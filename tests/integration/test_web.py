"""``make airflow``, as a terminal starts and stops it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from stack import until
from web import HOME

from tests.compat import AIRFLOW

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.skipif(AIRFLOW < (3, 3), reason="`make airflow` starts the newest Airflow"),
]


@pytest.mark.parametrize(
    ("shown", "number"),
    [("Starting", signal.SIGTERM), ("Airflow is at", signal.SIGINT)],
    ids=["while it starts", "when it serves"],
)
def test_it_leaves_no_process_behind_when_it_is_stopped(tmp_path: Path, shown: str, number: int) -> None:
    log = tmp_path / "log"
    command = [sys.executable, Path(__file__).parents[2] / "scripts" / "web.py"]
    with log.open("wb") as output:
        web = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    try:
        until(shown, lambda: shown in log.read_text() and running(), 300, [web.pid])
        if address := re.search(r"Airflow is at (\S+);", log.read_text()):
            connections = httpx.get(f"{address[1]}/api/v2/connections", timeout=60).json()["connections"]
            assert {found["connection_id"] for found in connections} == {"cradl_default", "vlmrun_default"}
    finally:
        os.killpg(web.pid, number)
        web.wait(timeout=120)

    assert web.returncode == 0, log.read_text()
    assert log.read_text().endswith("Stopped.\n")
    assert not running()


def running() -> list[str]:
    """The processes whose Airflow home is that of the web UI."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = process.joinpath("environ").read_bytes()
        except OSError:
            continue
        if f"AIRFLOW_HOME={HOME}\0".encode() in environment:
            found.append(process.name)
    return found
