"""What a report reads from the records of each service. The queries are in the SQL file of the service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_predictions.api.cradl import Cradl
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.api.vlmrun import VlmRun


@dataclass(frozen=True)
class Subject:
    """What a report reads from the records of one service.

    :param group: the word for its groups.
    :param member: of a record: the name of its group.
    :param members: the members of a record, and the type of each in DuckDB. For each with members of its own
        the SQL file of the service has a macro that makes it of JSON, for files that hold it as text.
    """

    service: type[Service[Any]]
    group: str
    member: str
    members: Mapping[str, str]

    @property
    def nested(self) -> list[str]:
        """The members that have members of their own."""
        return [name for name, kind in self.members.items() if "(" in kind]

    @property
    def lists(self) -> list[str]:
        """The members that are lists."""
        return [name for name, kind in self.members.items() if kind.endswith("[]")]

    @property
    def states(self) -> dict[str, frozenset[str]]:
        """The statuses of each state that a report counts."""
        service = self.service
        failed, cancelled = service.failed_statuses, service.cancelled_statuses
        return {
            "succeeded": service.terminal_statuses - failed - cancelled,
            "failed": failed,
            "cancelled": cancelled,
            "waiting": service.unfinished_statuses,
        }


_USAGE = "STRUCT(credits_used VARCHAR, elements_processed VARCHAR, element_type VARCHAR, message JSON)"
_FIELD = "STRUCT(label VARCHAR, value {}, confidence VARCHAR, warnings JSON, errors JSON)[]"
_CRADL = "predictionId status createdTime updatedTime modelId documentId inferenceTime fileUrl"
SUBJECTS = {
    "vlmrun": Subject(
        *(VlmRun, "domain", "domain"),
        dict.fromkeys(("id", "status", "created_at", "completed_at", "domain"), "VARCHAR")
        | {"message": "JSON", "error": "JSON", "usage": _USAGE},
    ),
    "cradl": Subject(
        *(Cradl, "model", "modelId"),
        dict.fromkeys(_CRADL.split(), "VARCHAR")
        | {"error": "JSON", "errors": "JSON", "warnings": "JSON"}
        | {"predictions": _FIELD.format(_FIELD.format("JSON") + "[]")},
    ),
}
