"""What a report shows of any service: the tables as data, each a query over the loaded records.

The queries read ``record``, one row for each prediction that the sources hold, with the columns ``row``,
``id``, ``status``, ``state`` (succeeded, failed, cancelled or waiting), ``group``, ``created``, ``finished``,
``message``, and ``period``, which is ``now``, ``before`` or NULL; and ``bucket``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from airflow_provider_predictions.api.service import Service

Chart = Literal["stack", "range", "heat"]
MOST = {"stack": 7, "range": 20, "heat": 20}
"""How many names a chart has room for; those of a stack are followed by the others together."""


@dataclass(frozen=True)
class Table:
    """A table of the report, and its CSV.

    :param name: of the CSV, without its suffix.
    :param meaning: what a row is and what its numbers mean, in a sentence.
    :param query: what it holds, in the order in which it is shown.
    :param chart: how it is drawn, if it is.
    :param drawn: the columns that are drawn: across, by, and how much; of a range, a name and the points.
    :param state: of which all predictions must have landed.
    """

    name: str
    title: str
    meaning: str
    query: str
    chart: Chart | None = None
    drawn: tuple[str, ...] = ()
    state: str | None = None

    @property
    def is_crossed(self) -> bool:
        """Whether the page shows it as the chart does: times against something else."""
        return self.chart in ("stack", "heat")


@dataclass(frozen=True)
class Measure:
    """What is compared with the period before, for each group.

    :param kind: ``sum`` of a value, or its ``mean``.
    :param value: SQL over ``table``; NULL does not count.
    """

    name: str
    kind: Literal["sum", "mean"]
    value: str
    group: str = '"group"'
    table: str = "record"


@dataclass(frozen=True)
class Subject:
    """What a report knows of one service.

    :param group: what the service files predictions under.
    :param members: of a record, and the type that each is read as: VARCHAR or JSON.
    :param record: the columns of ``record``, from ``raw``, which has the members as columns.
    :param items: a query over ``raw`` for what the details are made of.
    :param details: further tables, by name, as queries over ``items`` and ``raw``; each has the column
        ``row``, and gets those of its record that place it in time.
    :param odd: what is not counted because of its shape: a reason, and a query over ``items`` and ``raw`` for
        how many.
    :param totals: what the head of the report shows: for each table, names and aggregates.
    """

    service: type[Service[Any]]
    group: str
    members: Mapping[str, str]
    record: str
    totals: Mapping[str, Mapping[str, str]]
    measures: tuple[Measure, ...]
    tables: tuple[Table, ...]
    items: str = "SELECT 1"
    details: Mapping[str, str] = field(default_factory=dict)
    odd: Mapping[str, str] = field(default_factory=dict)

    @property
    def states(self) -> dict[str, frozenset[str]]:
        """The states that are counted, and the statuses of each."""
        service, failed = self.service, frozenset({"failed"})
        succeeded = service.terminal_statuses - failed - {"cancelled"}
        return {"succeeded": succeeded, "failed": failed, "waiting": service.waiting_statuses}


# landed(number, states) is none where not all predictions of these states were to land.
TOTALS = {
    "predictions": "count(*)",
    "succeeded": "landed(count(*) FILTER (state = 'succeeded'), ['succeeded'])",
    "failed": "landed(count(*) FILTER (state = 'failed'), ['failed'])",
    "waiting": "landed(count(*) FILTER (state = 'waiting'), ['waiting'])",
    "share_failed": """landed(count(*) FILTER (state = 'failed') /
        nullif(count(*) FILTER (state IN ('succeeded', 'failed')), 0), ['succeeded', 'failed'])""",
}
MEASURES = (
    Measure("predictions", "sum", "1"),
    Measure("failed predictions", "sum", "landed(CASE WHEN state = 'failed' THEN 1 END, ['failed'])"),
    Measure(
        "share that failed",
        "mean",
        "landed(CASE state WHEN 'failed' THEN 1 WHEN 'succeeded' THEN 0 END, ['succeeded', 'failed'])",
    ),
)

LIKELY = 2
"""A change of so many standard deviations, or more, is hardly one of chance."""
# A sum is taken for one of independent amounts, whose variance is the sum of their squares; the variance of a
# mean is that of both periods together. n, s and q are how many, their sum and the sum of their squares, of
# the period (1) and of the one before (0).
_SUMS = ", ".join(
    f"coalesce(sum({x}) FILTER (period = '{period}'), 0) AS {x}{mark}"
    for x in "nsq"
    for period, mark in (("now", 1), ("before", 0))
)
CHANGES = Table(
    "changes",
    "What changed most",
    "What differs from the period before by more than chance, the least likely first.",
    f"""WITH each AS ({{measures}}), pair AS (
        SELECT measure, kind, "group", {_SUMS}
        FROM each GROUP BY ALL
    ), scored AS (
        SELECT measure, "group", s1 AS now, s0 AS before, (s1 - s0) / nullif(sqrt(q1 + q0), 0) AS score
        FROM pair WHERE kind = 'sum'
        UNION ALL
        SELECT measure, "group", s1 / n1, s0 / n0, (s1 / n1 - s0 / n0) / nullif(sqrt(
            greatest(0, (q1 + q0) / (n1 + n0) - ((s1 + s0) / (n1 + n0)) ** 2) * (1 / n1 + 1 / n0)), 0)
        FROM pair WHERE kind = 'mean' AND n1 > 0 AND n0 > 0
    )
    SELECT measure, "group", round(now, 9) AS now, round(before, 9) AS before, round(score, 6) AS score
    FROM scored
    WHERE abs(score) >= {LIKELY} AND (SELECT count(*) FROM record WHERE period = 'before') > 0
    ORDER BY abs(score) DESC, measure, "group\"""",
)
BY_TIME = Table(
    "by_time",
    "By {unit} and status",
    "Predictions that were created in each {unit}, by their status.",
    """SELECT bucket.label AS {unit}, status, count(*) AS predictions
    FROM record JOIN bucket USING (bucket) WHERE period = 'now'
    GROUP BY bucket, bucket.label, status ORDER BY bucket, status""",
    chart="stack",
    drawn=("{unit}", "status", "predictions"),
)
WAITING = Table(
    "waiting",
    "Still waiting",
    "Predictions that were not finished when they landed, the oldest first; the age is that at the end of "
    "the period.",
    """SELECT id, "group" AS {group}, status, iso(created) AS created,
    epoch({end} - created) AS age_seconds
    FROM record WHERE period = 'now' AND state = 'waiting' ORDER BY record.created, id""",
    state="waiting",
)
LATE = Table(
    "late",
    "Late arrivals",
    "Predictions that were created before the period and finished in it. They are not counted above; a "
    "report of their own period may have been written before they were there.",
    """SELECT late_day.label AS created_on, "group" AS {group}, status, count(*) AS predictions
    FROM record ASOF JOIN late_day ON record.created >= late_day.start
    WHERE created < {start} AND finished >= {start} AND finished < {end} GROUP BY ALL ORDER BY ALL""",
)
LEFT_OUT = Table(
    "left_out",
    "Left out",
    "What the sources hold and the numbers above do not count, with the reason.",
    """SELECT reason, count, detail FROM left_out WHERE count > 0 ORDER BY reason, detail""",
)
