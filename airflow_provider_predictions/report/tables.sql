-- The tables of the page, each also a CSV. The comment says what a person reads above it, the amount that is
-- drawn by the first two columns, the state of which all predictions must have landed, and whose predictions it
-- is about, if not everybody's.
-- What has a dollar sign is filled in from the measures of report/measures.py.

-- A sum is taken for one of independent amounts, whose variance is the sum of their squares; the variance of a
-- mean is that of both periods together. n, s and q are how many, their sum and the sum of their squares, of
-- the period (1) and of the one before (0). A change of two standard deviations is hardly one of chance; a
-- mean of fewer than five says nothing.
CREATE TABLE compared AS
WITH amount AS (
    SELECT unnest([$record_amounts], recursive := true), "group", age FROM record WHERE age <= 1 GROUP BY "group", age
    UNION ALL
    SELECT unnest([$field_amounts], recursive := true), "group", age FROM field WHERE age <= 1 GROUP BY "group", age
    UNION ALL
    SELECT unnest([$problem_amounts], recursive := true), "group", age FROM problem
    WHERE age <= 1 AND NOT EXISTS (FROM without_values AS one WHERE one.age <= 1) GROUP BY "group", age
), pair AS (
    SELECT measure, is_sum, "group", grouping("group") = 1 AS is_total,
        coalesce(sum(n) FILTER (age = 0), 0) AS n1, coalesce(sum(n) FILTER (age = 1), 0) AS n0,
        coalesce(sum(s) FILTER (age = 0), 0) AS s1, coalesce(sum(s) FILTER (age = 1), 0) AS s0,
        coalesce(sum(q) FILTER (age = 0), 0) AS q1, coalesce(sum(q) FILTER (age = 1), 0) AS q0
    FROM amount GROUP BY GROUPING SETS ((measure, is_sum, "group"), (measure, is_sum))
), scored AS (
    SELECT measure, "group", is_total, s1 AS now, s0 AS before,
        (s1 - s0) / nullif(sqrt(q1 + q0), 0) AS score
    FROM pair WHERE is_sum
    UNION ALL
    SELECT measure, "group", is_total, s1 / n1, s0 / n0, (s1 / n1 - s0 / n0) / nullif(sqrt(
        greatest(0, (q1 + q0) / (n1 + n0) - ((s1 + s0) / (n1 + n0)) ** 2) * (1 / n1 + 1 / n0)), 0)
    FROM pair WHERE NOT is_sum AND n1 >= 5 AND n0 >= 5
)
SELECT measure, "group", is_total, round(now, 9) AS now, round(before, 9) AS before, round(score, 6) AS score
FROM scored
WHERE isfinite(now) AND isfinite(before) AND NOT isnan(coalesce(score, 0)) AND getvariable('is_compared') AND (SELECT count(*) FROM record WHERE age = 1) > 0;

CREATE VIEW changes AS
SELECT measure, "group", now, before, score FROM compared WHERE NOT is_total AND abs(score) >= 2
ORDER BY abs(score) DESC, measure, "group";
COMMENT ON VIEW changes IS '{"title": "What changed",
    "meaning": "What differs from the period before by more than chance, the least likely first."}';

CREATE VIEW by_time AS
SELECT bucket.label AS time, status, count(*) AS predictions
FROM record JOIN bucket USING (bucket) WHERE age = 0
GROUP BY bucket, bucket.label, status ORDER BY bucket, status;
COMMENT ON VIEW by_time IS '{"title": "Each {unit}", "amount": "predictions",
    "meaning": "Predictions by the {unit} they were created in, and their status."}';

CREATE VIEW by_group AS
SELECT "group", $record FROM record WHERE age = 0 GROUP BY "group" ORDER BY predictions DESC, "group";
COMMENT ON VIEW by_group IS '{"title": "Each {group}",
    "meaning": "Predictions of each {group}. The failed share is of the finished ones."}';

CREATE VIEW credits_by_time AS
SELECT bucket.label AS time, coalesce("group", '') AS "group", coalesce(round(sum(credits), 9), 0) AS credits
FROM record JOIN bucket USING (bucket) WHERE age = 0 AND service = 'vlmrun'
GROUP BY bucket, bucket.label, "group" ORDER BY bucket, "group";
COMMENT ON VIEW credits_by_time IS '{"title": "Credits", "amount": "credits", "services": ["vlmrun"],
    "meaning": "Credits used by the predictions that were created in each {unit}, by {group}."}';

CREATE VIEW processed AS
SELECT element_type, round(sum(elements), 9) AS elements, count(*) AS predictions
FROM record WHERE age = 0 AND elements IS NOT NULL
GROUP BY element_type ORDER BY elements DESC, element_type;
COMMENT ON VIEW processed IS '{"title": "What was processed", "services": ["vlmrun"],
    "meaning": "Pages, images and other elements, by the type that VLM Run gives them."}';

CREATE VIEW time_to_complete AS
SELECT "group", count(*) AS predictions, quantile_of(seconds, 0.5) AS median_seconds,
    quantile_of(seconds, 0.95) AS p95_seconds, max(seconds) AS longest_seconds
FROM record WHERE age = 0 AND seconds IS NOT NULL
GROUP BY "group" ORDER BY p95_seconds DESC, "group";
COMMENT ON VIEW time_to_complete IS '{"title": "Time to complete",
    "meaning": "VLM Run: from creation to completion. Cradl: the inference."}';

CREATE VIEW confidence AS
SELECT "group" AS field, $field FROM field WHERE age = 0
GROUP BY "group" ORDER BY share_under_70 DESC NULLS LAST, fields DESC, "group";
COMMENT ON VIEW confidence IS '{"title": "Confidence of each field", "services": ["cradl"],
    "meaning": "How sure the models were. Under 70 % is uncertain and over 90 % is good, by Cradl''s documentation. Fields of line items are named line_items.amount."}';

CREATE VIEW confidence_by_time AS
SELECT bucket.label AS time, "group" AS field, $field
FROM field JOIN bucket USING (bucket) WHERE age = 0
GROUP BY bucket, bucket.label, "group" ORDER BY bucket, "group";
COMMENT ON VIEW confidence_by_time IS '{"title": "Uncertain fields in each {unit}", "amount": "share_under_70",
    "services": ["cradl"], "meaning": "The share of the values of a field with a confidence under 70 %."}';

CREATE VIEW least_confident AS
WITH least AS (
    SELECT document, id, fields, list_min(list_transform(fields, lambda field: field.confidence)) AS confidence
    FROM record WHERE age = 0 AND len(fields) > 0 ORDER BY confidence NULLS LAST, document, id LIMIT 1000
)
SELECT document, id, list_min(list_transform(list_filter(fields, lambda field:
        field.confidence = least.confidence), lambda field: field.label)) AS field,
    confidence, len(list_filter(fields, lambda field: field.confidence < 0.7)) AS fields_under_70
FROM least WHERE confidence IS NOT NULL ORDER BY least.confidence, document, id;
COMMENT ON VIEW least_confident IS '{"title": "Least certain documents", "services": ["cradl"],
    "meaning": "Documents with the field that the model was least sure of, and how many of their fields are under 70 %. At most 1,000."}';

CREATE VIEW problems AS
SELECT kind, field, "group" AS message, count(*) AS times, count(DISTINCT row) AS predictions
FROM problem WHERE age = 0 GROUP BY ALL ORDER BY predictions DESC, kind, field, message;
COMMENT ON VIEW problems IS '{"title": "Errors and warnings", "services": ["cradl"],
    "meaning": "What Cradl says of predictions and of their fields."}';

CREATE VIEW failure_reasons AS
SELECT coalesce(message, '') AS message, count(*) AS predictions, count(DISTINCT "group") AS groups
FROM record WHERE age = 0 AND state = 'failed' GROUP BY message ORDER BY predictions DESC, message;
COMMENT ON VIEW failure_reasons IS '{"title": "Why predictions failed", "state": "failed",
    "meaning": "The messages of failed predictions. Services do not promise one."}';

CREATE VIEW failures AS
SELECT id, "group", iso(created) AS created, message, document
FROM record WHERE age = 0 AND state = 'failed' ORDER BY record.created DESC, id, service;
COMMENT ON VIEW failures IS '{"title": "Failed predictions", "state": "failed",
    "meaning": "Each failed prediction, the newest first."}';

CREATE VIEW waiting AS
SELECT id, "group", status, iso(created) AS created, epoch(getvariable('end') - record.created) AS age_seconds
FROM record WHERE age = 0 AND state = 'waiting' ORDER BY record.created, id, service;
COMMENT ON VIEW waiting IS '{"title": "Still waiting", "state": "waiting",
    "meaning": "Predictions that were not finished when they landed, the oldest first. The age is that at the end of the period."}';

CREATE VIEW late_record AS
SELECT * FROM record
WHERE age > 0 AND state <> 'waiting' AND finished >= getvariable('starts')[1] AND finished < getvariable('end');

CREATE VIEW late AS
SELECT day_of(epoch_us(created)) AS created_on, "group", status, count(*) AS predictions
FROM late_record GROUP BY ALL ORDER BY ALL;
COMMENT ON VIEW late IS '{"title": "Late arrivals",
    "meaning": "Predictions that were created in one of the seven periods before and finished in this one. For Cradl, they were last changed in this one, because it does not say when a prediction finished. They belong to an earlier period, whose report may have been written without them."}';

CREATE VIEW left_out AS
SELECT reason, count, detail FROM left_out_of WHERE count > 0 ORDER BY reason, detail;
COMMENT ON VIEW left_out IS '{"title": "Left out",
    "meaning": "What the sources hold and the numbers do not count, with the reason."}';

-- What only the summary has. It has the ten largest groups and fields of both periods together.
CREATE VIEW overall AS
SELECT measure, "group", now, before, coalesce(score, 0) AS score FROM compared WHERE is_total ORDER BY ALL;
CREATE VIEW largest AS
WITH counted AS (
    SELECT 1 AS place, "group", count(*) AS rows FROM record WHERE age <= 1 GROUP BY "group"
    UNION ALL SELECT 2, "group", count(*) FROM field WHERE age <= 1 GROUP BY "group"
)
SELECT "group" FROM counted WHERE "group" IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY place ORDER BY rows DESC, "group") <= 10
ORDER BY place, rows DESC, "group";
CREATE VIEW by_status AS SELECT status, count(*) FROM record WHERE age = 0 GROUP BY status ORDER BY status;
CREATE VIEW late_by_status AS SELECT status, count(*) FROM late_record GROUP BY status;
CREATE VIEW left_out_by_reason AS
SELECT reason, sum(count) FROM left_out_of GROUP BY reason HAVING sum(count) > 0 ORDER BY reason;
