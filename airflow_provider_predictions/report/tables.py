"""What a report shows of a service, and of each table; their queries are the views of ``tables.sql``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from airflow_provider_predictions.api.cradl import Cradl
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.api.vlmrun import VlmRun

Chart = Literal["stack", "range", "heat"]
MOST = {"stack": 7, "range": 20, "heat": 20}
"""How many names a chart has room for; those of a stack are followed by the others together."""


@dataclass(frozen=True)
class Table:
    """A table of the report, and its CSV: the comment of its view.

    :param name: of the view, and of the CSV without its suffix.
    :param meaning: what a row is and what its numbers mean.
    :param chart: how it is drawn, if it is.
    :param drawn: the columns that are drawn: across, by, and how much; of a range, a name and the points.
    :param state: of which all predictions must have landed.
    :param services: whose predictions it is about, if not everybody's.
    """

    name: str
    title: str
    meaning: str
    chart: Chart | None = None
    drawn: tuple[str, ...] = ()
    state: str | None = None
    services: tuple[str, ...] = ()


@dataclass(frozen=True)
class Subject:
    """What a report knows of one service; its file of SQL reads the records.

    :param group: what the service files predictions under.
    :param members: of a record, and the type that each is read as: VARCHAR or JSON.
    :param details: whether its records have fields and problems.
    """

    service: type[Service[Any]]
    group: str
    members: Mapping[str, str]
    details: bool = False

    @property
    def states(self) -> dict[str, frozenset[str]]:
        """The states that are counted, and the statuses of each."""
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
