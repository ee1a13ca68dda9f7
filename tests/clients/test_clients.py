"""The services' own SDKs take the sandbox for the services, so our client is tried on what it would get.

They run in an environment of their own, since neither goes together with Airflow's pins.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_predictions.sandbox import app
from airflow_provider_predictions.sandbox.data import values
from airflow_provider_predictions.sandbox.server import Sandbox
from tests.conftest import moving

pytestmark = pytest.mark.clients

PYTHON = Path(__file__).parents[2] / ".venv-clients/bin/python"
SCRIPTS = Path(__file__).parent / "scripts"
COUNT = 250
PROXY = "http://127.0.0.1:1"
"""Nobody serves there: what is not of this machine is not reached."""


def ask(script: str, home: Path, *arguments: str) -> dict[str, Any]:
    """What a script of an SDK has seen.

    :param home: where the SDK may write, and finds no one's credentials.
    """
    assert PYTHON.exists(), "`make .venv-clients/ready` installs the SDKs"
    environment = {
        "HOME": str(home), "HTTP_PROXY": PROXY, "HTTPS_PROXY": PROXY, "NO_PROXY": "127.0.0.1,localhost",
    }  # fmt: skip
    command = [str(PYTHON), str(SCRIPTS / script), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_sdk_of_vlm_run_lists_pages_gets_and_waits(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.vlmrun.fill(COUNT)
    one = next(row for row in sandbox.vlmrun.rows if row.outcome == "completed")
    unfinished = moving(sandbox.vlmrun, "completed", 2)

    found = ask("vlmrun_sdk.py", tmp_path, f"{sandbox.url}/vlmrun/v1", app.API_KEY, "100", one.id, unfinished)

    assert found["health"]
    assert found["listed"] == [row.id for row in sandbox.vlmrun.rows]
    assert found["first page"] == 10
    shown = json.loads(sandbox.vlmrun.text(one))
    assert {name: found["one"][name] for name in ("id", "status", "domain", "response")} == {
        name: shown[name] for name in ("id", "status", "domain", "response")
    }
    assert found["waited for"] == "completed"
    assert found["no such id"].startswith("404")
    assert found["no such path"] == "404 Not Found"


def test_the_sdk_of_cradl_lists_pages_gets_and_asks_until_the_end(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.cradl.fill(COUNT)
    one = next(row for row in sandbox.cradl.rows if row.outcome == "succeeded")
    unfinished = moving(sandbox.cradl, "succeeded", 2)
    # By this word in the URL, the SDK knows the token endpoint whose claims it insists on.
    auth = f"{sandbox.url}/oauth2/token?of=auth.cradl.ai"

    found = ask(
        "cradl_sdk.py", tmp_path, f"{sandbox.url}/cradl/v1", auth,
        app.CLIENT_ID, app.CLIENT_SECRET, "100", one.id, unfinished,
    )  # fmt: skip

    rows = [row.id for row in sandbox.cradl.rows]
    assert found["listed"] == rows
    assert found["oldest first"] == rows[::-1]
    assert found["one"] == json.loads(sandbox.cradl.text(one)) | {"predictions": json.loads(values(one))}
    assert found["waited for"] == "succeeded"
    assert found["no such id"].startswith("NotFound")
    assert found["no such path"] == "403"
    assert found["token is a JWT"]
    assert len([seen for seen in sandbox.wire.seen if seen.part == "token"]) == 1
