"""Airflow's HttpOperator with a pagination function: all pages, as text, for XCom. It writes no file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from airflow.providers.http.operators.http import HttpOperator
from job import Job
from requests import Response
from server import API_KEY

WRITES = ""


def read(job: Job, url: str, count: int, folder: Path) -> list[str]:
    connection = {"conn_type": "http", "host": url, "extra": {"Authorization": f"Bearer {API_KEY}"}}
    os.environ["AIRFLOW_CONN_HTTP_DEFAULT"] = json.dumps(connection)
    skip = 0

    def next_page(response: Response) -> dict[str, Any] | None:
        # The answer is parsed to see whether it was the last, as in the operator's documentation.
        nonlocal skip
        skip += len(rows := response.json())
        return {"data": {"skip": skip, "limit": job.page_size}} if rows else None

    operator = HttpOperator(
        task_id="read",
        method="GET",
        endpoint="predictions",
        data={"skip": 0, "limit": job.page_size},
        pagination_function=next_page,
    )
    pages: list[str] = operator.execute({})
    return pages
