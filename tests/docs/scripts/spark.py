"""Evaluate expressions with Spark.

Standard input holds, by name, an expression and the values that it uses. Standard output gets the rows of
each, or None where it fails.
"""

import json
import sys
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import SparkSession


def rows(expression: str, values: dict[str, Any]) -> list[list[Any]] | None:
    try:
        found = eval(expression, {"spark": spark, **values}).collect()
        return [[plain(value) for value in row] for row in found]
    except Exception as error:
        print(expression, error, file=sys.stderr)
        return None


def plain(value: Any) -> Any:
    """A value as JSON has it. Spark's times are naive, in the time zone of this process."""
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


# Offline, and one thread: what is asked is small.
with (
    SparkSession.builder.master("local[1]")
    .config("spark.ui.enabled", "false")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .getOrCreate()
) as spark:
    found = {name: rows(*asked) for name, asked in json.load(sys.stdin).items()}
    print(json.dumps({"version": spark.version, "found": found}))
