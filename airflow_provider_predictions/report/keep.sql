-- Each prediction once, in its latest shape, and what is not counted. Hashes find the few that may come twice.

INSERT INTO left_out_of BY NAME
SELECT unnest([
    {reason: 'records that are no JSON that DuckDB reads, or have none of the fields', count: sum(is_unread::INTEGER)},
    {reason: 'records whose predictions are no list; their fields are not counted', count: sum(has_no_list::INTEGER)},
    {reason: 'fields without a label, a value and a confidence', count: sum(blanks)},
    {reason: 'line items that are no rows of fields', count: sum(odd_rows)},
    {reason: 'line items within line items', count: sum(nested)}
], recursive := true), place AS detail FROM record JOIN part USING (part) GROUP BY part, place;

BEGIN TRANSACTION;
CREATE TEMP TABLE older AS
SELECT rowid AS row FROM record
WHERE id IS NOT NULL AND hash(id) IN (SELECT hash(id) FROM record GROUP BY ALL HAVING count(*) > 1)
QUALIFY row_number() OVER (PARTITION BY service, id ORDER BY state = 'waiting', rowid DESC) > 1;
DELETE FROM record WHERE rowid IN (FROM older);
COMMIT;

-- What may be of the period, and may not: it landed after the start and has no time.
CREATE TABLE undated AS
SELECT count(*) AS records FROM record JOIN part USING (part)
WHERE created IS NULL AND coalesce(committed > getvariable('starts')[1], true);
DELETE FROM record WHERE is_unread;

-- Predictions that have values, which are not in their records.
CREATE TABLE without_values AS
SELECT age, count(*) AS predictions FROM record
WHERE service = 'cradl' AND fields IS NULL AND (has_file OR state = 'succeeded') GROUP BY age;

CREATE TABLE field AS
SELECT age, bucket, label AS "group", count(*) AS fields, count(confidence) AS known, sum(confidence) AS total,
    sum(confidence * confidence) AS squares, count(*) FILTER (confidence < 0.7) AS under_70,
    count(*) FILTER (confidence < 0.9) AS under_90
FROM (SELECT age, bucket, unnest(fields, recursive := true) FROM record WHERE age IS NOT NULL) GROUP BY ALL;

CREATE TABLE problem AS
WITH said AS (
    SELECT rowid AS row, age, unnest(said, recursive := true) FROM record WHERE age IS NOT NULL
), each AS (
    SELECT row, age, 'error' AS kind, field, unnest(texts(errors)) AS message FROM said
    UNION ALL SELECT row, age, 'warning', field, unnest(texts(warnings)) FROM said
)
SELECT * EXCLUDE (message), one_line(message) AS "group" FROM each WHERE one_line(message) IS NOT NULL;

INSERT INTO left_out_of
SELECT 'the same prediction in an earlier landing, or unfinished in a later one', count(*), '' FROM older
UNION ALL
SELECT 'no creation time that can be read', count(*), '' FROM record WHERE created IS NULL
UNION ALL
SELECT 'created after the period', count(*), '' FROM record WHERE created >= getvariable('end')
UNION ALL
SELECT 'created before the oldest period', count(*), '' FROM record
WHERE age IS NULL AND created < getvariable('end');
