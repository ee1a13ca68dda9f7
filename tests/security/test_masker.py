"""Airflow's masker knows what a hook has fetched."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from importlib import import_module
from secrets import token_urlsafe
from types import ModuleType

import pytest
from airflow.providers.common.compat.sdk import Connection

from airflow_provider_predictions.api.http.auth import ClientCredentialsAuth
from airflow_provider_predictions.api.limits import MAX_MASKED_TOKENS
from airflow_provider_predictions.api.vlmrun import VlmRun, VlmRunPrediction
from airflow_provider_predictions.hooks.base import PredictionsHook
from airflow_provider_predictions.hooks.connection_settings import Settings
from airflow_provider_predictions.hooks.cradl import CradlHook
from airflow_provider_predictions.hooks.token_mask import TokenMask
from airflow_provider_predictions.sandbox import app
from airflow_provider_predictions.sandbox.server import Sandbox
from tests.compat import AIRFLOW, MASKER, needs
from tests.given import connect


@pytest.fixture(autouse=True)
def _masker() -> None:
    if (3, 0) <= AIRFLOW < (3, 3):
        needs(3, 3, "a masker that may be told from any thread, which only 2.11 has too")


@pytest.mark.parametrize("way", ["sync", "async"])
def test_a_token_that_a_hook_has_fetched_is_masked(connections: Sandbox, way: str) -> None:
    redact = import_module(MASKER).redact
    connections.cradl.fill(3)
    hook = CradlHook()

    async def in_a_loop() -> str:
        async with await hook.aget_conn() as client:
            token: str = await client.service.auth.atoken()
            return token

    if way == "sync":
        with hook.get_conn() as client:
            token = client.service.auth.token()
    else:
        token = asyncio.run(in_a_loop())

    assert ".sandbox-token-" in token
    assert redact(f"Bearer {token}") == "Bearer ***"
    assert redact({"headers": [f"Bearer {token}"]}) == {"headers": ["Bearer ***"]}
    # No letters beside it: another test's connection may have one of them for a password.
    assert redact(f"({app.CLIENT_SECRET})") == "(***)"


def test_a_token_of_any_other_service_is_masked(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    class AcmeHook(PredictionsHook[VlmRunPrediction]):
        """A third service, whose author wrote nothing about masking."""

        conn_name_attr, conn_type, hook_name = "acme_conn_id", "acme", "Acme"
        service_class = VlmRun
        default_base_url = default_dashboard_url = "https://acme.test"

        @classmethod
        def auth(cls, conn: Connection, settings: Settings) -> ClientCredentialsAuth:
            return ClientCredentialsAuth(
                sandbox.url + "/oauth2/token", conn.login, conn.password, app.AUDIENCE
            )

    connect(monkeypatch, {"conn_type": "acme", "login": app.CLIENT_ID, "password": app.CLIENT_SECRET})
    with AcmeHook("mine").get_conn() as client:
        token = client.service.auth.token()

    assert ".sandbox-token-" in token
    assert import_module(MASKER).redact(f"Bearer {token}") == "Bearer ***"


def test_each_new_token_is_masked(connections: Sandbox) -> None:
    redact = import_module(MASKER).redact
    with CradlHook().get_conn() as client:
        auth = client.service.auth
        tokens = []
        for _ in range(3):
            tokens.append(auth.token())
            auth.accept(tokens[-1])
            auth.reject(tokens[-1], 401)

    assert len(set(tokens)) == 3
    assert redact(" ".join(tokens)) == "*** *** ***"


def test_a_token_that_ten_have_followed_is_forgotten(connections: Sandbox) -> None:
    """Airflow's masker is dearer with each secret, and that of 2.11 fails in the end."""
    masker = import_module(MASKER)._secrets_masker()
    with CradlHook().get_conn() as client:
        auth, tokens, known = client.service.auth, [], len(masker.patterns)
        for _ in range(25):
            tokens.append(auth.token())
            auth.accept(tokens[-1])
            auth.reject(tokens[-1], 401)

    assert len(masker.patterns) == known + MAX_MASKED_TOKENS
    assert import_module(MASKER).redact(" ".join(tokens[-MAX_MASKED_TOKENS:])) == " ".join(
        ["***"] * MAX_MASKED_TOKENS
    )
    assert import_module(MASKER).redact(f"({app.CLIENT_SECRET})") == "(***)"


def test_a_token_that_is_given_again_is_not_forgotten() -> None:
    mask = TokenMask()

    for number in range(30):
        mask("the same token for all")
        mask(f"token-{number:05}")

    assert import_module(MASKER).redact("the same token for all, token-00029") == "***, ***"


def test_an_airflow_that_has_its_masker_elsewhere_masks_tokens_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mask, redact = TokenMask(), import_module(MASKER).redact
    monkeypatch.setitem(sys.modules, MASKER, ModuleType(MASKER))

    for number in range(12):
        mask(f"token-{number:05}")

    assert redact("token-00000, token-00011") == "***, ***"


@pytest.mark.slow
def test_a_triggerer_may_renew_large_tokens_for_longer_than_a_month(connections: Sandbox) -> None:
    mask = TokenMask()

    for _ in range(900):
        mask(token := f"eyJ.{token_urlsafe(750)}.{token_urlsafe(8)}")

    assert import_module(MASKER).redact(token) == "***"


def test_without_airflow_a_token_is_fetched_all_the_same(sandbox: Sandbox) -> None:
    code = f"""
import sys
from airflow_provider_predictions.api.http.auth import ClientCredentialsAuth
auth = ClientCredentialsAuth(
    {sandbox.url!r} + "/oauth2/token", {app.CLIENT_ID!r}, {app.CLIENT_SECRET!r}, {app.AUDIENCE!r}
)
assert ".sandbox-token-" in auth.token()
assert "airflow" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
