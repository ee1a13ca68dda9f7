"""What the author of a report chooses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Targets = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Options:
    """What the author of a report chooses.

    :param title: of the page; by default the services and the period.
    :param group_by: a path of members of the record; by default the domain or the model.
    :param price_per_credit: in ``currency``, of VLM Run's credits.
    :param targets: by measure, or by measure and group.
    :param logo: a ``data:`` URL.
    :param prediction_url: with ``{id}``.
    :param made_by: the task and its DAG, in words.
    :param page_url: where the page will lie.
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
