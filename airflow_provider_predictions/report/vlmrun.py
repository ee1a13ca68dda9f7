"""What a report shows of VLM Run: credits, pages, and the time that predictions take."""

from __future__ import annotations

from airflow_provider_predictions.api.vlmrun import PENDING, VlmRun
from airflow_provider_predictions.report.tables import (
    BY_TIME,
    MEASURES,
    TOTALS,
    WAITING,
    Measure,
    Subject,
    Table,
)

_SECONDS = "epoch(finished - created)"
_IN_TIME = "WHERE period = 'now' AND finished IS NOT NULL"

SUBJECT = Subject(
    service=VlmRun,
    group="domain",
    members={
        "id": "VARCHAR",
        "status": "VARCHAR",
        "created_at": "VARCHAR",
        "completed_at": "VARCHAR",
        "domain": "VARCHAR",
        "message": "JSON",
        "error": "JSON",
        "usage": "JSON",
    },
    record=f"""given_id(id) AS id, coalesce(nullif(status, ''), '{PENDING}') AS status, domain AS "group",
        instant(created_at) AS created, instant(completed_at) AS finished,
        coalesce(words(message), words(error), words(usage->'message')) AS message,
        number(usage->>'credits_used') AS credits, number(usage->>'elements_processed') AS elements,
        usage->>'element_type' AS element_type""",
    totals={
        "record": TOTALS
        | {
            "credits": "coalesce(round(sum(credits), 9), 0)",
            "pages": "coalesce(sum(elements) FILTER (element_type = 'page'), 0)",
            "p50_seconds_to_complete": f"quantile_cont({_SECONDS}, 0.5)",
            "p95_seconds_to_complete": f"quantile_cont({_SECONDS}, 0.95)",
            "max_seconds_to_complete": f"max({_SECONDS})",
        }
    },
    measures=(
        *MEASURES,
        Measure("credits", "sum", "credits"),
        Measure("pages", "sum", "CASE WHEN element_type = 'page' THEN elements END"),
        Measure("mean seconds to complete", "mean", _SECONDS),
    ),
    tables=(
        BY_TIME,
        Table(
            "by_domain",
            "By domain",
            "Predictions of each domain, what they cost and what was read for it; the share that failed is "
            "of those that are finished.",
            """SELECT "group" AS domain, count(*) AS predictions,
            {succeeded} AS completed, {failed} AS failed, {waiting} AS waiting,
            {share_failed} AS share_failed,
            coalesce(round(sum(credits), 9), 0) AS credits,
            coalesce(sum(elements) FILTER (element_type = 'page'), 0) AS pages
            FROM record WHERE period = 'now' GROUP BY "group" ORDER BY predictions DESC, domain""",
        ),
        Table(
            "credits_by_time",
            "Credits by {unit} and domain",
            "Credits that the predictions used which were created in each {unit}.",
            """SELECT bucket.label AS {unit}, coalesce("group", '') AS domain,
            coalesce(round(sum(credits), 9), 0) AS credits
            FROM record JOIN bucket USING (bucket) WHERE period = 'now'
            GROUP BY bucket, bucket.label, "group" ORDER BY bucket, domain""",
            chart="stack",
            drawn=("{unit}", "domain", "credits"),
        ),
        Table(
            "processed",
            "What was processed",
            "Pages, images and other elements, by the type that VLM Run gives them.",
            """SELECT element_type, round(sum(elements), 9) AS elements, count(*) AS predictions
            FROM record WHERE period = 'now' AND elements IS NOT NULL
            GROUP BY element_type ORDER BY elements DESC, element_type""",
        ),
        Table(
            "time_to_complete",
            "Time to complete",
            "Seconds from creation to completion, of the predictions that say when they were completed: half "
            "took no longer than p50, 95 of 100 no longer than p95.",
            f"""SELECT "group" AS domain, count(*) AS predictions,
            quantile_cont({_SECONDS}, 0.5) AS p50_seconds, quantile_cont({_SECONDS}, 0.95) AS p95_seconds,
            max({_SECONDS}) AS max_seconds
            FROM record {_IN_TIME} GROUP BY "group" ORDER BY p95_seconds DESC, domain""",
            chart="range",
            drawn=("domain", "p50_seconds", "p95_seconds", "max_seconds"),
        ),
        Table(
            "failure_reasons",
            "Why predictions failed",
            "The messages of failed predictions; VLM Run does not promise one.",
            """SELECT coalesce(message, '') AS message, count(*) AS predictions,
            count(DISTINCT "group") AS domains
            FROM record WHERE period = 'now' AND state = 'failed'
            GROUP BY message ORDER BY predictions DESC, message""",
            state="failed",
        ),
        Table(
            "failures",
            "Failed predictions",
            "Each failed prediction, the newest first.",
            """SELECT id, "group" AS domain, status, iso(created) AS created, message
            FROM record WHERE period = 'now' AND state = 'failed' ORDER BY record.created DESC, id""",
            state="failed",
        ),
        WAITING,
    ),
)
