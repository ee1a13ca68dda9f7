-- A record of VLM Run, from raw, whose columns are the members that report/database.py reads.

CREATE MACRO vlmrun_record() AS TABLE
SELECT row, given_id(id) AS id, coalesce(nullif(status, ''), 'pending') AS status, domain AS "group",
    instant(created_at) AS created, instant(completed_at) AS finished,
    epoch(instant(completed_at) - instant(created_at)) AS seconds,
    coalesce(words(message), words(error), words(usage->'message')) AS message,
    number(usage->>'credits_used') AS credits, number(usage->>'elements_processed') AS elements,
    usage->>'element_type' AS element_type
FROM raw;
