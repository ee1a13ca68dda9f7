"""Imports go one way."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = "airflow_provider_predictions"
ROOT = Path(__file__).parent.parent / PACKAGE
MODULES = sorted(ROOT.rglob("*.py"))
MAY_IMPORT = {
    "": set(),
    "_compat": set(),
    "api": set(),
    "hooks": {"_compat", "api", "get_provider_info"},
    "storage": {"api"},
    "report": {"storage", "api"},
    "tasks": {"_compat", "hooks", "api"},
    "triggers": {"_compat", "hooks", "api"},
    "operators": {"_compat", "tasks", "hooks", "report", "storage", "api"},
    "sensors": {"_compat", "tasks", "triggers", "hooks", "api"},
    "sandbox": set(),
}
SERVICES = {"vlmrun", "cradl"}


def imported(module: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def layer(module: Path) -> str:
    parts = module.relative_to(ROOT).parts
    return parts[0] if len(parts) > 1 else {"_compat": "_compat"}.get(module.stem, "")


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_is_below_it(module: Path) -> None:
    own = {name.split(".")[1] for name in imported(module) if name.startswith(f"{PACKAGE}.")}
    allowed = MAY_IMPORT[layer(module)] | {layer(module), "__version__"}

    assert own <= allowed


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_knows_the_services_does_not_know_airflow(module: Path) -> None:
    if layer(module) in ("", "api", "sandbox"):
        assert not [name for name in imported(module) if name.split(".")[0] == "airflow"]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_service_does_not_know_the_other(module: Path) -> None:
    if layer(module) != "sandbox" and module.stem in SERVICES:
        (other,) = SERVICES - {module.stem}
        assert not [name for name in imported(module) if other in name]


def test_airflow_names_come_from_the_compatibility_module() -> None:
    """What that lacks is imported in one place, too, and so are the names that every version has."""
    elsewhere = {
        name
        for module in MODULES
        if layer(module) != "_compat"
        for name in imported(module)
        if name.startswith("airflow.") and not name.startswith("airflow.providers.common.compat.")
    }

    assert elsewhere == {
        "airflow.providers.openlineage.extractors.OperatorLineage",
        "airflow.triggers.base.BaseTrigger",
        "airflow.triggers.base.TriggerEvent",
        "airflow.triggers.shared_stream.AdvanceItem",
    }
