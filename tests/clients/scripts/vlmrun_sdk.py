"""VLM Run's own SDK, as a user of it asks for predictions.

python vlmrun_sdk.py <base url> <key> <page size> <an id> <the id of an unfinished one>
"""

from __future__ import annotations

import json
import sys

from vlmrun.client import VLMRun
from vlmrun.client.exceptions import APIError

base_url, key, size, one, unfinished = sys.argv[1:]
client = VLMRun(api_key=key, base_url=base_url, max_retries=1)


def listed() -> list[str]:
    found: list[str] = []
    while page := client.predictions.list(skip=len(found), limit=int(size)):
        found += [row.id for row in page]
    return found


def error_of(*path: str) -> str:
    try:
        client.requestor.request(method="GET", url="/".join(path))
    except APIError as error:
        return f"{error.http_status} {error.message}"
    return "none"


print(
    json.dumps(
        {
            "health": client.healthcheck(),
            "listed": listed(),
            "first page": len(client.predictions.list()),
            "one": client.predictions.get(one).model_dump(mode="json"),
            "waited for": client.predictions.wait(unfinished, timeout=30, sleep=1).status,
            "no such id": error_of("predictions", "nothing"),
            "no such path": error_of("nothing"),
        }
    )
)
