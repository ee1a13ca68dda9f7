-- A record of Cradl, its fields and what Cradl complains about, from raw, whose columns are the members that
-- report/database.py reads. No extracted value is kept: a report has more readers than the documents.

-- Without a status it is told by the results, as api.cradl does.
CREATE MACRO cradl_record() AS TABLE
SELECT row, given_id(predictionId) AS id,
    coalesce(nullif(status, ''), CASE WHEN nullif(fileUrl, '') IS NULL AND predictions IS NULL
        AND inferenceTime IS NULL THEN 'pending' ELSE 'succeeded' END) AS status,
    modelId AS "group", instant(createdTime) AS created,
    coalesce(instant(updatedTime),
        try(instant(createdTime) + to_seconds(number(inferenceTime)))) AS finished,
    number(inferenceTime) AS seconds, coalesce(words(error), words(errors)) AS message,
    documentId AS document
FROM raw;

CREATE MACRO item_of() AS
    '{"label":"VARCHAR","value":"JSON","confidence":"VARCHAR","warnings":"JSON","errors":"JSON"}';
CREATE MACRO is_rows(item) AS json_type(item.value) IS NOT DISTINCT FROM 'ARRAY';
CREATE MACRO is_empty(item) AS coalesce(item.label, item.value::VARCHAR, item.confidence) IS NULL;
-- Told by its first character, since all of it is parsed only once.
CREATE MACRO is_list(predictions) AS starts_with(predictions, '[');

-- Line items are fields whose value holds rows of further ones.
CREATE MACRO cradl_items() AS TABLE
WITH top AS MATERIALIZED (
    SELECT row, unnest(from_json(predictions, '[' || item_of() || ']')) AS item
    FROM raw WHERE is_list(predictions)
), line AS (
    SELECT row, item.label AS parent, unnest(flatten(from_json(item.value, '[[' || item_of() || ']]'))) AS item
    FROM top WHERE is_rows(item)
)
SELECT row, item, item.label AS label, is_rows(item) AS is_rows, FALSE AS is_line FROM top
UNION ALL
SELECT row, item, concat_ws('.', parent, item.label), FALSE, TRUE FROM line;
-- Made anew of each part: the next functions read it several times.
CREATE TEMP TABLE items AS FROM cradl_items();

CREATE MACRO cradl_field() AS TABLE
SELECT row, coalesce(label, '') AS label, number(item.confidence) AS confidence
FROM items WHERE NOT is_empty(item) AND NOT is_rows;

CREATE MACRO cradl_problem() AS TABLE
WITH said AS (
    SELECT row, 'error' AS kind, '' AS field, words(error) AS message FROM raw WHERE error IS NOT NULL
    UNION ALL SELECT row, 'error', '', unnest(texts(errors)) FROM raw WHERE errors IS NOT NULL
    UNION ALL SELECT row, 'warning', '', unnest(texts(warnings)) FROM raw WHERE warnings IS NOT NULL
    UNION ALL SELECT row, 'error', coalesce(label, ''), unnest(texts(item.errors)) FROM items
        WHERE item.errors IS NOT NULL
    UNION ALL SELECT row, 'warning', coalesce(label, ''), unnest(texts(item.warnings)) FROM items
        WHERE item.warnings IS NOT NULL
)
SELECT * REPLACE (one_line(message) AS message) FROM said WHERE one_line(message) IS NOT NULL;

-- What is not counted because of its shape.
CREATE MACRO cradl_odd() AS TABLE
SELECT 'records whose predictions are no list; their fields are not counted' AS reason, count(*) AS count
    FROM raw WHERE NOT is_list(predictions)
UNION ALL SELECT 'fields without a label, a value and a confidence', count(*) FROM items WHERE is_empty(item)
UNION ALL SELECT 'line items that are no rows of fields', count(*) FROM items WHERE is_rows AND
    list_bool_or(list_transform(from_json(item.value, '["JSON"]'),
        lambda line: json_type(line) IS DISTINCT FROM 'ARRAY'))
UNION ALL SELECT 'line items within line items', count(*) FROM items
    WHERE is_line AND json_type(item.value) IN ('ARRAY', 'OBJECT');
