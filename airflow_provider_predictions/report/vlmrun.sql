-- A record of VLM Run, from raw, whose columns are the members that report/subjects.py names.

CREATE OR REPLACE MACRO vlmrun_record() AS TABLE
SELECT * EXCLUDE (created_at, completed_at, domain, error, usage) REPLACE (
    given_id(id) AS id, coalesce(nullif(status, ''), 'pending') AS status,
    coalesce(words(message), words(error), words(usage.message)) AS message
), epoch(finished - created) AS seconds, number(usage.credits_used) AS credits,
    number(usage.elements_processed) AS elements, usage.element_type AS element_type
FROM (SELECT *, instant(created_at) AS created, instant(completed_at) AS finished FROM raw);
