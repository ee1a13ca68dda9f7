"""Reports in the UI of a whole Airflow behind a base path, for users who may see them and who may not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Frame, FrameLocator, Page, Route, expect
from stack import Airflow, free_port

from airflow_provider_predictions.operators.report_record import KEY
from tests.report.landed import land
from tests.report.records import made
from tests.storage.servers import s3_server
from tests.ui.conftest import HEIGHT, PARSED_ONCE, WIDTH, person
from tests.ui.pictures import path_of

pytestmark = [pytest.mark.airflow, pytest.mark.browser]

ROOT = Path(__file__).parents[2]
BASE = "/predictions/airflow"
PASSWORDS = {"admin": "admin-of-the-tests", "viewer": "viewer-of-the-tests"}
START, END = datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC)
DAGS = """
from airflow.sdk import DAG
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow_provider_predictions.operators.report import PredictionsReportOperator

GIVEN = {{"source": "file://{home}/landed", "period": ("2026-11-02", "2026-11-03")}}

for dag_id, paths in {{
    "open_report": {{"report": "file://{home}/open/{{{{ run_id }}}}", "report_s3": "s3://store@reports/x"}},
    "secret_report": {{"report": "file://{home}/secret/{{{{ run_id }}}}"}},
}}.items():
    with DAG(dag_id, schedule=None) as dag:
        other = EmptyOperator(task_id="other")
        for task_id, path in paths.items():
            PredictionsReportOperator(task_id=task_id, path=path, **GIVEN) >> other
    globals()[dag_id] = dag
"""
EVIL = b"""<!doctype html><title>Evil</title><p>A page that holds a script.</p>
<script>document.title = "owned"; parent.document.title = "owned"</script>
<img src="x" onerror="document.title = 'owned'"><img src="https://evil.test/image">
<svg onload="document.title = 'owned'"></svg><a id="go" href="javascript:document.title = 'owned'">go</a>
<link rel="stylesheet" href="https://evil.test/style"><iframe src="https://evil.test/frame"></iframe>
<form id="form" action="https://evil.test/form"><input name="q" value="1"><button>send</button></form>
<meta http-equiv="refresh" content="0; url=https://evil.test/refresh">"""


def add_plugin(home: Path) -> None:
    """Let Airflow find the plugin, also where the package is installed without its entry point."""
    home.joinpath("plugins").mkdir(parents=True, exist_ok=True)
    line = "from airflow_provider_predictions.ui.plugin import PredictionsPlugin\n"
    home.joinpath("plugins/predictions.py").write_text(line)


@pytest.fixture
def picture_of() -> Callable[..., None]:
    """Take a picture of the top of a page for the documentation, if that is wanted; see ``path_of``."""

    def take(page: Page, name: str, height: int = HEIGHT) -> None:
        if path := path_of(name):
            clip = {"x": 0, "y": 0, "width": WIDTH, "height": height}
            page.screenshot(path=path, clip=clip, animations="disabled")

    return take


@pytest.fixture(scope="module")
def bucket() -> Iterator[dict[str, Any]]:
    """The connection to an S3 server with a bucket ``reports``."""
    with s3_server() as url:
        keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
        boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys).create_bucket(Bucket="reports")
        extra = json.dumps({"endpoint_url": url, "region_name": "us-east-1"})
        yield {"conn_type": "aws", "login": "key", "password": "secret", "extra": extra}


@pytest.fixture(scope="module")
def airflow(
    browser: Browser, bucket: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Airflow]:
    """An Airflow with two users, in which both DAGs have run; everything is below a base path."""
    home, port = tmp_path_factory.mktemp("airflow"), free_port()
    land("vlmrun", home / "landed", made("vlmrun", START, END, 40))
    add_plugin(home)
    home.joinpath("dags").mkdir()
    home.joinpath("dags/reports.py").write_text(DAGS.format(home=home))
    home.joinpath("passwords.json").write_text(json.dumps(PASSWORDS))
    address = f"http://127.0.0.1:{port}{BASE}"
    settings = {
        "AIRFLOW__API__BASE_URL": address,
        "AIRFLOW__CORE__AUTH_MANAGER": "tests.ui.per_dag.PerDagAuthManager",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,viewer:viewer",
        "PYTHONPATH": str(ROOT),
    } | PARSED_ONCE
    with Airflow(home, settings, port) as running:
        running.url = address
        running.headers = {"Authorization": f"Bearer {token(running, 'admin')}"}
        running.post("/connections", {"connection_id": "store", **bucket})
        for dag_id in ("open_report", "secret_report"):
            run = running.start(dag_id)
            ended = running.until("ended", lambda run=run: running.finished(run), 300)
            assert ended == "success", running.logs()[-5000:]
        yield running


def token(airflow: Airflow, user: str) -> str:
    body = {"username": user, "password": PASSWORDS[user]}
    answer = httpx.post(f"{airflow.url}/auth/token", json=body, timeout=60)
    assert answer.is_success, answer.text
    return str(answer.json()["access_token"])


@pytest.fixture(scope="module")
def signed_in(browser: Browser, airflow: Airflow) -> Iterator[dict[str, BrowserContext]]:
    """A browser for each user."""
    with person(browser, airflow.url) as admin, person(browser, airflow.url) as viewer:
        browsers = {"admin": admin, "viewer": viewer}
        for user, context in browsers.items():
            context.add_cookies([{"name": "_token", "value": token(airflow, user), "url": airflow.url}])
        yield browsers


@pytest.fixture
def visit(signed_in: dict[str, BrowserContext], airflow: Airflow) -> Iterator[Callable[..., Page]]:
    """Open a page as a user who has signed in. A request that reaches another host is an error."""
    reached: list[str] = []

    def note(route: Route) -> None:
        reached.append(route.request.url)
        route.abort()

    for context in signed_in.values():
        context.route("https://evil.test/**", note)

    def visit(path: str, user: str = "viewer") -> Page:
        page = signed_in[user].new_page()
        page.goto(f"{airflow.url}{path}")
        return page

    yield visit
    for context in signed_in.values():
        for page in context.pages:
            page.close()
        context.unroute("https://evil.test/**", note)
    assert reached == []


def task_path(task_id: str = "report", dag_id: str = "open_report") -> str:
    return f"/dags/{dag_id}/runs/by_hand/tasks/{task_id}"


def shown(page: Page) -> FrameLocator:
    """What the tab of a report shows."""
    page.get_by_role("link", name="Prediction report", exact=True).click()
    return page.frame_locator("iframe[title=Report]")


def frame_of(page: Page) -> Frame:
    handle = page.locator("iframe[title=Report]").element_handle()
    frame = handle.content_frame()
    assert frame
    return frame


@pytest.mark.parametrize("task_id", ["report", "report_s3"])
def test_the_tab_shows_the_report(visit, picture_of, task_id: str) -> None:
    page = visit(task_path(task_id))

    expect(shown(page).get_by_role("heading", level=1)).to_be_visible()
    if task_id == "report":
        picture_of(page, "report-in-airflow")


def test_a_user_who_may_not_see_the_dag_sees_no_report(visit, airflow: Airflow) -> None:
    page = visit(task_path())
    shown(page)
    address = f"{airflow.url}/predictions/report/secret_report/by_hand/report/-1/report.html"

    answer = page.request.get(address)

    assert answer.status == 403
    assert "Not allowed" in answer.text()
    assert httpx.get(address, timeout=60).status_code == 401
    expect(shown(visit(task_path("report", "secret_report"), "admin")).locator("h1")).to_be_visible()


def test_the_list_of_reports_holds_those_that_the_user_may_see(visit, airflow: Airflow, picture_of) -> None:
    for user, has_secret in (("viewer", False), ("admin", True)):
        page = visit("/", user)
        page.get_by_role("button", name="Browse").click()
        page.get_by_role("menuitem", name="Prediction reports").click()
        inside = page.frame_locator("iframe")
        expect(inside.get_by_role("link", name="open_report · report", exact=True)).to_be_visible()
        expect(inside.get_by_role("link", name="secret_report · report")).to_have_count(int(has_secret))
    picture_of(page, "reports-in-airflow", height=360)
    inside.get_by_role("link", name="open_report · report", exact=True).click()
    expect(inside.get_by_text("VLM Run").first).to_be_visible()


def test_on_a_phone_the_list_of_reports_is_not_cut_off(visit) -> None:
    page = visit("/predictions/reports")
    page.set_viewport_size({"width": 326, "height": 800})  # what the UI leaves of 390

    assert page.locator(".scroll").evaluate("list => list.scrollWidth - list.clientWidth") <= 1
    expect(page.get_by_text(" UTC").first).to_be_visible()


def test_a_task_without_a_report_says_so(visit) -> None:
    report = shown(visit(task_path("other")))

    expect(report.get_by_text("This task instance has recorded no report.")).to_be_visible()


def test_the_link_of_the_task_leads_to_the_page(visit, airflow: Airflow) -> None:
    page = visit(f"{task_path()}/details")

    page.get_by_role("link", name="Report", exact=True).click()

    pages = page.context.pages
    expect(pages[-1]).to_have_url(
        f"{airflow.url}/predictions/report/open_report/by_hand/report/-1/report.html"
    )
    expect(pages[-1].get_by_role("heading", level=1)).to_be_visible()


XCOM = "/dags/{dag_id}/dagRuns/by_hand/taskInstances/report/xcomEntries/" + KEY


@pytest.fixture
def record(airflow: Airflow) -> Iterator[dict[str, Any]]:
    """What the task has recorded; put back after the test, like the page."""
    path = XCOM.format(dag_id="open_report")
    value = airflow.get(path, deserialize=False, stringify=False)["value"]
    kept: dict[str, Any] = json.loads(value) if isinstance(value, str) else value
    folder = Path(kept["path"].removeprefix("file://"))
    files = {name: folder.joinpath(name).read_bytes() for name in kept["files"]}
    yield json.loads(json.dumps(kept))
    for name, content in files.items():
        folder.joinpath(name).write_bytes(content)
    forge(airflow, kept)


def forge(airflow: Airflow, record: dict[str, Any]) -> None:
    """Change an XCom, as users with the right to do so can."""
    airflow.patch(XCOM.format(dag_id="open_report"), {"value": record, "map_index": -1})


def test_a_page_that_was_changed_is_not_shown(visit, record: dict[str, Any]) -> None:
    page = Path(record["path"].removeprefix("file://"), "report.html")
    page.write_bytes(page.read_bytes() + b"<script>document.title = 'owned'</script>")

    report = shown(visit(task_path()))

    expect(report.get_by_text("It was replaced or changed.")).to_be_visible()


def test_a_record_that_leads_out_of_the_storage_shows_nothing(
    visit, airflow: Airflow, record: dict[str, Any], subtests
) -> None:
    for path, words in {
        f"{record['path']}/../../secret/by_hand": "is not a report",
        "file:///etc": "cannot be read from here",
        "http://127.0.0.1:9/": "is not a report",
        record["path"].replace("/open/", "/secret/"): "replaced or changed",
    }.items():
        with subtests.test(path=path):
            forge(airflow, record | {"path": path})
            expect(shown(visit(task_path())).get_by_text(words)).to_be_visible()


def test_links_of_a_page_download_tables_and_open_other_pages_in_tabs_of_their_own(
    visit, airflow: Airflow, record: dict[str, Any]
) -> None:
    links = b'<a href="table.csv">table</a> <a href="summary.json" target="_blank">summary</a>'
    files = {"report.html": links, "table.csv": b"id\n1\n", "summary.json": b"{}"}
    for name, content in files.items():
        Path(record["path"].removeprefix("file://"), name).write_bytes(content)
    forge(airflow, record | {"files": {name: hashed(content) for name, content in files.items()}})
    page = visit(task_path())
    report = shown(page)

    with page.expect_download() as started:
        report.get_by_role("link", name="table").click()
    with page.context.expect_page() as opened:
        report.get_by_role("link", name="summary").click()

    assert started.value.path().read_bytes() == files["table.csv"]
    expect(opened.value.get_by_text("{}")).to_be_visible()


def hashed(content: bytes) -> dict[str, Any]:
    """A file as a record holds it."""
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def test_a_script_does_not_run_even_where_storage_and_record_are_both_forged(
    visit, airflow: Airflow, record: dict[str, Any]
) -> None:
    Path(record["path"].removeprefix("file://"), "report.html").write_bytes(EVIL)
    forge(airflow, record | {"files": {"report.html": hashed(EVIL)}})
    page = visit(task_path())

    report = shown(page)
    expect(report.get_by_text("A page that holds a script.")).to_be_visible()
    report.locator("#go").click()
    report.get_by_role("button").click()
    # Meanwhile a refresh would have gone off.
    expect(shown(visit(task_path("other"))).get_by_role("heading", level=1)).to_be_visible()

    expect(report.get_by_text("A page that holds a script.")).to_be_visible()
    assert "owned" not in page.title()
    assert frame_of(page).url.startswith(airflow.url)
    alone = visit("/predictions/report/open_report/by_hand/report/-1/report.html")  # in no frame of ours
    expect(alone.get_by_text("A page that holds a script.")).to_be_visible()
    alone.locator("#go").click()
    assert alone.title() == "Evil"


def test_nothing_is_shown_when_reports_are_off(visit, airflow: Airflow) -> None:
    """The UI answers an address that it does not know with its own page."""
    off = "AIRFLOW__PREDICTIONS__REPORTS_UI"
    airflow.environment[off] = "False"
    try:
        airflow.kill("api-server")
        airflow.begin("api-server")
        airflow.until("healthy", airflow.is_healthy, 180)
        page = visit(task_path())
        expect(page.get_by_role("link", name="Details")).to_be_visible()
        expect(page.get_by_role("link", name="Prediction report")).to_have_count(0)
        body = page.request.get(f"{airflow.url}/predictions/reports").text()
        assert "Prediction reports" not in body
        assert 'id="root"' in body
    finally:
        del airflow.environment[off]
        airflow.kill("api-server")
        airflow.begin("api-server")
        airflow.until("healthy", airflow.is_healthy, 180)
