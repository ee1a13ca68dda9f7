"""What the commands that are shown do."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_predictions.sandbox.server import Sandbox
from tests.conftest import SERVICES
from tests.docs.blocks import BLOCKS, COMMANDS, LANDED, looks_like

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


def test_the_sandbox_prints_what_the_tutorial_shows() -> None:
    (block,) = [block for block in BLOCKS if block.language == "bash" and block.output]
    *_, module = block.code.split()
    shown = (block.output or "").replace("8765", "…")

    with subprocess.Popen(
        [sys.executable, "-m", module, "--port", "0"], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout
        printed = "".join(server.stdout.readline() for _ in shown.strip().splitlines())
        server.terminate()

    assert looks_like(shown).fullmatch(printed.strip())


def test_the_tutorial_works_as_written(sandbox: Sandbox, tmp_path: Path) -> None:
    """In a shell that knows nothing of Airflow; the sandbox stands in for the account, too."""
    sandbox.vlmrun.fill(20)
    blocks = [block for block in BLOCKS if block.place.startswith("docs/tutorial.md")]
    (dag,) = [block for block in blocks if block.language == "python"]
    before, run, look, account = [
        block.code for block in blocks
        if block.language == "bash" and not re.search("make|-m |standalone", block.code)
    ]  # fmt: skip
    exports = [f"export {name}={shlex.quote(value)}" for name, value in sandbox.environment().items()]
    account = account.replace("--conn-type", f"--conn-host {sandbox.url}/vlmrun/v1 --conn-type")
    tmp_path.joinpath(".venv").symlink_to(sys.prefix)
    save = f"cat >{dag.title} <<'END'\n{dag.code}END\n"
    script = "\n".join(["set -e", before, *exports, save, run, look, account])
    unset = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    key = json.loads(sandbox.environment()["AIRFLOW_CONN_VLMRUN_DEFAULT"])["password"]

    done = subprocess.run(
        ["bash", "-c", script.replace(LANDED, f"{tmp_path}/landed")],
        cwd=tmp_path, env=unset | {"VLMRUN_API_KEY": key}, capture_output=True, text=True, timeout=900,
    )  # fmt: skip

    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert '"complete": true' in done.stdout
    assert "Connection success!" in done.stdout
