"""DuckDB as a report uses it: what it may take, and functions of which SQL has none."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from airflow_provider_predictions.api.limits import MAX_MESSAGE_LENGTH
from airflow_provider_predictions.api.models import as_time

MEMORY = "400MB"
"""What DuckDB keeps in memory; what is more goes to files."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_GETS_NULL: Any = "special"

_SETTINGS = """
    SET threads = 2; SET memory_limit = '{memory}'; SET temp_directory = {spilled};
    SET preserve_insertion_order = false; SET TimeZone = 'UTC';
    SET autoinstall_known_extensions = false; SET autoload_known_extensions = false;
    CREATE SEQUENCE row_number;
    CREATE TABLE left_out (reason VARCHAR, count BIGINT, detail VARCHAR);
    CREATE TABLE bucket (bucket INTEGER, label VARCHAR, start TIMESTAMPTZ);
"""
# Times are read as they are where records land, whatever DuckDB takes for one. An id that is a hash was made
# for a Parquet file, of a record that has none. A number that needs all
# predictions of some states is none where not all of them were to land.
_MACROS = f"""
    CREATE MACRO instant(text) AS make_timestamptz(as_microseconds(text));
    CREATE MACRO number(text) AS
        CASE WHEN isfinite(try_cast(text AS DOUBLE)) THEN try_cast(text AS DOUBLE) END;
    CREATE MACRO one_line(text) AS
        nullif(trim(regexp_replace(text, '\\s+', ' ', 'g'))[:{MAX_MESSAGE_LENGTH}], '');
    CREATE MACRO words(json) AS one_line(CASE json_type(json)
        WHEN 'VARCHAR' THEN json->>'$'
        WHEN 'ARRAY' THEN array_to_string(from_json(json, '["VARCHAR"]'), '; ')
        WHEN 'NULL' THEN NULL
        ELSE nullif(json::VARCHAR, '{{}}') END);
    CREATE MACRO texts(json) AS CASE json_type(json)
        WHEN 'ARRAY' THEN from_json(json, '["VARCHAR"]') ELSE [words(json)] END;
    CREATE MACRO plain(text) AS
        CASE WHEN regexp_matches(text, '^[=+\\-@\\t\\r]') THEN '''' || text ELSE text END;
    CREATE MACRO given_id(text) AS
        CASE WHEN text <> '' AND NOT regexp_full_match(text, 'sha256:[0-9a-f]{{64}}') THEN text END;
    CREATE MACRO landed(number, states) AS CASE WHEN NOT list_has_any(states, {{missing}}) THEN number END;
    CREATE MACRO iso(moment) AS strftime(timezone('UTC', moment), '%Y-%m-%dT%H:%M:%SZ');
"""


def connect(directory: Path, missing: Collection[str]) -> duckdb.DuckDBPyConnection:
    """A new database.

    :param directory: for its files.
    :param missing: states of which not all predictions were to land.
    """
    database = duckdb.connect(str(directory / "records.duckdb"))
    database.create_function(
        "as_microseconds", _microseconds, ["VARCHAR"], "BIGINT", null_handling=_GETS_NULL
    )
    database.execute(_SETTINGS.format(memory=MEMORY, spilled=text(directory / "spilled")))
    database.execute(_MACROS.replace("{missing}", f"{sorted(missing)}::VARCHAR[]"))
    return database


def quoted(name: str) -> str:
    """A name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def text(path: Path | str) -> str:
    """Text in SQL."""
    return "'" + str(path).replace("'", "''") + "'"


def exactly(file: Path) -> str:
    """The path of a file in SQL, no character of which is taken for a pattern."""
    return text(re.sub(r"[*?\[]", r"[\g<0>]", str(file)))


def _microseconds(given: str | None) -> int | None:
    time = as_time(given)
    return None if time is None else (time - _EPOCH) // timedelta(microseconds=1)
