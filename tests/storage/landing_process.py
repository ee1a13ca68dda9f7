"""Landings in processes of their own, forked from this one, which has imported everything.

Each line of its standard input is an order in JSON: ``{"land": …}`` begins a landing and is answered with the
process id, ``{"wait": pid}`` is answered with the exit code; a negative one is the signal that ended it.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet
import s3fs
import zstandard
from airflow.providers.common.compat.sdk import ObjectStoragePath

from tests.given import LAND, context_of

IMPORTED = (pyarrow.parquet, s3fs, zstandard)
"""What a landing would import when it needs it."""
answers = sys.stdout


def main() -> None:
    """Serve orders until there are no more."""
    global answers
    # Airflow 2.11 and 3.0 write their log to standard output.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    # Airflow looks for the file systems of all providers when the first one is asked for.
    _ = ObjectStoragePath("file:///").fs
    _say("ready")
    for line in sys.stdin:
        order = json.loads(line)
        _say(_fork(order) if "land" in order else _wait(order["wait"]))


def _say(answer: object) -> None:
    answers.write(f"{answer}\n")
    answers.flush()


def _wait(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _fork(order: dict[str, Any]) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            _land(order)
            code = 0
        finally:
            logging.shutdown()
            sys.stdout.flush()
            os._exit(code)
    return pid


def _land(order: dict[str, Any]) -> None:
    """Land, and write the manifest to a file, null where there is none, and the log beside it."""
    os.environ |= order["environment"]
    tempfile.tempdir = None
    target = Path(order["answer"])
    with target.with_suffix(".log").open("wb") as log:
        for descriptor in (0, 1, 2):
            os.dup2(log.fileno(), descriptor)
    logging.basicConfig(level=logging.INFO, force=True)
    context, manifest = context_of("monday", order["attempt"]), None
    try:
        manifest = LAND[order["land"]](task_id="land", **order["arguments"]).execute(context)
    except BaseException:
        logging.exception("The landing failed")
        raise
    finally:
        target.write_text(json.dumps(manifest))


if __name__ == "__main__":
    main()
