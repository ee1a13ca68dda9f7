"""dlt: its REST API source into its filesystem destination, as uncompressed JSON Lines in a local folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

# Where dlt finds Airflow installed, it imports it; on its own it is faster and smaller.
sys.modules["airflow"] = None
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION"] = "true"

import dlt  # noqa: E402
from dlt.sources.rest_api import rest_api_source  # noqa: E402
from job import Job  # noqa: E402
from server import API_KEY  # noqa: E402

WRITES = "landed/benchmark/predictions/*.jsonl"


def read(job: Job, url: str, count: int, folder: Path) -> None:
    pipeline = dlt.pipeline(
        pipeline_name="benchmark",
        pipelines_dir=str(folder / "state"),
        destination=dlt.destinations.filesystem(bucket_url=(folder / "landed").as_uri()),
        dataset_name="benchmark",
    )
    source = rest_api_source(_config(job, url))
    source.max_table_nesting = job.nesting
    pipeline.run(source, loader_file_format="jsonl")


def _config(job: Job, url: str) -> Any:
    return {
        "client": {
            "base_url": url,
            "auth": {"type": "bearer", "token": API_KEY},
            "paginator": {
                "type": "offset",
                "offset_param": "skip",
                "limit_param": "limit",
                "limit": job.page_size,
                "total_path": None,
            },
        },
        "resources": ["predictions"],
    }
