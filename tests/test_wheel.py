"""What is published: the same bytes wherever it is built, with what a user needs and no more."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "airflow_provider_predictions"
IGNORED = [line.rstrip("/") for line in ROOT.joinpath(".gitignore").read_text().splitlines()]


def build(directory: Path, *, umask: int, changed: int) -> dict[str, Path]:
    """The wheel and the sdist of a copy of the source, by how their names end.

    :param changed: when the files of the copy were, in seconds since 1970.
    """
    source, built = directory / "source", directory / "built"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*IGNORED, ".git"))
    for file in source.rglob("*"):
        file.chmod((0o777 if file.stat().st_mode & 0o100 else 0o666) & ~umask)
        os.utime(file, (changed, changed))
    command = [sys.executable, "-m", "hatchling", "build", "--directory", built]
    environment = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    subprocess.run(command, cwd=source, env=environment, umask=umask, check=True, capture_output=True)
    return {file.suffix: file for file in built.iterdir()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return build(tmp_path_factory.mktemp("one"), umask=0o022, changed=1_700_000_000)


def test_a_build_from_another_copy_has_the_same_bytes(built: dict[str, Path], tmp_path: Path) -> None:
    again = build(tmp_path, umask=0o077, changed=1_750_000_001)

    assert set(built) == set(again) == {".whl", ".gz"}
    for kind, file in built.items():
        assert sha256(again[kind].read_bytes()).digest() == sha256(file.read_bytes()).digest(), kind


def test_the_wheel_holds_the_package_its_types_and_the_licence_and_nothing_else(
    built: dict[str, Path],
) -> None:
    package = {
        file.relative_to(ROOT).as_posix()
        for file in (ROOT / PACKAGE).rglob("*")
        if file.is_file() and file.suffix != ".pyc"
    }
    with zipfile.ZipFile(built[".whl"]) as wheel:
        names = set(wheel.namelist())
    about = {name for name in names if name.split("/")[0].endswith(".dist-info")}

    assert names - about == package
    assert f"{PACKAGE}/py.typed" in package
    assert {name.split("/", 1)[1] for name in about} == {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "licenses/LICENSE",
    }


def test_the_wheel_tells_airflow_of_the_provider_and_of_the_plugin(built: dict[str, Path]) -> None:
    with zipfile.ZipFile(built[".whl"]) as wheel:
        (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/entry_points.txt")]
        lines = wheel.read(name).decode().split()

    assert {"[airflow.plugins]", "[apache_airflow_provider]"} < set(lines)
    assert f"{PACKAGE}.ui.plugin:PredictionsPlugin" in lines


def test_the_wheel_says_what_it_needs_as_pyproject_does(built: dict[str, Path]) -> None:
    with zipfile.ZipFile(built[".whl"]) as wheel:
        (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = wheel.read(name).decode()

    needed = [line for line in metadata.splitlines() if line.startswith("Requires-Dist:")]
    assert needed
    assert all(">=" in line for line in needed), "each has a lower bound, which `make test-matrix` tries"
    assert "License-Expression: Apache-2.0" in metadata


def test_the_page_of_the_package_leads_nowhere_into_the_repository(built: dict[str, Path]) -> None:
    with zipfile.ZipFile(built[".whl"]) as wheel:
        (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        about, _, page = wheel.read(name).decode().partition("\n\n")
    readme = ROOT.joinpath("README.md").read_text()
    headings, blocks = r"(?m)^#+ .*$", r"(?s)```.*?```"

    assert "Description-Content-Type: text/markdown" in about
    assert "](http" in page
    assert not re.findall(r"\]\((?!https?://)[^)]*\)|!\[|<!--", page)
    assert re.findall(headings, page) == re.findall(headings, readme)
    assert re.findall(blocks, page) == re.findall(blocks, readme)


def test_the_source_distribution_is_the_repository(built: dict[str, Path]) -> None:
    """So it has what its tests and its documentation need."""
    if shutil.which("git") is None or not ROOT.joinpath(".git").exists():
        pytest.skip("no repository here, such as in a source distribution")
    listed = subprocess.check_output(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT
    )
    tracked = {name for name in listed.decode().splitlines() if ROOT.joinpath(name).is_file()}
    with tarfile.open(built[".gz"]) as archive:
        names = {member.name.split("/", 1)[1] for member in archive.getmembers()}

    assert names - {"PKG-INFO"} == tracked


def test_the_source_distribution_can_be_built_from(built: dict[str, Path], tmp_path: Path) -> None:
    with tarfile.open(built[".gz"]) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", tmp_path]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")

    assert wheel.read_bytes() == built[".whl"].read_bytes()
