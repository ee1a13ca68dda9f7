"""Every command and every file that is shown is understood by what it is meant for."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_predictions.hooks.base import PredictionsHook
from airflow_provider_predictions.hooks.cradl import CradlHook
from airflow_provider_predictions.hooks.vlmrun import VlmRunHook
from airflow_provider_predictions.sandbox.server import Sandbox
from tests.docs.blocks import BLOCKS, LANDED, ROOT, Block, looks_like, of

COMMANDS = [
    (block.place, line)
    for block in BLOCKS
    if block.language == "bash"
    for line in block.code.splitlines()
    if line.strip()
]


def test_every_block_is_of_a_language_that_is_checked_here() -> None:
    assert BLOCKS
    assert {block.language for block in BLOCKS} <= {"python", "bash", "json", "ini", "text"}


def test_every_output_belongs_to_a_block_in_front_of_it() -> None:
    texts = [block for block in BLOCKS if block.language == "text"]

    assert len(texts) == len([block for block in BLOCKS if block.output])


def test_the_commands_of_make_are_its_targets() -> None:
    targets = set(re.findall(r"^([\w-]+):", ROOT.joinpath("Makefile").read_text(), re.MULTILINE))
    used = {line.split()[1] for _, line in COMMANDS if line.startswith("make ")}

    assert {"demo", "test"} <= used <= targets


def is_understood(line: str) -> bool:
    """Whether what a command names is there; what it does is seen elsewhere."""
    match shlex.split(line):
        case ["make", _] | ["source", ".venv/bin/activate"] | ["airflow", "standalone"]:
            return True
        case ["mkdir" | "ls" | "head" | "cat" | "unset", *_]:
            return True
        case ["airflow", *arguments]:
            from airflow.cli.cli_parser import get_parser

            return bool(get_parser().parse_args(arguments).func)
        case ["pip", "install", package]:
            project = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text())["project"]
            extras = project["optional-dependencies"].keys()
            path, given = re.fullmatch(r"([^\[]*)(?:\[(.*)\])?", package).groups()
            return path == "." and set((given or "").split(",")) - {""} <= extras
        case ["python", "-m", module]:
            return ROOT.joinpath(*module.split("."), "__main__.py").exists()
        case ["python" | ".venv/bin/python", script]:
            return ROOT.joinpath(script).exists()
        case ["export", setting]:
            return is_setting(*setting.split("=", 1))
    return False


def is_setting(name: str, value: str) -> bool:
    if name.startswith("AIRFLOW_CONN_"):
        from airflow.providers.common.compat.sdk import Connection

        conn = Connection.from_json(value, conn_id="documented")
        return bool(HOOKS[conn.conn_type].service(conn))
    if name.startswith("AIRFLOW__"):
        from airflow.configuration import conf

        _, section, option = name.lower().split("__")
        # The dot of a section, such as common.io, is an underscore in a variable.
        return any(conf.has_option(name, option) for name in (section, section.replace("_", ".")))
    return name == "AIRFLOW_HOME"


HOOKS: dict[str, type[PredictionsHook[Any]]] = {"vlmrun": VlmRunHook, "cradl": CradlHook}


@pytest.mark.parametrize(("place", "line"), COMMANDS)
def test_a_command_is_understood(place: str, line: str) -> None:
    assert is_understood(line)


def test_every_connection_command_makes_a_connection(airflow_db: None) -> None:
    adding = sorted({line for _, line in COMMANDS if line.startswith("airflow connections add")})
    variables = {"VLMRUN_API_KEY": "a-key", "CRADL_CLIENT_ID": "an-id", "CRADL_CLIENT_SECRET": "a-secret"}
    deleting = [f"airflow connections delete {name}_default" for name in HOOKS]
    commands = [*adding, "airflow connections list -o json", *deleting]

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RUN_COMMANDS, *commands],
        env=os.environ | variables, check=True, capture_output=True, text=True, timeout=900,
    )  # fmt: skip

    (listed,) = re.findall(r"^\[\{.*\}\]$", done.stdout, re.MULTILINE)
    stored = {row["conn_id"]: row["conn_type"] for row in json.loads(listed)}
    assert stored.items() >= {f"{name}_default": name for name in HOOKS}.items()


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


@of([block for block in BLOCKS if block.language == "json"])
def test_json_is_json(block: Block) -> None:
    json.loads(block.code)


def test_airflow_takes_connections_from_the_secrets_backend_that_is_shown(tmp_path: Path) -> None:
    from airflow.configuration import conf

    (ini,) = [block.code for block in BLOCKS if block.language == "ini"]
    (stored,) = [b.code for b in BLOCKS if b.language == "json" and "secrets" in b.place]
    parser = configparser.ConfigParser()
    parser.read_string(ini)
    file = tmp_path / "connections.json"
    file.write_text(stored)

    for section in parser.sections():
        assert all(conf.has_option(section, option) for option in parser[section])
    arguments = json.loads(parser["secrets"]["backend_kwargs"]) | {"connections_file_path": str(file)}
    module, name = parser["secrets"]["backend"].rsplit(".", 1)
    backend = getattr(import_module(module), name)(**arguments)
    for name, hook in HOOKS.items():
        assert hook.service(backend.get_connection(f"{name}_default"))
