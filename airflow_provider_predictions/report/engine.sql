-- What every report's database has: functions, and tables that are filled as parts are read.

CREATE SEQUENCE row_number;
CREATE TABLE left_out_of (reason VARCHAR, count BIGINT, detail VARCHAR);
CREATE TABLE bucket (bucket INTEGER, label VARCHAR, start TIMESTAMPTZ);
-- Age 0 is the period, age 1 the one before, and so on.
CREATE TABLE span (age INTEGER, start TIMESTAMPTZ, period_end TIMESTAMPTZ);
CREATE TABLE staged (
    row BIGINT, service VARCHAR, id VARCHAR, status VARCHAR, state VARCHAR, "group" VARCHAR,
    created TIMESTAMPTZ, finished TIMESTAMPTZ, seconds DOUBLE, message VARCHAR, document VARCHAR,
    credits DOUBLE, elements DOUBLE, element_type VARCHAR
);
CREATE TABLE staged_field (row BIGINT, label VARCHAR, confidence DOUBLE);
CREATE TABLE staged_problem (row BIGINT, kind VARCHAR, field VARCHAR, message VARCHAR);

-- A time is read as it is where records land, whatever DuckDB takes for one.
CREATE MACRO instant(text) AS make_timestamptz(as_microseconds(text));
CREATE MACRO number(text) AS
    CASE WHEN isfinite(try_cast(text AS DOUBLE)) THEN try_cast(text AS DOUBLE) END;
CREATE MACRO one_line(text) AS
    nullif(trim(regexp_replace(text, '\s+', ' ', 'g'))[:getvariable('longest_message')], '');
CREATE MACRO words(json) AS one_line(CASE json_type(json)
    WHEN 'VARCHAR' THEN json->>'$'
    WHEN 'ARRAY' THEN array_to_string(from_json(json, '["VARCHAR"]'), '; ')
    WHEN 'NULL' THEN NULL
    ELSE nullif(json::VARCHAR, '{}') END);
CREATE MACRO texts(json) AS
    CASE json_type(json) WHEN 'ARRAY' THEN from_json(json, '["VARCHAR"]') ELSE [words(json)] END;
-- A spreadsheet would take such text for a formula.
CREATE MACRO plain(text) AS
    CASE WHEN regexp_matches(text, '^[\s\x{A0}\x{2028}\x{FEFF}]*[=+\-@＝＋－＠]') THEN '''' || text ELSE text END;
-- An id that is a hash was made for a Parquet file, of a record that has none.
CREATE MACRO given_id(text) AS
    CASE WHEN text <> '' AND NOT regexp_full_match(text, 'sha256:[0-9a-f]{64}') THEN text END;
CREATE MACRO iso(moment) AS strftime(timezone('UTC', moment), '%Y-%m-%dT%H:%M:%SZ');
