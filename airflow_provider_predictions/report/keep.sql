-- Each prediction once, in its latest shape and its period, and what is not counted.

CREATE TABLE record AS
WITH latest AS (
    SELECT * FROM staged QUALIFY row_number() OVER (
        PARTITION BY service, id, CASE WHEN id IS NULL THEN row END
        ORDER BY state = 'waiting', row DESC) = 1
)
SELECT latest.*, CASE WHEN created < getvariable('end') THEN age END AS age, period_end, bucket.bucket
FROM latest ASOF LEFT JOIN span ON latest.created >= span.start
ASOF LEFT JOIN bucket ON latest.created >= bucket.start;

CREATE TABLE field AS
SELECT detail.*, age, bucket, "group" FROM staged_field AS detail JOIN record USING (row) WHERE age IS NOT NULL;
CREATE TABLE problem AS
SELECT detail.*, age, bucket, "group" FROM staged_problem AS detail JOIN record USING (row) WHERE age IS NOT NULL;

INSERT INTO left_out_of
SELECT 'the same prediction in an earlier landing, or unfinished in a later one',
    (SELECT count(*) FROM staged) - (SELECT count(*) FROM record), ''
UNION ALL
SELECT 'no creation time that can be read', count(*), '' FROM record WHERE created IS NULL
UNION ALL
SELECT 'created after the period', count(*), '' FROM record WHERE created >= getvariable('end')
UNION ALL
SELECT 'created before the oldest period', count(*), '' FROM record
WHERE created < (SELECT min(start) FROM span);
