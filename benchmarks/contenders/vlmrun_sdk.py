"""VLM Run's own SDK in a loop, each record dumped as a line."""

from __future__ import annotations

from pathlib import Path

from job import Job
from server import API_KEY
from vlmrun.client import VLMRun

WRITES = "rows.jsonl"


def read(job: Job, url: str, count: int, folder: Path) -> None:
    client = VLMRun(api_key=API_KEY, base_url=url)
    skip = 0
    with (folder / "rows.jsonl").open("w") as out:
        while page := client.predictions.list(skip=skip, limit=job.page_size):
            for row in page:
                out.write(row.model_dump_json() + "\n")
            skip += len(page)
