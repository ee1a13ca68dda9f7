"""The page on architecture, against the package and its tests."""

from __future__ import annotations

import re

from tests.docs.blocks import ROOT

PAGE = ROOT.joinpath("docs/architecture.md").read_text()
PACKAGE = ROOT / "airflow_provider_predictions"


def test_every_room_of_the_table_and_the_test_of_its_rule_exist() -> None:
    rows = re.findall(r"^\| [^|]+ \| `([\w/.]+)` \| `([\w/.]+)` \|$", PAGE, re.MULTILINE)

    assert len(rows) > 25
    for room, test in rows:
        assert PACKAGE.joinpath(room).is_file(), room
        assert ROOT.joinpath("tests", test).is_file(), test


def test_every_folder_of_the_package_has_a_row() -> None:
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| [^|]+ \|$", PAGE.split("\n## ")[0], re.MULTILINE)
    folders = {folder.name for folder in PACKAGE.iterdir() if folder.joinpath("__init__.py").exists()}

    assert folders == set(re.findall(r"`(\w+)`", " ".join(rows)))
