"""The image and the services of ``docker/``, read and not built."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import yaml

from airflow_provider_predictions.sandbox.server import Sandbox
from tests.conftest import SERVICES
from tests.docs.blocks import ROOT
from tests.docs.test_blocks import AIRFLOW, is_setting

DOCKER = ROOT / "docker"
INSTRUCTIONS = [
    line.split(maxsplit=1)
    for line in re.sub(r"\\\n\s*", "", DOCKER.joinpath("Dockerfile").read_text()).splitlines()
    if line and not line.startswith("#")
]
PORT = 8765


def of(name: str) -> list[str]:
    return [text for instruction, text in INSTRUCTIONS if instruction == name]


def test_the_image_has_instructions_that_docker_knows() -> None:
    assert INSTRUCTIONS[0] == ["FROM", f"apache/airflow:{AIRFLOW}-python3.11"]
    assert {name for name, _ in INSTRUCTIONS} <= {"FROM", "WORKDIR", "COPY", "RUN", "ENV", "CMD"}
    assert INSTRUCTIONS[-1][0] == "CMD"


def test_the_image_copies_files_that_exist_and_are_not_ignored() -> None:
    ignored = DOCKER.joinpath("Dockerfile.dockerignore").read_text().split()
    kept = [line[1:] for line in ignored if line.startswith("!")]

    copied = [source for text in of("COPY") for source in text.split()[:-1]]

    assert ignored[0] == "*"
    assert len(copied) >= 7
    for source in copied:
        assert ROOT.joinpath(source).exists(), source
        assert any(fnmatch(source, name) or source.startswith(f"{name}/") for name in kept), source


def test_the_package_is_built_from_what_the_image_has_copied_by_then(tmp_path: Path) -> None:
    before = INSTRUCTIONS[: [name for name, _ in INSTRUCTIONS].index("RUN")]
    for source in (file for name, text in before if name == "COPY" for file in text.split()[:-1]):
        copy = shutil.copytree if ROOT.joinpath(source).is_dir() else shutil.copy
        copy(ROOT / source, tmp_path / source)

    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)

    assert [*tmp_path.glob("dist/*.whl")]


def test_the_image_installs_extras_that_exist_and_keeps_its_airflow() -> None:
    (run,) = of("RUN")
    project = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text())["project"]

    (extras,) = re.findall(r"'\.\[(.*?)\]'", run)

    assert {*extras.split(",")} <= project["optional-dependencies"].keys()
    assert f"'apache-airflow=={AIRFLOW}'" in run


def test_the_settings_of_the_image_are_airflows() -> None:
    (settings,) = of("ENV")
    given = dict(setting.split("=") for setting in settings.split())

    assert given.pop("OAUTHLIB_INSECURE_TRANSPORT") == "1"
    assert not [name for name, value in given.items() if not is_setting(name, value)]


def test_the_services_run_commands_that_exist() -> None:
    composed: dict[str, Any] = yaml.safe_load(DOCKER.joinpath("compose.yaml").read_text())
    services = composed["services"]
    (command,) = of("CMD")

    assert services.keys() == {"airflow", "sandbox"}
    assert ROOT / "docker" / services["sandbox"]["build"]["context"] / "docker/Dockerfile"
    assert ROOT.joinpath(services["sandbox"]["command"][-1]).is_file()
    assert ROOT.joinpath(json.loads(command)[-1]).is_file()
    assert services["airflow"]["network_mode"] == "service:sandbox"
    assert all(port.startswith("127.0.0.1:") for port in services["sandbox"]["ports"])
    assert {volume.split(":")[0] for volume in services["airflow"]["volumes"]} == composed["volumes"].keys()


def test_the_start_is_a_script_that_bash_reads_and_airflow_understands() -> None:
    from airflow.cli.cli_parser import get_parser

    script = DOCKER / "start.sh"

    subprocess.run(["bash", "-n", script], check=True)
    commands = re.findall(r"^(?:exec )?airflow (.*)$", script.read_text(), re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        assert get_parser().parse_args(shlex.split(command)).func


def test_the_stored_connections_are_those_of_the_sandbox(sandbox: Sandbox) -> None:
    stored = json.loads(DOCKER.joinpath("connections.json").read_text())
    local = {name: sandbox.connection(name, port=sandbox.port) for name in SERVICES}
    text = json.dumps(local).replace(str(sandbox.port), str(PORT))

    assert stored == {f"{name}_default": connection for name, connection in json.loads(text).items()}
