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

    :param group: the word for its groups: domain or model.
    :param members: the members of a record, and the type of each in DuckDB: VARCHAR or JSON.
    :param details: whether records have fields and problems.
    """

    service: type[Service[Any]]
    group: str
    members: Mapping[str, str]
    details: bool = False

    @property
    def states(self) -> dict[str, frozenset[str]]:
        """The statuses of each state that a report counts."""
        failed = frozenset({"failed"})
        succeeded = self.service.terminal_statuses - failed - {"cancelled"}
        return {"succeeded": succeeded, "failed": failed, "waiting": self.service.waiting_statuses}


def _members(texts: str, objects: str) -> dict[str, str]:
    return dict.fromkeys(texts.split(), "VARCHAR") | dict.fromkeys(objects.split(), "JSON")


SUBJECTS = {
    subject.service.name: subject
    for subject in (
        Subject(
            VlmRun,
            "domain",
            _members("id status created_at completed_at domain", "message error usage"),
        ),
        Subject(
            Cradl,
            "model",
            _members(
                "predictionId status createdTime updatedTime modelId documentId inferenceTime fileUrl",
                "error errors warnings predictions",
            ),
            details=True,
        ),
    )
}
