"""What CONTRIBUTING.md and the hooks for git say, against the Makefile."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
MAKEFILE = ROOT.joinpath("Makefile").read_text()
CONTRIBUTING = ROOT.joinpath("CONTRIBUTING.md").read_text()


def test_the_hooks_for_git_lint_what_make_test_lints() -> None:
    recipe = MAKEFILE.split("\ntest: ")[1].split("\n\n")[0]
    linted = {
        line.removesuffix(" .").removesuffix(" --check") for line in re.findall(r"\$\(BIN\)/(.+)", recipe)
    }
    hooks = re.findall(r"entry: \.venv/bin/([^,]+)", ROOT.joinpath(".pre-commit-config.yaml").read_text())

    assert {hook.split()[0] for hook in hooks} == {command.split()[0] for command in linted}


def test_every_command_and_file_that_a_contributor_is_told_of_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))

    assert set(re.findall(r"make ([a-z-]+)", CONTRIBUTING)) <= targets
    for name in re.findall(r"\]\(([^)#]+)|`((?:tests|scripts)/[\w./]+)`", CONTRIBUTING):
        assert ROOT.joinpath(*filter(None, name)).exists(), name


def test_the_page_for_contributors_stays_short() -> None:
    assert len(CONTRIBUTING.splitlines()) <= 80
