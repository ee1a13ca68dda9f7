"""What the commands that are shown do."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import SERVICES, on_request
from tests.docs.blocks import BLOCKS, COMMANDS, LANDED, ROOT, looks_like
from tests.faults import FaultySandbox

pytestmark = pytest.mark.docs


def test_every_connection_command_makes_a_connection(airflow_db: None) -> None:
    adding = sorted({line for _, line in COMMANDS if line.startswith("airflow connections add")})
    variables = {"VLMRUN_API_KEY": "a-key", "CRADL_CLIENT_ID": "an-id", "CRADL_CLIENT_SECRET": "a-secret"}
    deleting = [f"airflow connections delete {name}_default" for name in SERVICES]
    commands = [*adding, "airflow connections list -o json", *deleting]

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RUN_COMMANDS, *commands],
        env=os.environ | variables, check=True, capture_output=True, text=True, timeout=900,
    )  # fmt: skip

    (listed,) = re.findall(r"^\[\{.*\}\]$", done.stdout, re.MULTILINE)
    stored = {row["conn_id"]: row["conn_type"] for row in json.loads(listed)}
    assert stored.items() >= {f"{name}_default": name for name in SERVICES}.items()


RUN_COMMANDS = """
import os, shlex, sys
from airflow.cli.cli_parser import get_parser

for command in sys.argv[1:]:  # in one process, since each takes seconds to start
    _, *arguments = shlex.split(os.path.expandvars(command))
    given = get_parser().parse_args(arguments)
    given.func(given)
"""


@pytest.fixture
def incoming() -> Iterator[list[str]]:
    """What the tutorial's sandbox prints. It ends after the test."""
    (block,) = [block for block in BLOCKS if block.language == "bash" and "incoming.py" in block.code]
    *_, script = block.code.split()
    shown = (block.output or "").strip()
    with subprocess.Popen(
        [sys.executable, ROOT / script, "--port", "0"], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout
        printed = [server.stdout.readline().rstrip("\n") for _ in shown.splitlines()]
        assert looks_like(shown.replace("8765", "…")).fullmatch("\n".join(printed))
        yield printed
        server.terminate()


def test_predictions_come_in_at_the_sandbox_of_the_tutorial(incoming: list[str]) -> None:
    (export,) = [line for line in incoming if "AIRFLOW_CONN_VLMRUN_DEFAULT" in line]
    connection = json.loads(shlex.split(export)[1].split("=", 1)[1])

    listed = httpx.get(
        f"{connection['host']}/predictions",
        params={"limit": 1000}, headers={"Authorization": f"Bearer {connection['password']}"},
    )  # fmt: skip

    assert len(listed.json()) >= 250 + 4


def test_the_tutorial_works_as_written(sandbox: FaultySandbox, tmp_path: Path) -> None:
    """In a shell that knows nothing of Airflow. The sandbox stands in for the account, too.

    Predictions come in at the first poll, however late that is, so the tutorial waits for them.
    """
    sandbox.vlmrun.fill(250)
    on_request(sandbox, "vlmrun", 1, lambda: sandbox.receive(4))
    blocks = [block for block in BLOCKS if block.place.startswith("docs/tutorial.md")]
    (dag,) = [block for block in blocks if block.language == "python"]
    before, run, look, page, account = [
        block for block in blocks
        if block.language == "bash" and not re.search(r"make|incoming\.py|standalone", block.code)
    ]  # fmt: skip
    exports = [f"export {name}={shlex.quote(value)}" for name, value in sandbox.environment().items()]
    connection = sandbox.connection("vlmrun")
    real = account.code.replace("--conn-type", f"--conn-host {connection['host']} --conn-type")
    tmp_path.joinpath(".venv").symlink_to(sys.prefix)
    save = f"cat >{dag.title} <<'END'\n{dag.code}END\n"
    script = "\n".join(["set -e", before.code, *exports, save, run.code, look.code, page.code, real])
    unset = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}

    done = subprocess.run(
        ["bash", "-c", script.replace(LANDED, f"{tmp_path}/seen")],
        cwd=tmp_path, env=unset | {"VLMRUN_API_KEY": connection["password"]},
        capture_output=True, text=True, timeout=900,
    )  # fmt: skip

    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    polls = re.findall(r"VLM Run: \d+ of \d+ predictions are unfinished.*", done.stdout + done.stderr)
    assert len(polls) > 1  # it has waited
    assert looks_like(f"…{run.output}…").fullmatch(done.stdout + done.stderr)
    assert '"complete": true' in done.stdout
    assert "<title>VLM Run, " in tmp_path.joinpath("seen/report/report.html").read_text()
    assert {"report.html", "summary.json"} <= set(done.stdout.split())
    assert "Connection success!" in done.stdout
