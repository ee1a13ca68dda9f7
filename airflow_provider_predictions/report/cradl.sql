-- A record of Cradl, its fields and what Cradl complains about, from raw, whose columns are the members that
-- report/subjects.py names. No extracted value is kept: a report has more readers than the documents.

CREATE OR REPLACE MACRO is_blank(item) AS item.label IS NULL AND item.value IS NULL AND item.confidence IS NULL;
CREATE OR REPLACE MACRO complains(item) AS item.errors IS NOT NULL OR item.warnings IS NOT NULL;

-- Without a status it is told by the results, as api.cradl does. Line items are fields whose value holds rows of
-- further ones.
CREATE OR REPLACE MACRO cradl_record() AS TABLE
WITH given AS (
    SELECT *, instant(createdTime) AS created, number(inferenceTime) AS seconds,
        list_filter(predictions, lambda item: item.value IS NOT NULL) AS tables
    FROM raw
), lined AS (
    SELECT *, flatten(list_transform(tables, lambda item: list_transform(flatten(item.value),
        lambda cell: {name: concat_ws('.', item.label, cell.label), cell: cell}))) AS lines
    FROM given
)
SELECT part, is_unread, "group", given_id(predictionId) AS id,
    coalesce(nullif(status, ''), CASE WHEN nullif(fileUrl, '') IS NULL AND predictions IS NULL
        AND inferenceTime IS NULL THEN 'pending' ELSE 'succeeded' END) AS status,
    created, coalesce(instant(updatedTime), try(created + to_seconds(seconds))) AS finished, seconds,
    coalesce(words(error), words(errors)) AS message, documentId AS document,
    CASE WHEN predictions IS NOT NULL THEN list_concat(
        list_transform(list_filter(predictions, lambda item: item.value IS NULL AND NOT is_blank(item)),
            lambda item: {confidence: number(item.confidence), label: coalesce(item.label, '')}),
        list_transform(list_filter(lines, lambda line: NOT is_blank(line.cell)),
            lambda line: {confidence: number(line.cell.confidence), label: line.name})) END AS fields,
    nullif(list_concat(
        CASE WHEN coalesce(error, errors, warnings) IS NOT NULL THEN [
            {field: '', errors: to_json(words(error)), warnings: NULL},
            {field: '', errors: errors, warnings: warnings}] ELSE [] END,
        list_transform(list_filter(predictions, lambda item: complains(item)),
            lambda item: {field: coalesce(item.label, ''), errors: item.errors, warnings: item.warnings}),
        list_transform(list_filter(lines, lambda line: complains(line.cell)),
            lambda line: {field: line.name, errors: line.cell.errors, warnings: line.cell.warnings})),
        []) AS said,
    has_no_list, nullif(fileUrl, '') IS NOT NULL AS has_file,
    len(list_filter(predictions, lambda item: is_blank(item)))
        + len(list_filter(lines, lambda line: is_blank(line.cell))) AS blanks,
    len(list_filter(tables, lambda item: len(item.value) > list_count(item.value))) AS odd_rows,
    len(list_filter(lines, lambda line:
        starts_with(line.cell.value, '[') OR starts_with(line.cell.value, '{'))) AS nested
FROM lined;
