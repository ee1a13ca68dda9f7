"""Cradl's own SDK in a loop, each record dumped as a line."""

from __future__ import annotations

import json
from pathlib import Path

from cradl.client import Client
from cradl.credentials import Credentials
from job import Job
from server import TOKEN_PATH

WRITES = "rows.jsonl"


def read(job: Job, url: str, count: int, folder: Path) -> None:
    client = Client(Credentials("benchmark", "benchmark-secret", job.server + TOKEN_PATH, url))
    token = None
    with (folder / "rows.jsonl").open("w") as out:
        while True:
            page = client.list_predictions(max_results=job.page_size, next_token=token)
            for row in page["predictions"]:
                out.write(json.dumps(row) + "\n")
            token = page["nextToken"]
            if not token:
                return
