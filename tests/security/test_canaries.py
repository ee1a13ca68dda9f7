"""Everything that people do, with secrets that can be told apart: none is anywhere but where it must be."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from airflow.providers.common.compat.sdk import DAG, TaskDeferred
from stack import free_port

from airflow_provider_predictions.api.http.auth import sources
from airflow_provider_predictions.api.http.base_client import rate_limiters
from airflow_provider_predictions.hooks.cradl import CradlHook, CradlSettings
from airflow_provider_predictions.operators.cradl import (
    CradlListPredictionsOperator,
)
from airflow_provider_predictions.operators.report import PredictionsReportOperator
from tests.clock import SimulatedTime
from tests.compat import AIRFLOW, AirflowRescheduleException, DagSerialization, Rescheduled
from tests.faults import Fault, FaultySandbox
from tests.given import DONE, HOOK, LAND, LIST, WAIT, WATCH, connect, on_machine
from tests.instant import Waits, instant
from tests.security.canaries import (
    API_KEY,
    CLIENT_SECRET,
    Disguise,
    Echo,
    Evidence,
    everything_logs_to,
)

PASSWORD = {"vlmrun": API_KEY, "cradl": CLIENT_SECRET}


@pytest.fixture(scope="module")
def server() -> Iterator[FaultySandbox]:
    with FaultySandbox() as sandbox:
        sandbox.wire.app = Disguise(sandbox.wire.app)
        yield sandbox


@pytest.fixture
def disguise(
    server: FaultySandbox, simulated_time: SimulatedTime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Disguise:
    """The sandbox with canaries for secrets, behind the default connections."""
    disguise: Disguise = server.wire.app
    disguise.echo.clear()
    server.wire.clear()
    for record_store in (server.vlmrun, server.cradl):
        record_store.clear()
        record_store.fill(25, moving=1)
    for service, password in PASSWORD.items():
        connect(monkeypatch, server.connection(service, password=password), f"{service}_default")
    on_machine(monkeypatch, tmp_path / "worker")
    return disguise


@pytest.fixture
def evidence(server: FaultySandbox, disguise: Disguise, capfd, tmp_path: Path) -> Iterator[Evidence]:
    """All that a test produces; in the end no canary is in it, but where it is allowed."""
    evidence = Evidence(server, disguise)
    with everything_logs_to(evidence):
        yield evidence
    evidence.note("printed", *capfd.readouterr())
    evidence.note_files(tmp_path)
    evidence.note_requests()
    assert len([where for where, _ in evidence.texts if where.startswith("request")]) > 1
    assert evidence.found() == set()


@pytest.fixture
def paged(service_name: str, evidence: Evidence) -> Iterator[str]:
    """A service, by a list of more than one page; of Cradl, with a token for each."""
    yield service_name
    assert service_name == "vlmrun" or (evidence.page_tokens() and evidence.disguise.tokens)


def done(service_name: str, server: FaultySandbox) -> None:
    """Let the prediction that moves be finished."""
    getattr(server, service_name).rows[0].work = 0


def event_of(trigger: Any, evidence: Evidence) -> Any:
    """What a trigger fires with; all that crosses the database is noted."""
    evidence.note("serialized trigger", trigger.serialize())

    async def fire() -> Any:
        return await asyncio.wait_for(anext(trigger.run()), 3600)

    payload = asyncio.run(fire()).payload
    evidence.note("event", payload)
    return payload


# --- what people do ----------------------------------------------------------------------------------


def test_a_list(paged: str, evidence: Evidence) -> None:
    task = LIST[paged](task_id="t", page_size=5)
    evidence.allow("signature", "XCom of a list")

    evidence.note("XCom of a list", task.execute({}))
    evidence.note("task", {name: getattr(task, name) for name in task.template_fields}, vars(task))


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"compression": "gzip"},
        {"compression": "zstd"},
        {"file_format": "parquet"},
        {"prefetch": 3},
        {"incremental": True},
    ],
    ids=["jsonl", "gzip", "zstd", "parquet", "prefetch", "incremental"],
)
def test_a_landing(paged: str, evidence: Evidence, tmp_path: Path, arguments: dict) -> None:
    evidence.allow("signature", "part-")

    for _ in range(2):
        task = LAND[paged](
            task_id="t", path=f"file://{tmp_path}/landed", page_size=5, records_per_part=9, **arguments
        )
        evidence.note("XCom", task.execute({}))
        evidence.note("task", {name: getattr(task, name) for name in task.template_fields}, vars(task))
        if find_spec("airflow.providers.openlineage"):
            evidence.note("lineage", task.get_openlineage_facets_on_complete(None))


@pytest.mark.parametrize("prefetch", [1, 4])
def test_a_landing_with_the_values_of_files(evidence: Evidence, server, tmp_path: Path, prefetch) -> None:
    evidence.allow("signature", "part-")
    task = LAND["cradl"](
        task_id="t", path=f"file://{tmp_path}/landed", page_size=5, fetch_values=True, prefetch=prefetch
    )

    evidence.note("XCom", task.execute({}))

    assert any("X-Signature" in seen.query for seen in server.wire.seen if seen.part == "files")


def test_a_report(paged: str, evidence: Evidence, tmp_path: Path) -> None:
    evidence.allow("signature", "part-")
    LAND[paged](task_id="t", path=f"file://{tmp_path}/landed", page_size=5).execute({})
    now = datetime.now(UTC)
    task = PredictionsReportOperator(
        task_id="r",
        source=f"file://{tmp_path}/landed",
        path=f"file://{tmp_path}/report",
        period=(now - timedelta(days=40), now + timedelta(days=1)),
    )

    evidence.note("XCom", task.execute({}))

    assert (tmp_path / "report/report.html").exists()


@pytest.mark.parametrize("mode", ["poke", "reschedule", "deferred"])
def test_a_wait(
    request: pytest.FixtureRequest, paged: str, evidence: Evidence, server: FaultySandbox, mode: str
) -> None:
    if mode == "reschedule" and AIRFLOW < (3, 0):
        request.getfixturevalue("airflow_db")
    arguments = {"deferrable": True} if mode == "deferred" else {"mode": mode}
    sensor = WAIT[paged](task_id="t", timeout=3600, page_size=5, fail_on=(), **arguments)
    context = Rescheduled().context if mode == "reschedule" else {}
    getattr(server, paged).rows[0].work = 0 if mode == "poke" else 1e6
    try:
        evidence.note("XCom", sensor.execute(context))
    except AirflowRescheduleException as again:
        evidence.note("reschedule", again)
        done(paged, server)
        evidence.note("XCom", sensor.execute(context))
    except TaskDeferred as deferred:
        evidence.note("deferral", deferred)
        done(paged, server)
        event = event_of(deferred.trigger, evidence)
        evidence.note("XCom", sensor.resume_execution(deferred.method_name, {"event": event}, {}))
    evidence.note("task", vars(sensor))


@pytest.mark.skipif(AIRFLOW < (3, 0), reason="asset watchers: from Airflow 3.0 on")
def test_a_watch(paged: str, evidence: Evidence, server: FaultySandbox) -> None:
    values: dict[str, Any] = {}

    class Store:
        async def aget(self, key: str, default: Any = None) -> Any:
            return values.get(key, default)

        async def aset(self, key: str, value: Any) -> None:
            values[key] = value

    trigger = WATCH[paged](page_size=5, max_age=90 * 86_400)
    trigger.asset_state_store = type("Stores", (), {"_by_name": {"finished": Store()}})()
    record = getattr(server, paged).rows[0]
    record.outcome = DONE[paged]
    record.work = (datetime.now(UTC) - record.created).total_seconds() + 90

    payload = event_of(trigger, evidence)

    assert payload["ids"] == [record.id]
    evidence.note("state of an asset", values)


def test_the_test_of_a_connection(service_name: str, evidence: Evidence) -> None:
    hook = HOOK[service_name]()

    good, message = hook.test_connection()
    evidence.note("message", message)
    evidence.note("message", asyncio.run(hook.atest_connection()))

    assert good


def test_what_objects_say_of_themselves(service_name: str, evidence: Evidence, disguise: Disguise) -> None:
    hook = HOOK[service_name]()
    with hook.get_conn() as client:
        paginator = client.service.paginator(hook.filters(page_size=5))
        page = next(client.pages(paginator))
        auth = client.service.auth
        evidence.note("hook", hook, vars(hook))
        evidence.note("objects", client, client.service, auth, paginator, type(page))
        evidence.note("objects", getattr(auth, "_source", None), sources, rate_limiters)

    async def in_a_loop() -> None:
        async with await hook.aget_conn() as client:
            evidence.note("objects", client, client.service)
            async for _ in client.pages(client.service.paginator(hook.filters(page_size=5))):
                pass

    asyncio.run(in_a_loop())


def test_a_serialized_dag(evidence: Evidence, service_name: str, tmp_path: Path) -> None:
    with DAG("canaries", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        LIST[service_name](task_id="list").execute({})
        landing = LAND[service_name](task_id="land", path=f"file://{tmp_path}/landed")
        landing.execute({})
        WAIT[service_name](task_id="wait", deferrable=True)
        PredictionsReportOperator(task_id="report", source=landing.output, path="/tmp/report")
    evidence.allow("signature", "part-")

    evidence.note("serialized DAG", DagSerialization.to_dict(dag))


# --- what goes wrong ---------------------------------------------------------------------------------


def everything(service_name: str, evidence: Evidence, tmp_path: Path) -> None:
    """Use a connection in each way, and note how that ends."""
    evidence.allow("signature", "part-", "spool", "journal", "_checkpoint", "XCom of a list")
    # They go on where a page names the next.
    evidence.allow("page token", "journal", "_checkpoint")
    name, hook = service_name, HOOK[service_name](attempts=1)
    with evidence.of_failure("hook"):
        list(hook.iter_pages(page_size=5))
    with evidence.of_failure("hook"):
        hook.get_prediction("some-id")

    async def in_a_loop() -> None:
        async for _ in hook.aiter_pages(page_size=5):
            pass

    with evidence.of_failure("asynchronous hook"):
        asyncio.run(in_a_loop())
    with evidence.of_failure("list"):
        evidence.note("XCom of a list", LIST[name](task_id="t", page_size=5).execute({}))
    with evidence.of_failure("landing"):
        LAND[name](task_id="t", path=f"file://{tmp_path}/landed", page_size=5, records_per_part=7).execute({})
    with evidence.of_failure("wait"):
        WAIT[name](task_id="t", timeout=3600, max_failures=2, page_size=5).execute({})
    with evidence.of_failure("trigger"):
        wait = {"filters": {"page_size": 5}}
        trigger = WAIT[name].trigger_class(
            conn_id=hook.conn_id, poke_interval=60, wait=wait, max_failures=2, deadline=time.time() + 3600
        )
        event_of(trigger, evidence)
    evidence.note("message", hook.test_connection())


@pytest.mark.parametrize("later", [False, True], ids=["first", "later"])
@pytest.mark.parametrize("status", [302, 400, 401, 403, 422])
def test_a_refusal_that_quotes_the_request(
    service_name: str, evidence: Evidence, tmp_path: Path, status: int, later: bool
) -> None:
    evidence.disguise.echo[f"/{service_name}/v1/predictions"] = Echo(status, later)

    everything(service_name, evidence, tmp_path)


@pytest.mark.parametrize("status", [200, 500])
def test_a_failure_that_quotes_the_request_and_passes(
    service_name: str, evidence: Evidence, tmp_path: Path, status: int
) -> None:
    evidence.allow("signature", "part-", "XCom")
    path, landed = f"/{service_name}/v1/predictions", f"file://{tmp_path}/landed"
    evidence.disguise.echo[path] = Echo(status, later=True, times=1)
    with evidence.of_failure("list"):
        task = instant(LIST[service_name], Waits())(task_id="t", page_size=5)
        evidence.note("XCom", task.execute({}))
    evidence.disguise.echo[path] = Echo(status, later=True, times=1)
    with evidence.of_failure("landing"):
        instant(LAND[service_name], Waits())(task_id="t", path=landed, page_size=5).execute({})


@pytest.mark.parametrize("status", [302, 400, 401, 500, 200])
def test_a_token_endpoint_that_quotes_the_secret(evidence: Evidence, status: int) -> None:
    evidence.disguise.echo["/oauth2/"] = Echo(status)
    hook = CradlHook(attempts=1)

    with evidence.of_failure("hook"):
        list(hook.iter_pages())
    with evidence.of_failure("list"):
        CradlListPredictionsOperator(task_id="t").execute({}) if status not in (200, 500) else None
    evidence.note("message", hook.test_connection())


@pytest.mark.parametrize("status", [302, 403, 404])
def test_a_file_that_is_refused(evidence: Evidence, tmp_path: Path, status: int) -> None:
    evidence.allow("signature", "part-", "rejected", "journal", "_checkpoint")
    evidence.disguise.echo["/files/"] = Echo(status)

    landing = LAND["cradl"](task_id="t", path=f"file://{tmp_path}/landed", fetch_values=True)
    manifest = landing.execute({})

    assert manifest["values_missing"] == manifest["statuses"]["succeeded"]
    evidence.note("landing", manifest)
    assert any(where == "landing" for where, _ in evidence.texts)


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 200, "body": b"<html>"},
        {"status": 200, "body": b'{"predictions": 7, "nextToken": 7}'},
        {"how": "reset"},
        {"how": "truncate"},
        {"how": "play", "script": (60.0,)},
        {"how": "play", "script": (b"HTTP/1.1 200 OK\r\nno header\r\n\r\n{}",)},
        {"how": "play", "script": (b"nonsense\r\n\r\n",)},
    ],
    ids=["HTML", "other JSON", "reset", "truncated", "timeout", "malformed header", "no HTTP"],
)
def test_an_answer_that_is_none(
    service_name: str, evidence: Evidence, server: FaultySandbox, monkeypatch, tmp_path: Path, fault: dict
) -> None:
    given = server.connection(service_name, password=PASSWORD[service_name])
    given["extra"] = given.get("extra", {}) | {"timeout": 0.1 if fault.get("script") == (60.0,) else 60}
    connect(monkeypatch, given, f"{service_name}_default")
    hook = HOOK[service_name](attempts=1)
    for _ in range(2):
        server.wire.order(Fault(service_name, after=2, **fault))
        with evidence.of_failure("hook"):
            list(hook.iter_pages(page_size=5))

    async def in_a_loop() -> None:
        async for _ in hook.aiter_pages(page_size=5):
            pass

    server.wire.order(Fault(service_name, after=2, **fault))
    with evidence.of_failure("asynchronous hook"):
        asyncio.run(in_a_loop())


def test_a_host_that_is_not_there(service_name: str, evidence: Evidence, server, monkeypatch) -> None:
    list(HOOK[service_name]().iter_pages())  # so that there is a token
    for host in (f"http://127.0.0.1:{free_port()}/v1", "https://nowhere.invalid/v1"):
        given = server.connection(service_name, password=PASSWORD[service_name], host=host)
        connect(monkeypatch, given)
        evidence.note("message", HOOK[service_name]("mine").test_connection())


@pytest.mark.parametrize("place", ["host", "user", "query", "port", "login"])
def test_a_secret_in_the_wrong_field(
    service_name: str, evidence: Evidence, server: FaultySandbox, monkeypatch, place: str
) -> None:
    secret = PASSWORD[service_name]
    safe = quote(secret, safe="")
    fields = {
        "host": {"host": secret},
        "user": {"host": f"https://{safe}:{safe}@127.0.0.1/v1"},
        "query": {"host": f"https://127.0.0.1/v1?key={safe}"},
        "port": {"host": f"https://127.0.0.1:{safe}/v1"},
        "login": {"login": secret, "password": ""},
    }[place]
    HOOK[service_name]().test_connection()
    connect(monkeypatch, server.connection(service_name, **fields))
    hook = HOOK[service_name]("mine")

    with evidence.of_failure("hook"):
        list(hook.iter_pages())
    good, message = hook.test_connection()
    evidence.note("message", message)

    assert not good


@pytest.mark.parametrize("name", [*CradlSettings.model_fields, "verify"])
def test_a_secret_in_the_wrong_extra(
    evidence: Evidence, server: FaultySandbox, monkeypatch, name: str
) -> None:
    given = server.connection("cradl", password=CLIENT_SECRET)
    for value in (CLIENT_SECRET, [CLIENT_SECRET], {"secret": CLIENT_SECRET}):
        given["extra"][name] = value
        connect(monkeypatch, given)
        with evidence.of_failure("hook"):
            CradlHook("mine").get_conn()
    CradlHook().test_connection()


def test_more_than_xcom_takes(service_name: str, evidence: Evidence) -> None:
    with evidence.of_failure("list"):
        LIST[service_name](task_id="t", page_size=5, max_xcom_bytes=3000).execute({})

    assert any(where == "list" for where, _ in evidence.texts)
