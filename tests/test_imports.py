"""Where names of Airflow come from; ``lint-imports`` knows Airflow only as a whole, and checks the layers."""

from __future__ import annotations

import ast
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
