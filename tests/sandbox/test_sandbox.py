"""The sandbox answers as the specifications say; asked without our client."""

from __future__ import annotations

import base64
import json
import re
import shlex
import subprocess
import sys

import httpx
import pytest

from airflow_provider_predictions.hooks.cradl import CradlHook
from airflow_provider_predictions.hooks.vlmrun import VlmRunHook
from airflow_provider_predictions.sandbox import app
from tests.clock import SimulatedTime
from tests.faults import HTML, Fault, FaultySandbox

KEY = {"Authorization": f"Bearer {app.API_KEY}"}
CLIENT = {
    "grant_type": "client_credentials",
    "client_id": app.CLIENT_ID,
    "client_secret": app.CLIENT_SECRET,
    "audience": app.AUDIENCE,
}


def vlmrun(sandbox: FaultySandbox, path: str = "", **params: object) -> httpx.Response:
    return httpx.get(f"{sandbox.url}/vlmrun/v1/predictions{path}", params=params, headers=KEY)


def cradl(sandbox: FaultySandbox, path: str = "", **params: object) -> httpx.Response:
    token = httpx.post(f"{sandbox.url}/oauth2/token", data=CLIENT).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.get(f"{sandbox.url}/cradl/v1/predictions{path}", params=params, headers=headers)


def test_vlmrun_pages_by_offset_newest_first(sandbox: FaultySandbox) -> None:
    sandbox.vlmrun.fill(25)

    assert len(vlmrun(sandbox).json()) == 10
    pages = [vlmrun(sandbox, skip=skip, limit=10).json() for skip in (0, 10, 20)]

    rows = [row for page in pages for row in page]
    assert [row["id"] for row in rows] == [row.id for row in sandbox.vlmrun.rows]
    assert [row["created_at"] for row in rows] == sorted((row["created_at"] for row in rows), reverse=True)
    assert not any(re.search(r"Z|[+]", row["created_at"]) for row in rows)
    assert vlmrun(sandbox, f"/{rows[3]['id']}").json() == rows[3]


@pytest.mark.parametrize(
    ("params", "kind"),
    [
        ({"limit": 0}, "greater_than_equal"),
        ({"limit": 1001}, "less_than_equal"),
        ({"limit": "many"}, "int_parsing"),
        ({"skip": -1}, "greater_than_equal"),
    ],
)
def test_vlmrun_refuses_a_wrong_query_with_422(sandbox: FaultySandbox, params: dict, kind: str) -> None:
    answer = vlmrun(sandbox, **params)

    assert answer.status_code == 422
    (detail,) = answer.json()["detail"]
    assert detail["type"] == kind
    assert detail["loc"] == ["query", next(iter(params))]


def test_vlmrun_wants_the_key(sandbox: FaultySandbox) -> None:
    url = f"{sandbox.url}/vlmrun/v1/predictions"

    assert httpx.get(url).status_code == 403
    assert httpx.get(url, headers={"Authorization": "Bearer other"}).status_code == 401


def test_cradl_pages_by_token(sandbox: FaultySandbox) -> None:
    sandbox.cradl.fill(25)
    query, rows = {"maxResults": 5, "sortBy": "createdTime"}, []
    for _ in range(5):
        page = cradl(sandbox, **query).json()
        rows += page["predictions"]
        query["nextToken"] = page["nextToken"]

    assert query["nextToken"] is None
    assert [row["predictionId"] for row in rows] == [row.id for row in sandbox.cradl.rows]
    assert {row["predictions"] for row in rows} == {None}
    assert all(
        row["fileUrl"].startswith(f"http://localhost:{sandbox.port}/") for row in rows if row["fileUrl"]
    )


def test_cradl_promises_no_order_if_none_is_asked_for(sandbox: FaultySandbox) -> None:
    sandbox.cradl.fill(25)

    newest = cradl(sandbox, sortBy="createdTime").json()["predictions"]
    any_order = cradl(sandbox).json()["predictions"]

    assert newest != any_order
    assert sorted(map(str, newest)) == sorted(map(str, any_order))


@pytest.mark.parametrize(
    "params",
    [{"maxResults": "x"}, {"maxResults": "0"}, {"order": "up"}, {"sortBy": "name"}, {"nextToken": "x"}],
)
def test_cradl_refuses_a_wrong_query_with_400(sandbox: FaultySandbox, params: dict) -> None:
    answer = cradl(sandbox, **params)

    assert answer.status_code == 400
    assert answer.json()["message"]


@pytest.mark.parametrize("field", CLIENT)
def test_the_token_endpoint_wants_every_field(sandbox: FaultySandbox, field: str) -> None:
    assert httpx.post(f"{sandbox.url}/oauth2/token", data=CLIENT | {field: "wrong"}).status_code == 400


def test_tokens_expire(sandbox: FaultySandbox) -> None:
    sandbox.tokens.lifetime = 0

    assert cradl(sandbox).status_code == 401


def test_predictions_move_from_pending_through_running_to_the_end(
    sandbox: FaultySandbox, simulated_time: SimulatedTime
) -> None:
    row = sandbox.vlmrun.add(work=300)
    seen: list[str] = []
    for _ in range(4):
        seen.append(vlmrun(sandbox, f"/{row.id}").json()["status"])
        simulated_time.skip(100)

    assert seen == ["pending", "running", "running", row.outcome]


def test_equal_seeds_give_equal_content() -> None:
    one, two = (FaultySandbox(count=5, seed=3) for _ in range(2))

    assert [row.id for row in one.vlmrun.rows] == [row.id for row in two.vlmrun.rows]
    assert [row.seed for row in one.cradl.rows] == [row.seed for row in two.cradl.rows]


def test_faults_come_in_the_order_and_number_of_the_orders(sandbox: FaultySandbox) -> None:
    sandbox.wire.order(Fault("vlmrun", after=1, times=2))
    sandbox.wire.order(Fault("vlmrun", how="reset"))
    sandbox.wire.order(Fault("vlmrun", how="truncate"))
    sandbox.vlmrun.fill(3)

    assert vlmrun(sandbox).status_code == 200
    assert [vlmrun(sandbox).content for _ in range(2)] == [HTML, HTML]
    with pytest.raises(httpx.ReadError):
        vlmrun(sandbox)
    with pytest.raises(httpx.RemoteProtocolError):
        vlmrun(sandbox)
    assert vlmrun(sandbox).status_code == 200


def test_the_command_prints_connections_that_work(monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-m", "airflow_provider_predictions.sandbox", "--port", "0", "--count", "3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            for line in _exports(process):
                monkeypatch.setenv(*shlex.split(line)[1].split("=", 1))
            tested = [hook().test_connection()[0] for hook in (VlmRunHook, CradlHook)]
        finally:
            process.terminate()  # SIGINT is ignored in the background of a shell

    assert tested == [True, True]


def _exports(process: subprocess.Popen[str]) -> list[str]:
    lines: list[str] = []
    while len(lines) < 3:
        line = process.stdout.readline()
        assert line, "the sandbox ended"
        if line.startswith("export"):
            lines.append(line)
    return lines


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/vlmrun/v1/nothing", 404, {"detail": "Not Found"}),
        ("/vlmrun/v2/predictions", 404, {"detail": "Not Found"}),
        ("/cradl/v1/nothing", 403, {"message": "Missing Authentication Token"}),
        ("/oauth2/token", 405, {"title": "Method Not Allowed", "status": 405}),
        ("/", 404, {"title": "Not Found", "status": 404}),
    ],
)
def test_an_unknown_path_is_answered_in_json_as_the_service_would(
    sandbox: FaultySandbox, path: str, status: int, body: dict
) -> None:
    answer = httpx.get(f"{sandbox.url}{path}")

    assert (answer.status_code, answer.json()) == (status, body)


def test_a_token_is_a_jwt_with_the_claims_that_the_sdk_of_cradl_insists_on(sandbox: FaultySandbox) -> None:
    answer = httpx.post(f"{sandbox.url}/oauth2/token", data=CLIENT).json()

    _, payload, _ = answer["access_token"].split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["external_app_client_id"]
    assert claims["external_organization_id"]
    assert claims["scope"] == answer["scope"] == "predictions:read"
    assert claims["exp"] - claims["iat"] == answer["expires_in"]


def test_the_health_of_vlm_run_needs_no_key(sandbox) -> None:
    answer = httpx.get(f"{sandbox.url}/vlmrun/v1/health")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("port", ["-1", "65536", "x"])
def test_the_command_refuses_what_is_no_port(port: str) -> None:
    command = [sys.executable, "-m", "airflow_provider_predictions.sandbox", "--port", port]

    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode == 2
    assert "argument --port: must be a whole number from 0 to 65535" in ended.stderr
