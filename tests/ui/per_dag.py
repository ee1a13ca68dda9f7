"""An auth manager for tests, since the simple one knows roles but no DAGs."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

SECRET_DAG = "secret_report"


class PerDagAuthManager(SimpleAuthManager):
    """The user ``viewer`` may not see one DAG, and ``blind`` sees DAGs but no XComs."""

    def is_authorized_dag(
        self, *, method: Any, user: Any, access_entity: Any = None, details: Any = None
    ) -> bool:
        """See the base class."""
        if user.username == "viewer" and details and details.id == SECRET_DAG:
            return False
        if user.username == "blind" and access_entity is not None:
            return False
        return super().is_authorized_dag(
            method=method, user=user, access_entity=access_entity, details=details
        )
