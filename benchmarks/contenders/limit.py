"""The limit: the pages as they come, fetched one after the other and written unread.

Nothing that lands one page after the other can be faster; what looks into the pages is slower.
"""

from __future__ import annotations

from pathlib import Path

import httpx
from job import Job
from server import KEYS

WRITES = "pages"


def read(job: Job, url: str, count: int, folder: Path) -> None:
    # No TLS here, so nobody is made to wait for certificates.
    headers = {"Authorization": f"Bearer {KEYS[job.service]}"}
    with httpx.Client(verify=False, headers=headers) as client, (folder / "pages").open("wb") as out:
        for start in range(0, count, job.page_size):
            answer = client.get(f"{url}/predictions", params=_query(job, start))
            answer.raise_for_status()
            out.write(answer.content)
            out.write(b"\n")


def _query(job: Job, start: int) -> dict[str, int]:
    if job.service == "vlmrun":
        return {"skip": start, "limit": job.page_size}
    # A token of the benchmark's server is the number of a row, so no page need be read to know the next.
    return {"nextToken": start, "maxResults": job.page_size}
