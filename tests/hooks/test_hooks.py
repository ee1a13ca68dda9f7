"""From a connection to a client, and the errors for wrong connections."""

from __future__ import annotations

import asyncio
import json
import math
from datetime import UTC, date, datetime
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException, Connection
from pydantic import BaseModel
from stack import free_port

from airflow_provider_predictions.api.cradl import Cradl, CradlPrediction
from airflow_provider_predictions.api.errors import ConfigurationError, MalformedAnswerError, NotFoundError
from airflow_provider_predictions.api.models import Prediction
from airflow_provider_predictions.api.vlmrun import VlmRun, VlmRunPrediction
from airflow_provider_predictions.hooks.base import PredictionsHook
from airflow_provider_predictions.hooks.cradl import CradlHook
from airflow_provider_predictions.hooks.vlmrun import VlmRunHook
from airflow_provider_predictions.sandbox.server import Sandbox
from airflow_provider_predictions.sandbox.store import RecordStore
from tests.compat import AIRFLOW
from tests.faults import Fault
from tests.given import HOOK, bare, connect


@pytest.fixture
def hook(connections: Sandbox, service_name: str) -> PredictionsHook:
    return HOOK[service_name]()


def hook_of(monkeypatch: pytest.MonkeyPatch, service: str, **fields: object) -> PredictionsHook:
    connect(monkeypatch, bare(service, **fields))
    return HOOK[service]("mine")


def built(hook: PredictionsHook) -> VlmRun | Cradl:
    with hook.get_conn() as client:
        return client.service


def test_a_connection_needs_credentials_only(monkeypatch: pytest.MonkeyPatch) -> None:
    vlmrun, cradl = built(hook_of(monkeypatch, "vlmrun")), built(hook_of(monkeypatch, "cradl"))

    assert vlmrun.base_url == "https://api.vlm.run/v1"
    assert cradl.base_url == "https://api.cradl.ai/v1"
    assert cradl.auth.auth_url == "https://auth.cradl.ai/oauth2/token"
    assert cradl.auth.audience == "https://api.cradl.ai/v1"
    assert cradl.file_hosts == ("files.api.cradl.ai",)


def test_fields_that_the_form_left_empty_count_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"timeout": None, "requests_per_minute": None, "dashboard_url": "", "audience": None}

    assert built(hook_of(monkeypatch, "cradl", extra=extra)).timeout == 60


NOT_GIVEN = (None, "", "None", "null")
BLANK = (" ", "\t", "\n")


@pytest.mark.parametrize("service", HOOK)
def test_each_extra_that_stands_for_nothing_has_its_default(service: str, subtests: pytest.Subtests) -> None:
    settings = HOOK[service].settings_class
    for name in settings.model_fields:
        for nothing in NOT_GIVEN:
            with subtests.test(name=name, nothing=nothing):
                assert (
                    HOOK[service].settings(SimpleNamespace(extra=json.dumps({name: nothing}))) == settings()
                )
        for blank in BLANK:
            with (
                subtests.test(name=name, blank=blank),
                pytest.raises(ConfigurationError, match=f"^extra {name}: "),
            ):
                HOOK[service].settings(SimpleNamespace(extra=json.dumps({name: blank})))


@pytest.mark.parametrize("extra", [None, "", "null", "None", "{}"])
def test_an_extra_field_that_stands_for_nothing_is_empty(extra: str | None) -> None:
    settings = HOOK["cradl"].settings_class

    assert HOOK["cradl"].settings(SimpleNamespace(extra=extra)) == settings()


def test_extras_reach_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"timeout": "7.5", "requests_per_minute": 10, "audience": "mine", "file_hosts": "a.org, b.org"}

    service = built(hook_of(monkeypatch, "cradl", extra=extra, host="https://eu.cradl.example/v2/"))

    assert (service.timeout, service.requests_per_minute) == (7.5, 10)
    assert (service.auth.audience, service.file_hosts) == ("mine", ("a.org", "b.org"))
    assert service.base_url == "https://eu.cradl.example/v2"


@pytest.mark.parametrize(
    ("hosts", "found"),
    [
        ("LOCALHOST", ("localhost",)),
        ('["A.org", "b.org."]', ("a.org", "b.org")),
        ("['a.org']", ("a.org",)),
        (["127.0.0.1", "[::1]"], ("127.0.0.1", "::1")),
        ("[::1]", ("::1",)),
        ("[FE80::1], a.org", ("a.org", "fe80::1")),
        ("['::1', '[2001:db8::1]']", ("2001:db8::1", "::1")),
        ([], ()),
    ],
)
def test_file_hosts_are_read_as_a_url_names_them(
    monkeypatch: pytest.MonkeyPatch, hosts: object, found: tuple[str, ...]
) -> None:
    assert built(hook_of(monkeypatch, "cradl", extra={"file_hosts": hosts})).file_hosts == found


def test_extras_come_with_a_prefix_from_the_test_button_of_airflow_2(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"timeout": "7.5", "extra__cradl__timeout": "7.5", "extra__cradl__audience": "mine"}

    service = built(hook_of(monkeypatch, "cradl", extra=extra))

    assert (service.timeout, service.auth.audience) == (7.5, "mine")


@pytest.mark.parametrize("port", [8765, "8765"])
def test_the_port_field_completes_a_url_without_one(port: int | str) -> None:
    """A secrets backend may give text."""
    conn = Connection(
        conn_id="mine", conn_type="vlmrun", password="hush", host="http://localhost/v1", port=port
    )

    assert VlmRunHook.service(conn).base_url == "http://localhost:8765/v1"


@pytest.mark.parametrize("schema", [None, "", "https", "http"])
def test_a_schema_that_is_none_or_a_scheme_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, schema: str | None
) -> None:
    hook = hook_of(monkeypatch, "vlmrun", host="https://api.vlm.run/v1", schema=schema)

    assert built(hook).base_url == "https://api.vlm.run/v1"


@pytest.mark.parametrize(
    ("service", "fields", "words"),
    [
        ("vlmrun", {"password": ""}, "API key (password): is empty"),
        ("vlmrun", {"password": "  "}, "API key (password): is empty"),
        ("vlmrun", {"password": "hush\nhush"}, "API key (password): holds a line break"),
        ("vlmrun", {"password": "hûsh"}, "API key (password): holds"),
        ("cradl", {"login": ""}, "Client id (login): is empty"),
        ("cradl", {"password": None}, "Client secret (password): is empty"),
        ("vlmrun", {"host": "https:///v1"}, "Base URL (host): has no host"),
        ("vlmrun", {"host": "https://api. vlm.run/v1"}, "Base URL (host): holds a space"),
        ("vlmrun", {"host": "/v1"}, "Base URL (host): has no host"),
        ("vlmrun", {"host": "api.vlm.run/v1"}, "Base URL (host): has no host"),
        ("vlmrun", {"host": "http://api.vlm.run/v1"}, "Base URL (host): must start with https"),
        ("vlmrun", {"host": "ftp://api.vlm.run/v1"}, "Base URL (host): must start with https"),
        ("vlmrun", {"host": "https://me:hush@api.vlm.run/v1"}, "Base URL (host): must hold neither"),
        ("vlmrun", {"host": "https://api.vlm.run/v1?key=hush"}, "Base URL (host): must hold neither"),
        ("vlmrun", {"host": "https://api.vlm.run:hush/v1"}, "Base URL (host): is not a URL"),
        ("vlmrun", {"host": "https://api.vlm.run/v1?"}, "Base URL (host): must hold neither"),
        ("vlmrun", {"host": "https://api.vlm.run/v1#"}, "Base URL (host): must hold neither"),
        ("vlmrun", {"host": "https://@api.vlm.run/v1"}, "Base URL (host): must hold neither"),
        # Airflow reads https%3A%2F%2Fapi.vlm.run/v1 in a URI as a host and a schema.
        ("vlmrun", {"host": "https://api.vlm.run", "schema": "v1"}, "Schema: is not used; enter the whole"),
        ("cradl", {"schema": "v1"}, "Schema: is not used; enter the whole URL in Base URL (host)"),
        ("vlmrun", {"host": "https://api.vlm.run/v1", "port": 65536}, "Port: must be a number from 1 to"),
        ("vlmrun", {"host": "https://api.vlm.run/v1", "port": -1}, "Port: must be a number from 1 to 65535"),
        ("cradl", {"port": 99999}, "Port: must be a number from 1 to 65535"),
        ("vlmrun", {"extra": "{oops"}, "extra: is not JSON"),
        ("vlmrun", {"extra": "[1]"}, "extra: must be a JSON object"),
        ("vlmrun", {"extra": {"timeout": "soon"}}, "extra timeout:"),
        ("vlmrun", {"extra": {"timeout": 0}}, "extra timeout:"),
        ("vlmrun", {"extra": {"timeout": math.inf}}, "extra timeout:"),
        ("vlmrun", {"extra": {"requests_per_minute": 0}}, "extra requests_per_minute:"),
        ("vlmrun", {"extra": {"requests_per_minute": 1.5}}, "extra requests_per_minute:"),
        ("vlmrun", {"extra": {"dashboard_url": "nowhere"}}, "extra dashboard_url: has no host"),
        ("vlmrun", {"extra": {"audience": "x"}}, "extra audience: unknown; known are dashboard_url"),
        ("cradl", {"extra": {"auth_url": "http://auth.cradl.ai/"}}, "extra auth_url: must start with https"),
        ("cradl", {"extra": {"token_url": "x"}}, "extra token_url: unknown"),
        ("cradl", {"extra": {"audience": " "}}, "extra audience: is empty"),
        ("cradl", {"extra": {"audience": "a\nb"}}, "extra audience: is empty or holds a line break"),
        ("vlmrun", {"extra": {"timeout": True}}, "extra timeout: must be a number; found True"),
        ("vlmrun", {"extra": {"requests_per_minute": True}}, "extra requests_per_minute: must be a number"),
        ("vlmrun", {"extra": {"max_response_bytes": False}}, "extra max_response_bytes: must be a number"),
        ("cradl", {"extra": {"file_hosts": 7}}, "extra file_hosts: Input should be a valid tuple"),
        ("cradl", {"extra": {"file_hosts": ["a.org", 1.5]}}, "extra file_hosts: item 2 must be text"),
        ("cradl", {"extra": {"file_hosts": "['a.org'"}}, "extra file_hosts: looks like a list"),
        *(
            ("cradl", {"extra": {"file_hosts": hosts}}, "extra file_hosts: must be names of hosts")
            for hosts in (
                "http://localhost",
                "localhost:18231",
                "a.org/files",
                "*.a.org",
                "me@a.org",
                "a org",
                ["a.org", "https://b.org"],
                "a..org",
                ".a.org",
            )
        ),
    ],
)
def test_a_wrong_field_is_named_before_any_request(
    monkeypatch: pytest.MonkeyPatch, service: str, fields: dict, words: str
) -> None:
    if AIRFLOW == (3, 0) and words.startswith("extra: "):
        pytest.skip("Airflow 3.0 takes such a connection for none")
    hook = hook_of(monkeypatch, service, **fields)

    with pytest.raises(ConfigurationError) as caught:
        hook.get_conn()
    assert hook.test_connection() == (False, str(caught.value))

    assert str(caught.value).startswith(words)
    assert "connection mine" in str(caught.value)
    assert "hush" not in str(caught.value)


def test_a_missing_connection_is_named_with_its_argument(service_name: str) -> None:
    hook = HOOK[service_name]("nowhere")

    with pytest.raises(AirflowNotFoundException, match=f"{service_name}_conn_id: .* 'nowhere'"):
        hook.get_conn()
    with pytest.raises(AirflowNotFoundException, match=f"{service_name}_conn_id: .* 'nowhere'"):
        asyncio.run(hook.aget_conn())


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ({"page_size": 0}, "page_size: .*greater than or equal to 1; found 0"),
        ({"page_size": 1001}, "page_size: .*less than or equal to 1000; found 1001"),
        ({"page_size": "many"}, "page_size: .*found 'many'"),
        ({"max_predictions": 0}, "max_predictions: "),
        ({"created_after": "yesterday"}, "created_after: .*found 'yesterday'"),
        ({"created_after": datetime(2026, 1, 1)}, "created_after: .*timezone"),
        ({"created_after": "2026-02-01", "created_before": "2026-01-01"}, "created_before: .* before"),
        ({"statuses": 3}, "statuses: "),
        ({"statuses": "['failed'"}, "statuses: looks like a list, but is neither JSON nor a Python literal"),
        ({"statuses": ["a", None]}, "statuses: item 2 must be text; found nothing"),
        ({"max_predictions": True}, "max_predictions: must be a number; found True"),
        ({"colour": "red"}, "colour: unknown; known are created_after"),
    ],
)
def test_a_wrong_filter_is_named_before_any_request(hook, connections, filters: dict, words: str) -> None:
    for method in (hook.iter_pages, hook.iter_predictions, hook.aiter_pages, hook.aiter_predictions):
        with pytest.raises(ConfigurationError, match=words):
            method(**filters)

    assert not connections.wire.seen


def test_filters_that_are_nothing_are_none_and_the_text_of_a_list_is_a_list(hook) -> None:
    for nothing in (None, "", " ", "None", "null"):
        names = ("statuses", "created_after", "created_before", "max_predictions", "page_size")
        assert hook.filters(**dict.fromkeys(names, nothing)) == hook.filters()
    for text in ("b, a", "['a', 'b']", '["a", "b"]', "('b', 'a')", '"a", "b"', ["b", "a", "a"]):
        assert hook.filters(statuses=text).statuses == ("a", "b")
    assert hook.filters(created_after=date(2026, 11, 1)) == hook.filters(created_after="2026-11-01")


def test_filters_of_the_other_service_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="model_id: unknown"):
        VlmRunHook().iter_pages(model_id="x")
    with pytest.raises(ConfigurationError, match="domains: unknown"):
        CradlHook().iter_pages(domains=["x"])
    with pytest.raises(ConfigurationError, match=r"order: .*'ascending' or 'descending'; found 'up'"):
        CradlHook().iter_pages(order="up")


@pytest.mark.parametrize(
    "time",
    ["2026-11-20", "2026-11-20T00:00:00", "2026-11-20T01:00:00+01:00", datetime(2026, 11, 20, tzinfo=UTC)],
)
def test_times_are_aware_datetimes_or_text_that_is_utc_without_an_offset(hook, time) -> None:
    assert hook.filters(created_after=time).created_after == datetime(2026, 11, 20, tzinfo=UTC)


def test_both_ways_to_iterate_give_models_of_everything(hook, connections, service_name) -> None:
    record_store: RecordStore = getattr(connections, service_name)
    record_store.fill(25, moving=2)

    async def collect() -> list[BaseModel]:
        return [prediction async for prediction in hook.aiter_predictions(page_size=10)]

    predictions = list(hook.iter_predictions(page_size=10))

    assert predictions == asyncio.run(collect())
    assert len(predictions) == 27
    kind = VlmRunPrediction if service_name == "vlmrun" else CradlPrediction
    assert {type(prediction) for prediction in predictions} == {kind}


def test_a_pass_tells_of_words_that_match_nothing_and_of_rows_that_are_no_records(
    hook, connections: Sandbox, service_name: str, record_store: RecordStore, caplog: pytest.LogCaptureFixture
) -> None:
    record_store.fill(3)

    async def collect() -> list[BaseModel]:
        return [prediction async for prediction in hook.aiter_predictions(statuses="Done")]

    assert list(hook.iter_predictions(statuses="Done")) == asyncio.run(collect()) == []

    assert caplog.text.count("statuses: 'Done' was not found in 3 records; found: ") == 2
    caplog.clear()
    body = b'[null, {"id": "a"}]'
    connections.wire.order(
        Fault(
            service_name,
            status=200,
            body=body if service_name == "vlmrun" else b'{"predictions": %b, "nextToken": null}' % body,
            times=2,
        )
    )
    assert len(list(hook.iter_predictions(statuses="pending"))) == 1
    assert "1 row without a JSON object" in caplog.text
    assert "statuses: " not in caplog.text


def test_a_pass_tells_that_predictions_may_be_missing(
    connections: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    first = [
        {"id": "a", "created_at": "2026-11-01T02:00:00"},
        {"id": "b", "created_at": "2026-11-01T03:00:00"},
    ]
    for rows in (first, [first[0]], first, first, first):
        connections.wire.order(Fault("vlmrun", status=200, body=json.dumps(rows).encode()))

    assert len(list(VlmRunHook().iter_predictions(page_size=2))) == 2

    assert "Predictions may be missing: rows moved while the list was read" in caplog.text


def test_one_prediction_is_found_by_its_id(hook, connections, service_name) -> None:
    record_store: RecordStore = getattr(connections, service_name)
    record_store.fill(3)
    row = record_store.rows[1]

    assert hook.get_prediction(row.id) == asyncio.run(hook.aget_prediction(row.id))
    assert row.id in hook.get_prediction(row.id).model_dump().values()
    with pytest.raises(NotFoundError, match="404"):
        hook.get_prediction("nothing")


@pytest.mark.parametrize("id_", [None, "another"])
def test_a_response_with_another_prediction_is_refused(
    hook: PredictionsHook, connections, service_name: str, id_: str | None
) -> None:
    name = "id" if service_name == "vlmrun" else "predictionId"
    body = json.dumps({name: id_, "status": "failed"}).encode()
    connections.wire.order(Fault(service_name, status=200, body=body, times=99))
    hook.attempts = 1
    what = "another prediction" if id_ else "a prediction without an id"

    with pytest.raises(MalformedAnswerError, match=f"{what} instead of the-one"):
        hook.get_prediction("the-one")
    with pytest.raises(MalformedAnswerError, match=f"{what} instead of the-one"):
        asyncio.run(hook.aget_prediction("the-one"))


MISFITS = {
    "vlmrun": [b'{"id": "odd", "usage": {"credits_used": "many", "steps": 2}, "domain": [1]}',
               b'{"id": "odd", "usage": 3, "response": "\\ud800"}'],
    "cradl": [b'{"predictionId": "odd", "predictions": [{"label": "sum", "value": 3, "page": 1}]}',
              b'{"predictionId": "odd", "errors": "x", "metadata": [1], "name": "\\ud800"}'],
}  # fmt: skip
"""Records with fields that do not fit the specification."""


def test_an_odd_field_is_kept_as_it_came_and_ends_no_iteration(
    hook: PredictionsHook, connections, service_name: str, record_store: RecordStore
) -> None:
    record_store.fill(1)
    rows = b",".join([*MISFITS[service_name], record_store.text(record_store.rows[0])])
    body = (
        b"[" + rows + b"]"
        if service_name == "vlmrun"
        else b'{"predictions": [' + rows + b'], "nextToken": null}'
    )
    connections.wire.order(Fault(service_name, status=200, body=body, times=3))

    first, *_, last = hook.iter_predictions()

    assert last == hook.record(hook.service_class.row(built(hook), record_store.text(record_store.rows[0])))
    if service_name == "vlmrun":
        assert (first.usage.credits_used, first.usage.steps, first.domain) == ("many", 2, [1])
    else:
        assert [(value.label, value.value, value.page) for value in first.predictions] == [("sum", 3, 1)]


WRONG_NUMBERS = ("1.50", " 5 ", "NaN", True, [1])


@pytest.mark.parametrize("value", WRONG_NUMBERS)
def test_a_number_that_is_none_is_kept_as_it_came(value: object, recwarn: pytest.WarningsRecorder) -> None:
    usage = dict.fromkeys(("elements_processed", "credits_used", "steps", "duration_seconds"), value)
    field = dict.fromkeys(("confidence", "page", "rotation", "location", "attentionMap"), value)
    row = {"inferenceTime": value, "nextPage": value}
    line_items = {**field, "value": [[field]]}

    of_vlmrun = dumped(VlmRunHook, {"usage": usage})
    of_cradl = dumped(CradlHook, {**row, "predictions": [line_items]})

    assert of_vlmrun == {"usage": usage}
    assert of_cradl == {**row, "predictions": [line_items]}
    assert not recwarn.list  # a warning would quote the values in the task's log


def dumped(hook: type[PredictionsHook], record: dict) -> dict:
    """A record as a task returns it, without what the service did not send."""
    raw = json.dumps(record).encode()
    model = hook.record(Prediction("id", "x", None, None, raw))
    return model.model_dump(mode="json", by_alias=True, exclude_unset=True)


@pytest.mark.parametrize(("count", "told"), [(0, "none"), (3, "3"), (99, "99"), (250, "100 or more")])
def test_the_connection_test_says_how_many_predictions_there_are(
    hook, connections, service_name: str, count: int, told: str
) -> None:
    record_store: RecordStore = getattr(connections, service_name)
    record_store.fill(count)

    good, message = hook.test_connection()

    assert good, message
    newest = f", the newest of {record_store.rows[0].created:%Y-%m-%d %H:%M} UTC" if count else ""
    assert message.endswith(f"accepts the credentials; predictions in its list: {told}{newest}")
    assert connections.wire.requests(service_name) <= 2


@pytest.mark.usefixtures("simulated_time")  # a refused secret is tried again
def test_the_connection_test_says_what_is_wrong(monkeypatch, sandbox, service_name) -> None:
    connect(monkeypatch, sandbox.connection(service_name, password="wrong-one"))

    good, message = HOOK[service_name]("mine").test_connection()

    assert not good
    assert "(password)" in message
    assert "wrong-one" not in message


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("{url}/nowhere/v1", "answered 404 to GET /nowhere/v1/predictions. "),
        ("https://nowhere.invalid/v1", "did not answer at nowhere.invalid: ConnectError: "),
        ("http://127.0.0.1:{closed}/v1", "Connection refused. "),
        ("https://{socket}/v1", "wrong version number"),
    ],
)
def test_the_connection_test_names_a_base_url_where_the_service_is_not(
    monkeypatch, sandbox, service_name: str, host: str, words: str
) -> None:
    url = host.format(url=sandbox.url, socket=sandbox.url.removeprefix("http://"), closed=free_port())
    connect(monkeypatch, sandbox.connection(service_name, host=url))

    good, message = HOOK[service_name]("mine").test_connection()

    assert not good
    assert words in message
    assert message.endswith("Check Base URL (host) of the connection")


@pytest.mark.parametrize(
    "fault", [{"status": 200}, {"status": 302}, {"status": 405}], ids=["web page", "redirect", "method"]
)
def test_the_connection_test_names_a_base_url_where_something_else_answers(
    hook, connections, service_name: str, fault: dict
) -> None:
    connections.wire.order(Fault(service_name, **fault))

    good, message = hook.test_connection()

    assert not good
    assert message.endswith("heck Base URL (host) of the connection")


@pytest.mark.parametrize(
    ("auth_url", "words"),
    [("{url}/nowhere", "answered 404: check the URL"), ("https://nowhere.invalid", "did not answer")],
)
def test_the_connection_test_names_a_wrong_token_endpoint(
    monkeypatch, sandbox, auth_url: str, words: str
) -> None:
    extra = {"auth_url": auth_url.format(url=sandbox.url)}
    connect(monkeypatch, sandbox.connection("cradl", extra=extra))

    good, message = CradlHook("mine").test_connection()

    assert not good
    assert message.startswith("The token endpoint (extra auth_url)")
    assert words in message


def test_the_dashboard_is_the_connections_or_the_services_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hook_of(monkeypatch, "vlmrun").dashboard_url() == "https://app.vlm.run/dashboard"
    extra = {"dashboard_url": "https://eu.example/board"}
    assert hook_of(monkeypatch, "cradl", extra=extra).dashboard_url() == "https://eu.example/board"


ODD = {
    "vlmrun": [
        b"{}",
        b'{"id": 7, "status": null, "created_at": null, "usage": null, "response": []}',
        b'{"id": "a", "status": "archived", "created_at": "2025-05-27T04:07:25.977702", "new": {"x": 1}}',
        b'{"id": "b", "usage": {"credits_used": 1.5, "duration_seconds": null}, "response": "text"}',
    ],
    "cradl": [
        b"{}",
        b'{"predictionId": "a", "status": "archived", "createdTime": "2026-01-02 03:04:05.6+0100"}',
        b'{"predictionId": "b", "predictions": {}, "postprocessConfig": null, "extra": [1]}',
        b'{"predictionId": "c", "predictions": [{"label": "x", "value": null}, '
        b'{"label": "lines", "value": [[{"label": "y", "value": "1", "confidence": 1}]]}]}',
    ],
}


def test_odd_records_break_neither_page_nor_model(hook, connections, service_name) -> None:
    rows = ODD[service_name]
    body = b"[" + b",".join(rows) + b"]"
    if service_name == "cradl":
        body = b'{"predictions": ' + body + b"}"
    connections.wire.order(Fault(service_name, status=200, body=body))

    predictions = list(hook.iter_predictions())

    assert len(predictions) == len(rows)
    assert predictions[0].model_dump(exclude_unset=True) == {}


def test_a_naive_created_at_is_utc(connections) -> None:
    connections.wire.order(Fault("vlmrun", status=200, body=b"[" + ODD["vlmrun"][2] + b"]"))

    (prediction,) = VlmRunHook().iter_predictions()

    assert prediction.created_at == datetime(2025, 5, 27, 4, 7, 25, 977702, tzinfo=UTC)
    assert prediction.status == "archived"
    assert prediction.new == {"x": 1}


def test_line_items_are_models_too(connections) -> None:
    connections.wire.order(Fault("cradl", status=200, body=b'{"predictions": [' + ODD["cradl"][3] + b"]}"))

    (prediction,) = CradlHook().iter_predictions()

    assert prediction.predictions[1].value[0][0].label == "y"
    assert prediction.status is None


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HTTP_PROXY", "http://user:secret@host:port"),
        ("https_proxy", "ftp://user:secret@host"),
        ("all_proxy", "nonsense://secret"),
    ],
)
def test_a_proxy_variable_that_httpx_cannot_read_is_named(
    hook: PredictionsHook, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)

    async def in_a_loop() -> None:
        await hook.aget_conn()

    for ask in (hook.get_conn, lambda: asyncio.run(in_a_loop())):
        with pytest.raises(ConfigurationError, match=f"^{variable.upper()}: ") as caught:
            ask()
        assert "secret" not in str(caught.value)
    assert hook.test_connection() == (False, str(caught.value))


@pytest.mark.parametrize("entry", [".example.com", "10.0.0.0/8", "fd00::/8", "a:b:c", "host:port"])
def test_a_no_proxy_of_any_form_is_obeyed(
    hook: PredictionsHook, monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", f"127.0.0.1,::1,{entry},localhost")

    assert hook.test_connection()[0]


@pytest.mark.parametrize("other", ["cradl", "vlmrun", "aws"])
def test_a_connection_of_another_type_is_refused_before_any_request(
    hook, service_name: str, connections, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    """Without a host, the credentials of another service would go to this one."""
    if other == service_name:
        return
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps({"conn_type": other, "password": "secret"}))
    wrong = type(hook)("other")
    name = f"{service_name}_conn_id"
    expected = f"{name}: 'other' is a connection of the type {other}; give one of the type {service_name}"

    with pytest.raises(ConfigurationError, match=expected):
        wrong.get_conn()
    with pytest.raises(ConfigurationError, match=expected):
        asyncio.run(wrong.aget_conn())
    assert wrong.test_connection() == (False, expected)
    assert not connections.wire.seen


@pytest.mark.parametrize(
    "key", ["sk-live-51H8xkq2eZvKYlo2C", "c021fa1b-c31e-4b97-89d0-4ce533b893a5", "AKIAIOSFODNN7EXAMPLE"]
)
def test_a_key_in_place_of_a_connection_id_is_not_shown(hook, key: str) -> None:
    with pytest.raises(AirflowNotFoundException) as raised:
        type(hook)(key).get_conn()

    assert key[-12:] not in str(raised.value)
    assert "***" in str(raised.value)
    for name in ("team_north_production_account", "cradl-2026-eu-west-1"):
        with pytest.raises(AirflowNotFoundException, match=f"there is no connection '{name}'"):
            type(hook)(name).get_conn()
