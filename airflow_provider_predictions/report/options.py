"""The options of a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Targets = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Options:
    """What the author of a report can choose.

    :param title: of the page; None for the services and the period.
    :param group_by: the path of a member of the record; None for the domain or the model.
    :param price_per_credit: of VLM Run's credits, in ``currency``.
    :param targets: bounds by measure, or by ``measure:group``.
    :param logo: a ``data:`` URL; empty for none.
    :param prediction_url: the page of a prediction, with ``{id}``; empty if there is none.
    :param made_by: the task and its DAG, in words; empty outside of Airflow.
    :param page_url: where the page can be opened; empty if that is not known.
    """

    title: str | None = None
    group_by: str | None = None
    price_per_credit: float | None = None
    currency: str | None = None
    targets: Targets = field(default_factory=dict)
    logo: str = ""
    prediction_url: str = ""
    made_by: str = ""
    page_url: str = ""


DEFAULTS = Options()
