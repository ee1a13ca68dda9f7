"""What the pages of a run show: the wait, the links, what landed."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import boto3
import pytest
from botocore.config import Config
from playwright.sync_api import Page, expect
from stack import Airflow

from airflow_provider_predictions.sandbox.server import Sandbox
from tests.storage.servers import amazon_ca, amazon_proxy

pytestmark = [pytest.mark.airflow, pytest.mark.browser]

BUCKET = "documents"
DASHBOARDS = {"vlmrun": "https://app.vlm.run/dashboard", "cradl": "https://rc.app.cradl.ai"}


@pytest.fixture
def folder() -> Iterator[Path]:
    """Its name is on a picture, and where it is long, the UI breaks it. So it is short."""
    folder = Path(tempfile.mkdtemp(prefix="predictions-", dir=os.environ["PYTEST_DEBUG_TEMPROOT"]))
    yield folder
    shutil.rmtree(folder)


def test_a_run_shows_its_wait_its_links_and_its_manifest(
    page: Page, picture, airflow: Airflow, server: Sandbox, folder: Path, service_name: str
) -> None:
    held = getattr(server, service_name).add(work=1e6)
    run = airflow.start(f"example_{service_name}", path=f"file://{folder}").removeprefix("/dags/")
    task = f"/dags/{run.replace('dagRuns', 'runs')}/tasks"

    airflow.reaches(f"/dags/{run}", "wait", "deferred", 180)
    page.goto(f"{task}/wait")
    expect(page.get_by_text("Deferred", exact=True)).to_be_visible()
    expect(page.get_by_text("1 of 61 predictions are unfinished").first).to_be_visible()
    picture(f"{service_name}-waiting", height=480)

    page.goto(f"{task}/wait/details")
    expect(page.get_by_role("row", name="Trigger class")).to_contain_text("PredictionsTrigger")
    expect(page.get_by_role("link", name="Dashboard")).to_have_attribute("href", DASHBOARDS[service_name])

    held.work = 0
    ended = airflow.until("ended", lambda: airflow.finished(f"/dags/{run}"), 300)
    assert ended == "success", airflow.logs()[-5000:]

    page.goto(f"{task}/land/details")
    expect(page.get_by_role("link", name="Dashboard")).to_have_attribute("href", DASHBOARDS[service_name])
    expect(page.get_by_role("link", name="Manifest")).to_have_count(0)  # a directory has no console

    page.goto(f"{task}/land/xcom")
    page.get_by_role("button", name="Expand all extra JSON").click()
    value = page.get_by_role("row", name="return_value").locator(".view-lines")
    expect(value).to_contain_text(f"{folder}/{service_name}/")
    expect(value).to_contain_text("part-00000.")
    expect(value.locator(".detected-link").first).to_be_visible()  # the last thing that is drawn
    picture(f"{service_name}-manifest", height=800)


@pytest.fixture(scope="module")
def amazon(airflow: Airflow) -> Iterator[str]:
    """A bucket of Amazon S3; its URL, with the connection that reaches it."""
    with amazon_proxy() as proxy:
        keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
        config = Config(proxies={"https": proxy}, region_name="us-east-1")
        boto3.client("s3", config=config, verify=amazon_ca(), **keys).create_bucket(Bucket=BUCKET)
        extra = {"region_name": "us-east-1", "config_kwargs": {"proxies": {"https": proxy}}}
        connection = {"login": "key", "password": "secret", "extra": json.dumps(extra)}
        airflow.post("/connections", {"connection_id": "amazon", "conn_type": "aws", **connection})
        yield f"s3://amazon@{BUCKET}"


def test_a_landing_in_amazon_s3_leads_to_its_manifest_in_the_console(
    page: Page, picture, airflow: Airflow, amazon: str, service_name: str
) -> None:
    run = airflow.start(f"example_{service_name}", "to_amazon", path=f"{amazon}/predictions")
    ended = airflow.until("ended", lambda: airflow.finished(run), 300)
    assert ended == "success", airflow.logs()[-5000:]

    page.goto(f"{run.replace('dagRuns', 'runs')}/tasks/land/details")

    key = f"predictions/{service_name}/to_amazon/_manifest.json"
    console = f"https://console.aws.amazon.com/s3/object/{BUCKET}?prefix={quote(key, safe='')}"
    expect(page.get_by_role("link", name="Manifest")).to_have_attribute("href", console)
    expect(page.get_by_role("link", name="Dashboard")).to_have_attribute("href", DASHBOARDS[service_name])
    picture(f"{service_name}-links", height=480)
