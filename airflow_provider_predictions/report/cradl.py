"""What a report shows of Cradl: how sure it was of each field, and what it complained about.

No extracted value is in it, since a report is read by more people than the documents are.
"""

from __future__ import annotations

from airflow_provider_predictions.api.cradl import Cradl
from airflow_provider_predictions.report.tables import (
    BY_TIME,
    MEASURES,
    TOTALS,
    WAITING,
    Measure,
    Subject,
    Table,
)

# docs.cradl.ai, "Predictions": a confidence under 0.7 is uncertain, one over 0.9 is good.
_CONFIDENCE = {
    "fields": "count(*)",
    "mean_confidence": "round(avg(confidence), 9)",
    "share_under_70": "count(*) FILTER (confidence < 0.7) / nullif(count(confidence), 0)",
    "share_under_90": "count(*) FILTER (confidence < 0.9) / nullif(count(confidence), 0)",
}
_CONFIDENCES = ", ".join(f"{aggregate} AS {name}" for name, aggregate in _CONFIDENCE.items())
_ITEM = '{"label":"VARCHAR","value":"JSON","confidence":"VARCHAR","warnings":"JSON","errors":"JSON"}'
# Told by its first character, as the whole of it is parsed but once.
_IS_LIST = "starts_with(predictions, '[')"
_IS_EMPTY = "coalesce(item.label, item.value::VARCHAR, item.confidence) IS NULL"
_IS_NESTED = "json_type(item.value) IN ('ARRAY', 'OBJECT')"
_IS_ROWS = "json_type(item.value) IS NOT DISTINCT FROM 'ARRAY'"

SUBJECT = Subject(
    service=Cradl,
    group="model",
    members={
        "predictionId": "VARCHAR",
        "status": "VARCHAR",
        "createdTime": "VARCHAR",
        "updatedTime": "VARCHAR",
        "modelId": "VARCHAR",
        "documentId": "VARCHAR",
        "inferenceTime": "VARCHAR",
        "fileUrl": "VARCHAR",
        "error": "JSON",
        "errors": "JSON",
        "warnings": "JSON",
        "predictions": "JSON",
    },
    # Without a status it is told by the results, as api.cradl does.
    record="""given_id(predictionId) AS id,
        coalesce(nullif(status, ''), CASE WHEN nullif(fileUrl, '') IS NULL AND predictions IS NULL
            AND inferenceTime IS NULL THEN 'pending' ELSE 'succeeded' END) AS status,
        modelId AS "group", instant(createdTime) AS created,
        coalesce(instant(updatedTime),
            try(instant(createdTime) + to_seconds(number(inferenceTime)))) AS finished,
        coalesce(words(error), words(errors)) AS message,
        documentId AS document, number(inferenceTime) AS inference_seconds""",
    # Line items are fields whose value holds rows of further ones.
    items=f"""WITH top AS MATERIALIZED (
            SELECT row, unnest(from_json(predictions, '[{_ITEM}]')) AS item
            FROM raw WHERE {_IS_LIST}
        ), line AS (
            SELECT row, item.label AS parent, unnest(flatten(from_json(item.value, '[[{_ITEM}]]'))) AS item
            FROM top WHERE {_IS_ROWS}
        )
        SELECT row, item, item.label AS label, {_IS_ROWS} AS is_rows, FALSE AS is_line FROM top
        UNION ALL
        SELECT row, item, concat_ws('.', parent, item.label), FALSE, TRUE FROM line""",
    details={
        "field": f"""SELECT row, coalesce(label, '') AS label, number(item.confidence) AS confidence
            FROM items WHERE NOT {_IS_EMPTY} AND NOT is_rows""",
        "problem": """WITH said AS (
                SELECT row, 'error' AS kind, '' AS field, words(error) AS message FROM raw
                    WHERE error IS NOT NULL
                UNION ALL SELECT row, 'error', '', unnest(texts(errors)) FROM raw WHERE errors IS NOT NULL
                UNION ALL SELECT row, 'warning', '', unnest(texts(warnings)) FROM raw
                    WHERE warnings IS NOT NULL
                UNION ALL SELECT row, 'error', coalesce(label, ''), unnest(texts(item.errors)) FROM items
                    WHERE item.errors IS NOT NULL
                UNION ALL SELECT row, 'warning', coalesce(label, ''), unnest(texts(item.warnings)) FROM items
                    WHERE item.warnings IS NOT NULL
            )
            SELECT * REPLACE (one_line(message) AS message) FROM said WHERE one_line(message) IS NOT NULL""",
    },
    odd={
        "records whose predictions are no list; their fields are not counted": f"""SELECT count(*) FROM raw
            WHERE NOT {_IS_LIST}""",
        "fields without a label, a value and a confidence": f"SELECT count(*) FROM items WHERE {_IS_EMPTY}",
        "line items that are no rows of fields": """SELECT count(*) FROM items WHERE is_rows AND
            list_bool_or(list_transform(from_json(item.value, '["JSON"]'),
                lambda line: json_type(line) IS DISTINCT FROM 'ARRAY'))""",
        "line items within line items": f"SELECT count(*) FROM items WHERE is_line AND {_IS_NESTED}",
    },
    totals={
        "record": TOTALS
        | {
            "p50_inference_seconds": "quantile_cont(inference_seconds, 0.5)",
            "p95_inference_seconds": "quantile_cont(inference_seconds, 0.95)",
        },
        "field": _CONFIDENCE,
        "problem": {
            "errors": "count(*) FILTER (kind = 'error')",
            "warnings": "count(*) FILTER (kind = 'warning')",
        },
    },
    measures=(
        *MEASURES,
        Measure("mean inference seconds", "mean", "inference_seconds"),
        Measure("mean confidence", "mean", "confidence", "label", "field"),
        Measure("errors and warnings", "sum", "1", "message", "problem"),
    ),
    tables=(
        BY_TIME,
        Table(
            "by_model",
            "By model",
            "Predictions of each model; the share that failed is of those that are finished.",
            """SELECT "group" AS model, count(*) AS predictions,
            {succeeded} AS succeeded, {failed} AS failed, {waiting} AS waiting,
            {share_failed} AS share_failed
            FROM record WHERE period = 'now' GROUP BY "group" ORDER BY predictions DESC, model""",
        ),
        Table(
            "confidence",
            "Confidence by field",
            "How sure the models were of each field. Under 70 % is uncertain and over 90 % is good, by "
            "Cradl's documentation. Fields of line items are named line_items.amount.",
            f"""SELECT field.label AS field, {_CONFIDENCES} FROM field WHERE period = 'now'
            GROUP BY label ORDER BY share_under_70 DESC NULLS LAST, fields DESC, field""",
        ),
        *(
            Table(
                f"under_{limit}_by_time",
                f"Fields under {limit} % by {{unit}}",
                f"The share of a field's values with a confidence under {limit} %.",
                f"""SELECT bucket.label AS {{unit}}, field.label AS field, {_CONFIDENCES}
                FROM field JOIN bucket USING (bucket) WHERE period = 'now'
                GROUP BY bucket, bucket.label, field.label ORDER BY bucket, field""",
                chart="heat",
                drawn=("{unit}", "field", f"share_under_{limit}"),
            )
            for limit in (70, 90)
        ),
        Table(
            "least_confident",
            "Least certain documents",
            "Documents with a field that the model was least sure of, and how many of their fields are under "
            "70 %; at most 1,000.",
            """WITH sure AS (
                SELECT row, min(confidence) AS confidence,
                    count(*) FILTER (confidence < 0.7) AS fields_under_70
                FROM field WHERE period = 'now' AND confidence IS NOT NULL GROUP BY row
            ), least AS (
                SELECT sure.*, document, id FROM sure JOIN record USING (row)
                ORDER BY confidence, document, id LIMIT 1000
            )
            SELECT document, id AS prediction, min(label) AS field, least.confidence, fields_under_70
            FROM least JOIN field ON field.row = least.row AND field.confidence = least.confidence
            GROUP BY least.row, document, id, least.confidence, fields_under_70
            ORDER BY least.confidence, document, id""",
        ),
        Table(
            "inference_time",
            "Inference time",
            "Seconds of inference: half of the predictions took no longer than p50, 95 of 100 no longer than "
            "p95.",
            """SELECT "group" AS model, count(inference_seconds) AS predictions,
            quantile_cont(inference_seconds, 0.5) AS p50_seconds,
            quantile_cont(inference_seconds, 0.95) AS p95_seconds, max(inference_seconds) AS max_seconds
            FROM record WHERE period = 'now' AND inference_seconds IS NOT NULL
            GROUP BY "group" ORDER BY p95_seconds DESC, model""",
            chart="range",
            drawn=("model", "p50_seconds", "p95_seconds", "max_seconds"),
        ),
        Table(
            "problems",
            "Errors and warnings",
            "What Cradl says of predictions and of their fields.",
            """SELECT kind, field, message, count(*) AS times, count(DISTINCT row) AS predictions
            FROM problem WHERE period = 'now' GROUP BY ALL ORDER BY predictions DESC, kind, field, message""",
        ),
        Table(
            "failures",
            "Failed predictions",
            "Each failed prediction, the newest first.",
            """SELECT id, document, "group" AS model, iso(created) AS created, message
            FROM record WHERE period = 'now' AND state = 'failed' ORDER BY record.created DESC, id""",
            state="failed",
        ),
        WAITING,
    ),
)
