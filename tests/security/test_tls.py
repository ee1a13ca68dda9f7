"""A certificate that nobody vouches for is refused, whatever the connection and the environment say."""

from __future__ import annotations

import asyncio
import re
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from itertools import product
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from airflow_provider_predictions.api.errors import ConfigurationError, NoAnswerError
from airflow_provider_predictions.api.http.base_client import trusted_certificates
from airflow_provider_predictions.api.models import GetRequest
from airflow_provider_predictions.hooks.cradl import CradlHook
from airflow_provider_predictions.hooks.vlmrun import VlmRunHook
from airflow_provider_predictions.sandbox.server import Sandbox
from tests.conftest import Shell, make_service
from tests.given import HOOK, connect


class Listening(ThreadingHTTPServer):
    """An HTTPS server with a certificate of its own making; notes what gets through to it."""

    def __init__(self, certificate: Path) -> None:
        self.heard: list[str] = []
        super().__init__(("127.0.0.1", 0), _Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, *_: object) -> None:
        """Who refuses the certificate hangs up."""

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.heard.append(str(self.headers))  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"[]")

    do_POST = do_GET  # noqa: N815  (the name that http.server looks for)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and self-signed certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file = tmp_path_factory.mktemp("tls") / "own.pem"
    file.write_bytes(key.private_bytes(pem, form, plain) + signed.public_bytes(pem))
    return file


@pytest.fixture
def listening(certificate: Path) -> Iterator[Listening]:
    with Listening(certificate) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def hook(service_name: str, sandbox: Sandbox, listening: Listening, monkeypatch: pytest.MonkeyPatch):
    """A connection to that server; the token of Cradl is the sandbox's."""
    connect(monkeypatch, sandbox.connection(service_name, host=f"{listening.url}/v1"))
    return HOOK[service_name]("mine", attempts=1)


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The certificate is one of those that this process trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    trusted_certificates.cache_clear()
    yield
    trusted_certificates.cache_clear()


async def first_page(hook: VlmRunHook | CradlHook) -> None:
    await anext(aiter(hook.aiter_pages()))


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"PYTHONHTTPSVERIFY": "0", "CURL_CA_BUNDLE": "", "REQUESTS_CA_BUNDLE": "", "SSL_CERT_FILE": ""},
        {"NODE_TLS_REJECT_UNAUTHORIZED": "0", "GIT_SSL_NO_VERIFY": "1", "HTTPX_SSL_VERIFY": "0"},
    ],
    ids=["plain", "of Python", "of others"],
)
def test_an_api_with_a_certificate_of_its_own_is_refused(
    hook, listening: Listening, monkeypatch, environment: dict[str, str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(NoAnswerError, match="certificate verify failed"):
        next(hook.iter_pages())
    with pytest.raises(NoAnswerError, match="certificate verify failed"):
        asyncio.run(first_page(hook))
    good, message = hook.test_connection()

    assert not good
    assert "certificate verify failed" in message
    assert listening.heard == []


def test_a_token_endpoint_with_a_certificate_of_its_own_gets_no_secret(
    sandbox: Sandbox, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PYTHONHTTPSVERIFY", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(name, "0" if name == "PYTHONHTTPSVERIFY" else "")
    extra = {"auth_url": f"{listening.url}/oauth2/token"}
    connect(monkeypatch, sandbox.connection("cradl", extra=extra))

    good, message = CradlHook("mine").test_connection()

    assert not good
    assert message.startswith("The token endpoint (extra auth_url) did not answer: SSLError")
    assert listening.heard == []


def test_whoever_is_refused_is_told_which_variable_names_an_authority(hook, service_name: str) -> None:
    with pytest.raises(NoAnswerError, match="SSL_CERT_FILE"):
        next(hook.iter_pages())


def test_whoever_trusts_no_token_endpoint_is_told_which_variable_names_an_authority(
    sandbox: Sandbox, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {"auth_url": f"{listening.url}/oauth2/token"}
    connect(monkeypatch, sandbox.connection("cradl", extra=extra))

    assert "REQUESTS_CA_BUNDLE" in CradlHook("mine").test_connection()[1]


def test_a_token_endpoint_whose_authority_the_environment_names_is_trusted(
    sandbox: Sandbox, listening: Listening, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it is the certificate that the others are refused for."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    extra = {"auth_url": f"{listening.url}/oauth2/token"}
    connect(monkeypatch, sandbox.connection("cradl", extra=extra))

    assert "sent no token" in CradlHook("mine").test_connection()[1]
    assert listening.heard


@pytest.mark.parametrize("content", [None, "no certificate"], ids=["missing", "of other content"])
def test_certificates_that_cannot_be_read_are_named_by_their_variable(
    hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    file = tmp_path / "authorities.pem"
    if content:
        file.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    trusted_certificates.cache_clear()

    assert hook.test_connection()[1].startswith("SSL_CERT_FILE: the environment variable names no")
    with pytest.raises(ConfigurationError, match="SSL_CERT_FILE"):
        asyncio.run(first_page(hook))


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_certificates_for_the_token_endpoint_that_are_missing_are_named_by_their_variable(
    sandbox: Sandbox, listening: Listening, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv(variable, "/no/authorities.pem")
    connect(monkeypatch, sandbox.connection("cradl", extra={"auth_url": f"{listening.url}/oauth2/token"}))

    assert CradlHook("mine").test_connection()[1].startswith(f"{variable}: the environment variable names no")
    assert listening.heard == []


def test_no_extra_turns_the_check_off(
    service_name: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("verify", "ssl", "ssl_verify", "insecure", "cert", "ca", "proxy", "headers")
    for name, value in product(names, (False, "false", 0)):
        with pytest.raises(ConfigurationError, match=f"extra {name}: unknown; known are "):
            hook_with_extra(sandbox, service_name, monkeypatch, name, value).get_conn()
    for name, value in product(names, (None, "")):  # the form left the field empty
        hook_with_extra(sandbox, service_name, monkeypatch, name, value).get_conn()


def hook_with_extra(
    sandbox: Sandbox, service_name: str, monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> VlmRunHook | CradlHook:
    given = sandbox.connection(service_name)
    given["extra"] = given.get("extra", {}) | {name: value}
    connect(monkeypatch, given)
    return HOOK[service_name]("mine")


def test_a_file_of_a_foreign_origin_is_fetched_without_the_token(
    sandbox: Sandbox, listening: Listening, shell: Shell, trusted: None
) -> None:
    file, own = GetRequest(f"{listening.url}/file"), f"{listening.url}/v1"

    for changes in ({}, {"base_url": own}):
        assert shell.get(make_service(sandbox, "cradl", **changes), file) == b"[]"

    foreign, trusted = (headers.lower() for headers in listening.heard)
    assert "authorization" not in foreign
    assert re.search(r"authorization: bearer \S+\.sandbox-token-", trusted)
