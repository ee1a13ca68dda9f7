-- What every report's database has: settings, functions, and tables that are filled as parts are read. What is more
-- than fits into the memory goes to files.

SET autoinstall_known_extensions = false;
SET autoload_known_extensions = false;
SET threads = 2;
SET memory_limit = '600MB';
SET TimeZone = 'UTC';

CREATE TABLE left_out_of (reason VARCHAR, count BIGINT, detail VARCHAR);
CREATE TABLE part (part INTEGER, place VARCHAR, count BIGINT, committed TIMESTAMPTZ);
CREATE TABLE bucket (bucket INTEGER, label VARCHAR);
CREATE TYPE state AS ENUM ('succeeded', 'failed', 'cancelled', 'waiting');
-- The rowid is the order in which records came. Age 0 is the period, age 1 the one before, and so on. Of Cradl:
-- fields, what Cradl said of the record and of each field, and how much was not counted because of its shape.
CREATE TABLE record (
    part INTEGER, service VARCHAR, id VARCHAR, status VARCHAR, state state, "group" VARCHAR, age INTEGER,
    bucket INTEGER, created TIMESTAMPTZ, finished TIMESTAMPTZ, seconds DOUBLE, message VARCHAR,
    document VARCHAR, credits DOUBLE, elements DOUBLE, element_type VARCHAR,
    fields STRUCT(confidence DOUBLE, label VARCHAR)[],
    said STRUCT(field VARCHAR, errors JSON, warnings JSON)[],
    is_unread BOOLEAN, has_file BOOLEAN, has_no_list BOOLEAN, blanks INTEGER, odd_rows INTEGER, nested INTEGER
);

CREATE VIEW miscounted AS
SELECT place, part.count, count(record.part) AS found FROM part LEFT JOIN record USING (part)
GROUP BY part, place, part.count HAVING found <> part.count ORDER BY part;

-- A time is read as it is where records land, whatever DuckDB takes for one. Python reads the unusual ones.
CREATE MACRO usual_time() AS '[12]\d{3}-\d\d-\d\d[T ]([01]\d|2[0-3]):[0-5]\d:[0-5]\d'
    || '(\.\d{3}(\d{3})?)?(Z|[+-](0\d|1[0-4])(:[0-5]\d)?)?';
CREATE MACRO instant(text) AS CASE WHEN regexp_full_match(text, usual_time())
    THEN try_cast(text AS TIMESTAMPTZ) ELSE make_timestamptz(as_microseconds(text)) END;
CREATE MACRO number(text) AS
    CASE WHEN isfinite(try_cast(text AS DOUBLE)) THEN try_cast(text AS DOUBLE) END;
CREATE MACRO one_line(text) AS
    nullif(trim(regexp_replace(text, '\s+', ' ', 'g'))[:getvariable('longest_message')], '');
CREATE MACRO words(json) AS one_line(CASE json_type(json)
    WHEN 'VARCHAR' THEN json->>'$'
    WHEN 'ARRAY' THEN array_to_string(from_json(json, '["VARCHAR"]'), '; ')
    WHEN 'NULL' THEN NULL
    ELSE nullif(json(json)::VARCHAR, '{}') END);
-- Formats keep objects as text with spaces, or without.
CREATE MACRO spelled(text) AS
    CASE WHEN (starts_with(text, '{') OR starts_with(text, '[')) AND json_valid(text) THEN json(text)::VARCHAR
    ELSE text END;
CREATE MACRO texts(json) AS
    CASE json_type(json) WHEN 'ARRAY' THEN from_json(json, '["VARCHAR"]') ELSE [words(json)] END;
-- A spreadsheet would take such text for a formula.
CREATE MACRO plain(text) AS
    CASE WHEN regexp_matches(text, '^[\s\x{A0}\x{2028}\x{FEFF}]*[=+\-@＝＋－＠]') THEN '''' || text ELSE text END;
-- An id that is a hash was made for a Parquet file, of a record that has none.
CREATE MACRO given_id(text) AS CASE WHEN text <> ''
    AND NOT (starts_with(text, 'sha256:') AND regexp_full_match(text, 'sha256:[0-9a-f]{64}')) THEN text END;
CREATE MACRO iso(moment) AS strftime(timezone('UTC', moment), '%Y-%m-%dT%H:%M:%SZ');
-- Parquet holds a time in another form than it was sent in.
CREATE MACRO moment_of(text) AS coalesce(replace(
    strftime(timezone('UTC', instant(text)), '%Y-%m-%dT%H:%M:%S.%fZ'), '.000000Z', 'Z'), text);
CREATE MACRO age_of(moment) AS CASE WHEN moment < getvariable('end')
    THEN list_position(list_transform(getvariable('starts'), lambda start: moment >= start), true) - 1 END;
CREATE MACRO bucket_of(moment) AS CASE WHEN moment < getvariable('end') AND moment >= getvariable('starts')[1]
    THEN len(list_filter(getvariable('buckets'), lambda start: start <= moment)) - 1 END;
CREATE MACRO state_of(status) AS CASE WHEN list_contains(getvariable('succeeded'), status) THEN 'succeeded'
    WHEN list_contains(getvariable('failed'), status) THEN 'failed'
    WHEN list_contains(getvariable('cancelled'), status) THEN 'cancelled' ELSE 'waiting' END;
CREATE MACRO end_of(age) AS
    CASE age WHEN 0 THEN getvariable('end') ELSE list_extract(getvariable('starts'), age) END;

-- What the measures of report/measures.py are made of.
CREATE MACRO sum_of(x) AS coalesce(round(sum(x), 9), 0);
CREATE MACRO count_of(state, wanted) AS count(*) FILTER (state = wanted);
CREATE MACRO mean_of(x) AS round(avg(x), 9);
CREATE MACRO share_of(part, whole) AS sum(part) / nullif(sum(whole), 0);
CREATE MACRO quantile_of(x, share) AS round(quantile_cont(x, share), 9);
CREATE MACRO amounts_of(x) AS {n: count(x), s: sum(x::DOUBLE), q: sum(x::DOUBLE * x::DOUBLE)};
CREATE MACRO failure(state) AS CASE state WHEN 'failed' THEN 1 WHEN 'succeeded' THEN 0 END;

-- Members with members of their own, of files that hold them as JSON, in the types of report/subjects.py.
CREATE MACRO vlmrun_usage(json) AS from_json(json,
    '{"credits_used":"VARCHAR","elements_processed":"VARCHAR","element_type":"VARCHAR","message":"JSON"}');
CREATE MACRO item_of() AS
    '{"label":"VARCHAR","value":"JSON","confidence":"VARCHAR","warnings":"JSON","errors":"JSON"}';
-- Results as read_json reads them, but where a field has nothing else than a value, its label is no NULL.
CREATE MACRO cradl_predictions(json) AS list_transform(from_json(json, '[' || item_of() || ']'), lambda item: {
    label: CASE WHEN starts_with(item.value, '[') IS FALSE THEN coalesce(item.label, '') ELSE item.label END,
    value: CASE WHEN starts_with(item.value, '[') THEN from_json(item.value, '[[' || item_of() || ']]') END,
    confidence: item.confidence, warnings: item.warnings, errors: item.errors});
