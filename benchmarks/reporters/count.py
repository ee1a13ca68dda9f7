"""DuckDB's count of every member that a report reads, with both threads: what reading JSON costs alone."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb

FIELDS = "STRUCT(label VARCHAR, value JSON, confidence VARCHAR, warnings JSON, errors JSON)[]"
TYPES = {
    "vlmrun": {
        "VARCHAR": "id status created_at completed_at domain",
        "JSON": "message error usage",
    },
    "cradl": {
        "VARCHAR": "predictionId status createdTime updatedTime modelId documentId inferenceTime fileUrl",
        "JSON": "error errors warnings",
        FIELDS: "predictions",
    },
}


def report(directory: Path) -> int:
    """The count of predictions."""
    service = json.loads((directory / "_manifest.json").read_text())["service"]
    kinds = {name: kind for kind, names in TYPES[service].items() for name in names.split()}
    counts, columns = (
        ", ".join(form.format(*item) for item in kinds.items()) for form in ("count({0})", "{0}: '{1}'")
    )
    database = duckdb.connect()
    database.execute("SET threads = 2")
    found = database.execute(
        f"SELECT {counts} FROM read_json(?, format = 'newline_delimited', ignore_errors = true, "
        f"columns = {{{columns}}})",
        [str(directory / "part-*")],
    ).fetchone()
    assert found
    return int(found[0])
