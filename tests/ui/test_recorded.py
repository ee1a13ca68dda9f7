"""Which files of reports the API server shows, to whom: the plugin's app without a browser."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_predictions.operators.report_record import KEY
from airflow_provider_predictions.ui import recorded
from tests.compat import needs_reports_in_the_ui

SECRET_DAG = "secret_report"

RUN = "manual__2026-11-27T06:00:00+00:00"
PAGE = b"<!doctype html><title>Normal.</title><h1>Normal.</h1>"
CSV = b"id,message\npred-1,broken\n"
FILES = {"report.html": PAGE, "failures.csv": CSV, "summary.json": b"{}"}


class Reports:
    """Task instances with reports, in a metadata database and on a disk of the test's own."""

    def __init__(self, folder: Path, sessions: Any) -> None:
        self.folder = folder
        self.sessions = sessions
        self.minute = 0

    def write(self, dag_id: str = "open_report", run_id: str = RUN, **changes: Any) -> dict[str, Any]:
        """Write a report as the operator does, and record it.

        :param changes: members of the record that are to have other values.
        :return: the record.
        """
        task_id, index = changes.pop("task_id", "report"), changes.pop("map_index", -1)
        path = self.folder / "reports" / dag_id / run_id / task_id / str(index)
        path.mkdir(parents=True)
        for name, content in FILES.items():
            path.joinpath(name).write_bytes(content)
        manifest = {"recorded_by": [dag_id, run_id, task_id, index], "complete": True}
        path.joinpath("_manifest.json").write_text(json.dumps(manifest))
        record = {
            "version": 1,
            "path": f"file://{path}",
            "files": {
                name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
                for name, content in FILES.items()
            },
            "title": "Invoices",
            "state": "normal",
            "verdict": "Normal.",
        } | changes
        self.record(record, dag_id, run_id, task_id, index)
        return record

    def record(
        self,
        value: Any,
        dag_id: str = "open_report",
        run_id: str = RUN,
        task_id: str = "report",
        index: int = -1,
    ) -> None:
        """Put a value where the task's record is, or replace it."""
        from airflow.models.dagrun import DagRun
        from airflow.models.xcom import XComModel

        self.minute += 1
        moment = datetime(2026, 11, 27, 6, tzinfo=UTC) + timedelta(minutes=self.minute)
        with self.sessions.begin() as session:
            run = session.query(DagRun).filter_by(dag_id=dag_id, run_id=run_id).one_or_none()
            if run is None:
                run = DagRun(dag_id, run_id, run_type="manual", state="success", run_after=moment)
                session.add(run)
                session.flush()
            key = {
                "dag_run_id": run.id,
                "dag_id": dag_id,
                "run_id": run_id,
                "task_id": task_id,
                "map_index": index,
            }
            session.query(XComModel).filter_by(**key, key=KEY).delete()
            session.add(XComModel(**key, key=KEY, value=value, timestamp=moment))


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A metadata database with its tables, without foreign keys, so that tasks need no DAG."""
    needs_reports_in_the_ui()
    import sqlalchemy
    from airflow.models import import_all_models
    from airflow.models.base import Base
    from sqlalchemy.orm import sessionmaker

    import_all_models()
    file = tmp_path_factory.mktemp("database") / "airflow.db"
    engine = sqlalchemy.create_engine(f"sqlite:///{file}", connect_args={"check_same_thread": False})
    Base.metadata.create_all(engine)
    return sessionmaker(engine)


@pytest.fixture
def reports(sessions: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reports]:
    from airflow import settings
    from airflow.models.dagrun import DagRun
    from airflow.models.xcom import XComModel

    monkeypatch.setattr(settings, "Session", sessions)
    monkeypatch.setattr(settings, "NonScopedSession", sessions)
    yield Reports(tmp_path, sessions)
    with sessions.begin() as session:
        session.query(XComModel).delete()
        session.query(DagRun).delete()


@pytest.fixture
def get(reports: Reports, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Ask the app as a user, with the cookie that the login sets."""
    for name, value in {
        "AIRFLOW__CORE__AUTH_MANAGER": "tests.ui.per_dag.PerDagAuthManager",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,viewer:viewer,blind:viewer",
        "AIRFLOW__API_AUTH__JWT_SECRET": "a secret of the tests, " * 3,
    }.items():
        monkeypatch.setenv(name, value)
    from airflow.api_fastapi.app import get_auth_manager, init_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from fastapi.testclient import TestClient

    from airflow_provider_predictions.ui.app import app

    init_auth_manager()

    def get(path: str, user: str | None = "viewer") -> Any:
        cookies = {}
        if user:
            role = "admin" if user == "admin" else "viewer"
            cookies["_token"] = get_auth_manager().generate_jwt(
                SimpleAuthManagerUser(username=user, role=role)
            )
        return TestClient(app, cookies=cookies).get(path)

    return get


def url(name: str = "report.html", dag_id: str = "open_report", run_id: str = RUN, index: Any = -1) -> str:
    return f"/report/{dag_id}/{run_id.replace('+', '%2B')}/report/{index}/{name}"


def test_a_report_is_shown_as_its_task_wrote_it(reports: Reports, get) -> None:
    reports.write()

    page, table, summary = get(url()), get(url("failures.csv")), get(url("summary.json"))

    assert [page.status_code, page.content] == [200, PAGE]
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert [table.content, table.headers["content-type"]] == [CSV, "text/csv; charset=utf-8"]
    assert summary.headers["content-type"].startswith("application/json")


def test_nothing_in_a_page_may_run_load_or_send(reports: Reports, get) -> None:
    reports.write()

    for name in (url(), url("failures.csv"), url("absent.csv"), "/reports"):
        headers = get(name).headers
        rules = {rule.partition(" ")[0]: rule for rule in headers["content-security-policy"].split("; ")}
        assert rules["default-src"] == "default-src 'none'"
        assert rules["form-action"] == "form-action 'none'"
        assert "sandbox" in rules
        assert "allow-scripts" not in headers["content-security-policy"]
        assert "script-src" not in rules
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "private, no-store"


def test_a_mapped_task_has_a_report_for_each_index(reports: Reports, get) -> None:
    reports.write(map_index=0)
    reports.write(map_index=1)

    assert [get(url(index=index)).status_code for index in (0, 1, 2, -1)] == [200, 200, 404, 404]


def test_the_ui_s_placeholder_means_a_task_that_is_not_mapped(reports: Reports, get) -> None:
    reports.write()

    assert get(url(index="%7BMAP_INDEX%7D")).status_code == 200


def test_a_run_id_may_hold_a_slash(reports: Reports, get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__SCHEDULER__ALLOWED_RUN_ID_PATTERN", ".*")
    reports.write(run_id="by/hand")

    assert get(url(run_id="by%2Fhand")).status_code == 200


PATHS = [url(), url("failures.csv"), "/reports", "/tab.js", "/icon.svg", "/icon-dark.svg", "/nowhere"]


def test_nobody_sees_anything_without_signing_in(reports: Reports, get, subtests) -> None:
    reports.write()

    for path in PATHS[:-1]:
        with subtests.test(path=path):
            assert get(path, None).status_code == 401
    for path in ("/docs", "/redoc", "/openapi.json"):
        with subtests.test(path=path):
            assert get(path, "admin").status_code == 404


def test_a_user_sees_reports_of_dags_whose_xcoms_they_may_see(reports: Reports, get) -> None:
    reports.write()
    reports.write(SECRET_DAG)

    hidden = {user: get(url(dag_id=SECRET_DAG), user).status_code for user in ("admin", "viewer", "blind")}

    assert hidden == {"admin": 200, "viewer": 403, "blind": 403}
    assert SECRET_DAG in get("/reports", "admin").text
    assert SECRET_DAG not in get("/reports").text
    assert "open_report" in get("/reports").text
    assert "There are none that you may see" in get("/reports", "blind").text
    assert get(url("absent.csv", SECRET_DAG)).status_code == 403  # not even whether there is one


def test_a_record_with_characters_that_no_page_can_hold_hides_no_other(reports: Reports, get) -> None:
    reports.write(task_id="odd", title="half \ud83d", verdict="\udc00 of a pair")
    reports.write(task_id="report", title="Invoices of the north")

    response = get("reports")

    assert response.status_code == 200
    assert "Invoices of the north" in response.text
    assert "half ?" in response.text
    assert "? of a pair" in response.text


def test_the_list_has_the_newest_report_of_each_task_with_its_verdict(reports: Reports, get) -> None:
    reports.write(run_id="old", verdict="Old news.")
    reports.write(run_id="new", verdict="Look at <script>alert(1)</script> & receipts.", state="look")
    reports.write("other", verdict="Normal.", title="x" * 1000)

    page = get("/reports").text

    assert "Old news." not in page
    assert "Look at &lt;script&gt;alert(1)&lt;/script&gt; &amp; receipts." in page
    assert page.index("Normal.") < page.index("Look at")  # the newest first
    assert 'href="report/open_report/new/report/-1/report.html"' in page
    assert "x" * 301 not in page


def test_a_limited_list_hides_no_report_behind_those_of_others(
    reports: Reports, get, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_predictions.ui import app

    monkeypatch.setattr(app, "MAX_REPORTS", 1)
    reports.write()
    reports.write(SECRET_DAG)

    assert "open_report" in get("/reports").text


def test_a_task_without_a_report_says_so(reports: Reports, get) -> None:
    answer = get(url())

    assert answer.status_code == 404
    assert "This task instance has recorded no report." in answer.text


def refused(answer: Any, status: int, words: str) -> None:
    assert answer.status_code == status, answer.text
    assert words in answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert PAGE not in answer.content


CHANGED = "It was replaced or changed."
NO_RECORD = "is not a report"


def test_a_page_that_was_changed_is_not_shown(reports: Reports, get) -> None:
    path = Path(reports.write()["path"].removeprefix("file://"))
    path.joinpath("report.html").write_bytes(PAGE + b"<script>alert(1)</script>")

    refused(get(url()), 409, CHANGED)
    assert get(url("failures.csv")).content == CSV


def test_a_record_of_another_task_s_report_shows_nothing(reports: Reports, get) -> None:
    """Even with the right hashes: whoever may write XComs of a DAG gets at no other."""
    reports.record(reports.write(SECRET_DAG))

    refused(get(url()), 409, CHANGED)


def test_a_record_of_another_run_s_report_shows_nothing(reports: Reports, get) -> None:
    reports.record(reports.write(run_id="other"))

    refused(get(url()), 409, CHANGED)


@pytest.mark.parametrize(
    "path",
    [
        "file://{folder}/reports/../reports/x",
        "{folder}/reports/..",
        "reports/x",
        "",
        "http://127.0.0.1:9/",
        "https://example.com/reports",
        "ftp://example.com/reports",
        "memory://reports",
        "github://reports",
        "s3://bucket/x::http://127.0.0.1:9/",
        "file://{folder}/x::http://127.0.0.1:9/",
        "simplecache::http://127.0.0.1:9/",
        "file://{folder}/x.zip::local",
        "zip://x::file://{folder}/x.zip",
    ],
)
def test_a_record_that_leads_elsewhere_is_refused_before_anything_is_read(
    reports: Reports, get, path: str
) -> None:
    reports.write(path=path.format(folder=reports.folder))

    refused(get(url()), 409, NO_RECORD)


@pytest.mark.parametrize(
    "path", ["file:///etc", "file:///proc/self", "/etc", "file:///nowhere", "file:///dev/null"]
)
def test_a_record_of_a_directory_without_a_report_shows_nothing(reports: Reports, get, path: str) -> None:
    reports.write(path=path)

    answer = get(url())

    refused(answer, 404, "The report cannot be read from here. It is on the disk of a worker.")
    assert path not in answer.text


@pytest.mark.parametrize(
    "name", ["_manifest.json", "..%2Fsecret.csv", "..", "report.html%00", "REPORT.HTML", "x.html", ".csv"]
)
def test_only_files_of_reports_have_an_address(reports: Reports, get, name: str) -> None:
    record = reports.write()
    record["files"] |= {name: record["files"]["report.html"]}
    reports.record(record)

    assert get(url(name)).status_code == 404


@pytest.mark.parametrize(
    "value",
    [
        None,
        "nothing",
        "s3://xcom/open_report/report/record",
        [],
        {},
        {"version": 2, "path": "file:///x", "files": {}},
        {"version": 1, "path": "file:///x", "files": []},
        {"version": 1, "path": 1, "files": {}},
        {"version": 1, "path": "file:///x", "files": {"report.html": {"bytes": "1", "sha256": ""}}},
        "[" * 100_000,
        '{"__classname__": "pathlib.PurePath", "__version__": 1, "__data__": "x"}',
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_no_record_is_neither_shown_nor_listed(reports: Reports, get, value: Any) -> None:
    reports.record(value)

    assert get(url()).status_code == 404
    assert get("/reports").status_code == 200
    assert "open_report" not in get("/reports").text


def test_a_record_that_the_database_holds_as_text_is_read(reports: Reports, get) -> None:
    reports.record(json.dumps(reports.write()))

    assert get(url()).content == PAGE


def test_a_large_file_is_not_read(reports: Reports, get, monkeypatch: pytest.MonkeyPatch) -> None:
    record = reports.write()
    record["files"]["failures.csv"]["bytes"] = 21 << 20
    reports.record(record)

    refused(get(url("failures.csv")), 413, "failures.csv has 21 MB. Airflow shows at most 8 MB.")
    assert get(url()).status_code == 200


def test_a_file_that_is_larger_than_recorded_is_read_no_further(reports: Reports, get) -> None:
    path = Path(reports.write()["path"].removeprefix("file://"))
    with path.joinpath("report.html").open("ab") as page:
        page.truncate(recorded.MAX_SHOWN_BYTES + 1)

    refused(get(url()), 404, "cannot be read from here")


@pytest.mark.parametrize("manifest", ["", "[]", "null", '{"recorded_by": null}', "[" * 100_000])
def test_a_manifest_that_names_no_task_shows_nothing(reports: Reports, get, manifest: str) -> None:
    path = Path(reports.write()["path"].removeprefix("file://"))
    path.joinpath("_manifest.json").write_text(manifest)

    assert get(url()).status_code in (404, 409)


@pytest.mark.parametrize(
    ("roots", "status"),
    [
        ("", 200),
        (" , ", 200),
        ("file://{folder}/reports", 200),
        ("{folder}/reports/", 200),
        ("s3://bucket/x, file://{folder}/reports", 200),
        ("file://{folder}/report", 409),
        ("s3://bucket/x", 409),
    ],
)
def test_reports_are_read_below_their_roots(
    reports: Reports, get, monkeypatch: pytest.MonkeyPatch, roots: str, status: int
) -> None:
    monkeypatch.setenv("AIRFLOW__PREDICTIONS__REPORT_ROOTS", roots.format(folder=reports.folder))
    reports.write()

    assert get(url()).status_code == status


def test_a_link_does_not_lead_out_of_a_root(reports: Reports, get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__PREDICTIONS__REPORT_ROOTS", f"file://{reports.folder}/allowed")
    path = reports.write()["path"].removeprefix("file://")
    reports.folder.joinpath("allowed").mkdir()
    reports.folder.joinpath("allowed/link").symlink_to(path)
    reports.record(reports.write(run_id="linked") | {"path": f"file://{reports.folder}/allowed/link"})

    refused(get(url()), 409, "outside of the setting report_roots")
