"""Every block that is shown is understood by what it is meant for; what it does is seen elsewhere."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import tomllib
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest
from web import guide

from airflow_provider_predictions.get_provider_info import get_provider_info
from airflow_provider_predictions.sandbox.server import Sandbox
from tests.docs.blocks import BEFORE, BLOCKS, COMMANDS, JSON, MODULES, QUERIES, ROOT, Block
from tests.given import HOOK

PINNED = ROOT.joinpath("constraints/airflow-3.3.txt").read_text()
AIRFLOW = re.search(r"^apache-airflow==(.*)$", PINNED, re.MULTILINE)[1]  # type: ignore[index]


def test_every_block_is_of_a_language_that_is_checked_here() -> None:
    assert BLOCKS
    languages = {"python", "bash", "dockerfile", "json", "ini", "sql", "text"}

    assert {block.language for block in BLOCKS} <= languages


def test_every_output_belongs_to_a_block_in_front_of_it() -> None:
    texts = [block for block in BLOCKS if block.language == "text"]

    assert len(texts) == len([block for block in BLOCKS if block.output])


def test_the_commands_of_make_are_its_targets() -> None:
    targets = set(re.findall(r"^([\w-]+):", ROOT.joinpath("Makefile").read_text(), re.MULTILINE))
    used = {line.split()[1] for _, line in COMMANDS if line.startswith("make ")}

    assert {"demo", "test"} <= used <= targets


def is_understood(line: str) -> bool:
    """Whether what a command names is there."""
    match shlex.split(line):
        case ["make", _] | ["source", ".venv/bin/activate"] | ["airflow", "standalone"]:
            return True
        case ["mkdir" | "ls" | "head" | "cat" | "unset", *_]:
            return True
        case ["airflow", *arguments]:
            from airflow.cli.cli_parser import get_parser

            with suppress(SystemExit):
                return bool(get_parser().parse_args(arguments).func)
        case ["pip", "install", package, *kept]:
            project = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text())["project"]
            extras = project["optional-dependencies"].keys()
            path, given = re.fullmatch(r"([^\[]*)(?:\[(.*)\])?", package).groups()
            is_kept = kept in ([], [f"apache-airflow=={AIRFLOW}"])
            return path == "." and set((given or "").split(",")) - {""} <= extras and is_kept
        case ["pip", "wheel", "--no-deps", "--wheel-dir", "dist", "."]:
            return True  # as tests/test_wheel.py builds it
        case ["docker", "compose", "-f", file, "up", "--build"]:
            return ROOT.joinpath(file).is_file()
        case ["python", "-m", module]:
            return ROOT.joinpath(*module.split("."), "__main__.py").exists()
        case ["python" | ".venv/bin/python", script, *words]:
            file = ROOT.joinpath(script)
            return file.exists() and all(f'"{word}"' in file.read_text() for word in words)
        case ["export", setting]:
            return is_setting(*setting.split("=", 1))
    return False


def is_setting(name: str, value: str) -> bool:
    if name.startswith("AIRFLOW_CONN_"):
        from airflow.providers.common.compat.sdk import Connection

        conn = Connection.from_json(value, conn_id="documented")
        return bool(HOOK[conn.conn_type].service(conn))
    if name.startswith("AIRFLOW__"):
        from airflow.configuration import conf

        _, section, option = name.lower().split("__")
        # The dot of a section, such as common.io, is an underscore in a variable.
        return any(conf.has_option(name, option) for name in (section, section.replace("_", ".")))
    return name == "AIRFLOW_HOME"


def test_every_command_is_understood() -> None:
    assert not [(place, line) for place, line in COMMANDS if not is_understood(line)]


def test_what_is_replaced_calls_the_sdks_as_the_tests_of_the_sandbox_do() -> None:
    tried = "".join(script.read_text() for script in ROOT.joinpath("tests/clients/scripts").glob("*.py"))
    tried += ROOT.joinpath("benchmarks/contenders/http_operator.py").read_text()
    calls = r"\bclient\.[\w.]+\(|pagination_function|from (?:vlmrun|cradl)\S* import \w+"

    assert len(BEFORE) == 3
    for block in BEFORE:
        compile(block.code, block.place, "exec")
        assert not [call for call in re.findall(calls, block.code) if call not in tried]


def test_the_tour_has_the_clicks_that_make_airflow_prints(sandbox: Sandbox) -> None:
    printed = guide("http://airflow", sandbox)
    page = ROOT.joinpath("docs/tour.md").read_text()

    clicks = re.findall(r"^  (\d\. .*?)  ", printed, re.MULTILINE)

    assert len(clicks) == 6
    assert clicks == re.findall(r"^## (\d\. .*)$", page, re.MULTILINE)
    for dag in re.findall(r"/dags/(\w+)", printed):
        assert f"`{dag}`" in page


def test_make_airflow_names_the_fields_of_a_connection_as_the_form_does(sandbox: Sandbox) -> None:
    printed = guide("http://airflow", sandbox).partition("\n  VLM Run: ")[2]
    shown = dict(zip(("vlmrun", "cradl"), printed.split("\n  Cradl: "), strict=True))

    for form in get_provider_info()["connection-types"]:
        given = sandbox.connection(form["connection-type"])
        labels = form["ui-field-behaviour"]["relabeling"]
        extras = {name: form["conn-fields"][name]["label"] for name in given.get("extra", {})}
        for name, value in ({**given, **given.get("extra", {})}).items():
            if label := (labels | extras).get(name):
                assert re.search(rf"{label}\s+{re.escape(value)}", shown[form["connection-type"]])


@pytest.mark.parametrize("block", JSON, ids=lambda block: block.place)
def test_json_is_json(block: Block) -> None:
    json.loads(block.code)


def test_airflow_takes_connections_from_the_secrets_backend_that_is_shown(tmp_path: Path) -> None:
    from airflow.configuration import conf

    (ini,) = [block.code for block in BLOCKS if block.language == "ini"]
    (stored,) = [block.code for block in JSON if "secrets" in block.place]
    parser = configparser.ConfigParser()
    parser.read_string(ini)
    file = tmp_path / "connections.json"
    file.write_text(stored)

    for section in parser.sections():
        assert all(conf.has_option(section, option) for option in parser[section])
    arguments = json.loads(parser["secrets"]["backend_kwargs"]) | {"connections_file_path": str(file)}
    module, name = parser["secrets"]["backend"].rsplit(".", 1)
    backend = getattr(import_module(module), name)(**arguments)
    for name, hook in HOOK.items():
        assert hook.service(backend.get_connection(f"{name}_default"))


def test_the_table_says_how_long_each_of_these_modules_is() -> None:
    page = ROOT.joinpath("docs/adding-a-service.md").read_text()
    said = dict(re.findall(r"^\| `(\w+/acme\.\w+)` \|.*\| (\d+) \|$", page, re.MULTILINE))

    assert said == {block.title: str(len(block.code.splitlines())) for block in [*MODULES, *QUERIES]}


def test_the_image_is_that_of_the_newest_airflow() -> None:
    (image,) = [block for block in BLOCKS if block.language == "dockerfile"]
    lines = image.code.replace("\\\n", "").splitlines()

    assert [line.split()[0] for line in lines] == ["FROM", "COPY", "RUN"]
    assert lines[0] == f"FROM apache/airflow:{AIRFLOW}-python3.11"
    assert f"'apache-airflow=={AIRFLOW}'" in lines[2]
