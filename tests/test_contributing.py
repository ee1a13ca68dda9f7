"""CONTRIBUTING.md, the hooks for git and the files for GitHub, against the Makefile and the package."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

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


def github(name: str) -> dict[str, Any]:
    # YAML 1.1 reads the key "on" as True.
    content = ROOT.joinpath(".github", name).read_text()
    return {str(key): value for key, value in yaml.safe_load(content).items()}


def test_a_pull_request_is_tested_by_what_ci_runs() -> None:
    workflow = github("workflows/ci.yml")
    job, optional = workflow["jobs"].values()

    assert "pull_request" in workflow["True"]
    assert job["steps"][-1] == {"run": ".ci/run"}
    assert "continue-on-error" not in job
    assert optional["steps"][-1] == {"run": "make test-matrix VERSIONS=prerelease"}
    assert optional["continue-on-error"] in (True, "True")
    assert ROOT.joinpath(".ci/run").stat().st_mode & 0o111


def test_a_tag_publishes_the_version_that_it_names_without_a_stored_token() -> None:
    workflow = github("workflows/publish.yml")
    runs = [step["run"] for step in workflow["jobs"]["build"]["steps"] if "run" in step]

    assert workflow["True"] == {"push": {"tags": ["v*"]}}
    assert "GITHUB_REF_NAME#v" in runs[0]
    assert runs[-2:] == ["hatchling build", "pipx run twine check --strict dist/*"]
    assert re.search('^version = "[0-9.]+"$', ROOT.joinpath("pyproject.toml").read_text(), re.MULTILINE)
    assert workflow["jobs"]["publish"]["permissions"] == {"id-token": "write"}
    assert "secrets." not in ROOT.joinpath(".github/workflows/publish.yml").read_text()


@pytest.mark.parametrize("name", ["bug", "feature"])
def test_an_issue_form_has_fields_with_labels_and_ids_of_their_own(name: str) -> None:
    fields = [field for field in github(f"ISSUE_TEMPLATE/{name}.yml")["body"] if field["type"] != "markdown"]

    assert all(field["attributes"]["label"] for field in fields)
    assert len({field["id"] for field in fields}) == len(fields)
