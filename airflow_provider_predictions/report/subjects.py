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
    def nested(self) -> set[str]:
        """The members that have members of their own."""
        return {name for name, kind in self.members.items() if "(" in kind}

    @property
    def has_lists(self) -> bool:
        """Whether a member is a list."""
        return any(kind.endswith("[]") for kind in self.members.values())

    @property
    def states(self) -> dict[str, frozenset[str]]:
        """The statuses of each state that a report counts."""
        failed = frozenset({"failed"})
        succeeded = self.service.terminal_statuses - failed - {"cancelled"}
        return {"succeeded": succeeded, "failed": failed, "waiting": self.service.waiting_statuses}


def _members(texts: str, objects: str, **nested: str) -> dict[str, str]:
    return dict.fromkeys(texts.split(), "VARCHAR") | dict.fromkeys(objects.split(), "JSON") | nested


_FIELD = "STRUCT(label VARCHAR, value {}, confidence VARCHAR, warnings JSON, errors JSON)[]"
SUBJECTS = {
    subject.service.name: subject
    for subject in (
        Subject(
            VlmRun,
            "domain",
            "domain",
            _members(
                "id status created_at completed_at domain",
                "message error",
                usage="STRUCT(credits_used VARCHAR, elements_processed VARCHAR, element_type VARCHAR, "
                "message JSON)",
            ),
        ),
        Subject(
            Cradl,
            "model",
            "modelId",
            _members(
                "predictionId status createdTime updatedTime modelId documentId inferenceTime fileUrl",
                "error errors warnings",
                predictions=_FIELD.format(_FIELD.format("JSON") + "[]"),
            ),
        ),
    )
}
