"""Which modules name Airflow's parts, and which name a service; ``lint-imports`` checks the layers."""

from __future__ import annotations

import ast
import re
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "airflow_provider_predictions"


def imported(module: Path) -> set[str]:
    """Every name that a module imports, in functions and for type checkers, too."""
    names = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_airflow_names_come_from_the_compatibility_module() -> None:
    """What that lacks is imported in one place, too, and so are the names that every version has.

    The app of the plugin is imported by the API server only, from Airflow 3.1.1 on.
    """
    elsewhere = {
        name
        for module in PACKAGE.rglob("*.py")
        if module.stem != "_compat"
        for name in imported(module)
        if name.startswith("airflow.") and not name.startswith("airflow.providers.common.compat.")
    }

    assert elsewhere == {
        "airflow.api_fastapi.app.get_auth_manager",
        "airflow.api_fastapi.auth.managers.models.resource_details.DagAccessEntity",
        "airflow.api_fastapi.auth.managers.models.resource_details.DagDetails",
        "airflow.api_fastapi.common.db.common.SessionDep",
        "airflow.api_fastapi.core_api.security.GetUserDep",
        "airflow.api_fastapi.core_api.security.get_user",
        "airflow.api_fastapi.core_api.security.requires_access_dag",
        "airflow.models.dag.DagModel",
        "airflow.models.xcom.XComModel",
        "airflow.providers.apache.iceberg.hooks.iceberg.IcebergHook",
        "airflow.providers.openlineage.extractors.OperatorLineage",
        "airflow.triggers.base.BaseTrigger",
        "airflow.triggers.base.TriggerEvent",
        "airflow.triggers.shared_stream.AdvanceItem",
    }


SERVICES = re.compile(r"(?i)vlm.?run|cradl")
NAMING_SERVICES = {
    "get_provider_info.py": "Airflow reads names, forms and links from it",
    "iceberg/landing.py": "the services whose landings become tables",
    "report/subjects.py": "what a report reads of each service",
    "report/measures.py": "measures of one service",
    "operators/report_arguments.py": "arguments of such measures",
}
"""Each module without a service's name that may name one, and why."""


def code_of(module: Path) -> str:
    """The code of a module without comments and docstrings, which name the sources of rules."""
    tree = ast.parse(module.read_text())
    for node in ast.walk(tree):
        if hasattr(node, "body") and isinstance(node.body, list):
            is_text = [isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) for one in node.body]
            node.body = [one for one, text in zip(node.body, is_text, strict=True) if not text] or [
                ast.Pass()
            ]
    return ast.unparse(tree)


def test_no_module_names_a_service_but_its_own_and_the_lists_of_services() -> None:
    modules = [module for module in PACKAGE.rglob("*.py") if not SERVICES.search(module.stem)]
    paths = {module: module.relative_to(PACKAGE).as_posix() for module in modules}

    found = {path for module, path in paths.items() if SERVICES.search(code_of(module))}

    assert {path for path in found if not path.startswith("sandbox/")} == NAMING_SERVICES.keys()
