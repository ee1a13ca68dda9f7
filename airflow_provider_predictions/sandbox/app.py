"""Both services, as their specifications describe them, and Cradl's token endpoint."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Annotated, Any
from urllib.parse import parse_qsl

from pydantic import BaseModel, Field, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from airflow_provider_predictions.sandbox.data import Record, values
from airflow_provider_predictions.sandbox.store import RecordStore

API_KEY = "sandbox-vlmrun-key"
CLIENT_ID = "sandbox-client-id"
CLIENT_SECRET = "sandbox-client-secret"
AUDIENCE = "https://api.cradl.ai/v1"
SCOPE = "predictions:read"
MAX_PAGE_ROWS = 1000

Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]


def json_bytes(body: bytes) -> Response:
    return Response(body, media_type="application/json")


class Tokens:
    """Bearer tokens that expire after ``lifetime`` seconds."""

    def __init__(self, lifetime: float) -> None:
        self.lifetime = lifetime
        self._ends: dict[str, float] = {}

    def issue(self) -> str:
        """Issue a JWT with the claims that Cradl's own SDK needs to reuse it."""
        issued = int(time.time())
        claims = {
            "iss": "https://auth.cradl.ai",
            "aud": [AUDIENCE],
            "iat": issued,
            "exp": issued + int(self.lifetime),
            "external_app_client_id": "cradl:app-client:sandbox",
            "external_organization_id": "cradl:organization:sandbox",
            "scope": SCOPE,
        }
        parts = (json.dumps(part, separators=(",", ":")).encode() for part in ({"alg": "none"}, claims))
        head, payload = (base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
        token = f"{head}.{payload}.sandbox-token-{secrets.token_urlsafe(24)}"
        self._ends[token] = time.monotonic() + self.lifetime
        return token

    def revoke(self) -> None:
        self._ends.clear()

    def is_good(self, token: str) -> bool:
        return self._ends.get(token, 0) > time.monotonic()

    async def endpoint(self, request: Request) -> Response:
        """``POST /oauth2/token`` with client credentials and the right audience in the form body."""
        form = dict(parse_qsl((await request.body()).decode()))
        if form.get("grant_type") != "client_credentials":
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return JSONResponse({"error": "invalid_client"}, 400)
        if form.get("audience") != AUDIENCE:
            return JSONResponse({"error": "invalid_request", "error_description": "audience"}, 400)
        return JSONResponse(
            {
                "access_token": self.issue(),
                "expires_in": self.lifetime,
                "token_type": "bearer",
                "scope": SCOPE,
            }
        )


def _bearer(request: Request) -> str:
    return request.headers.get("authorization", "").removeprefix("Bearer ")


# --- VLM Run -----------------------------------------------------------------------------------------


class _Query(BaseModel):
    skip: Annotated[int, Field(ge=0)] = 0
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE_ROWS)] = 10


def vlmrun_routes(record_store: RecordStore) -> list[Route]:
    def guarded(endpoint: Endpoint) -> Endpoint:
        async def guard(request: Request) -> Response:
            if "authorization" not in request.headers:
                return JSONResponse({"detail": "Not authenticated"}, 403)
            if _bearer(request) != API_KEY:
                return JSONResponse({"detail": "Invalid API key"}, 401)
            return await endpoint(request)

        return guard

    async def page(request: Request) -> Response:
        try:
            query = _Query.model_validate(dict(request.query_params))
        except ValidationError as error:
            found = error.errors(include_url=False)
            return JSONResponse({"detail": [{**one, "loc": ["query", *one["loc"]]} for one in found]}, 422)
        size = min(query.limit, record_store.cap or query.limit)
        rows = record_store.rows[query.skip : query.skip + size]
        return json_bytes(b"[" + b",".join(map(record_store.text, rows)) + b"]")

    async def one(request: Request) -> Response:
        record = record_store.find(request.path_params["id"])
        return json_bytes(record_store.text(record)) if record else JSONResponse({"detail": "Not found"}, 404)

    async def health(_: Request) -> Response:
        # VLM Run's SDK requests it when it creates a client. It needs no key (docs.vlm.run, Health).
        return JSONResponse({"status": "ok"})

    return [
        Route("/vlmrun/v1/health", health),
        Route("/vlmrun/v1/predictions", guarded(page)),
        Route("/vlmrun/v1/predictions/{id:path}", guarded(one)),
    ]


# --- Cradl -------------------------------------------------------------------------------------------


def _page_token(last: Record, filters: list[str | None]) -> str:
    return base64.urlsafe_b64encode(json.dumps([last.id, *filters]).encode()).decode()


def _rows_after(rows: list[Record], token: str, filters: list[str | None]) -> list[Record]:
    """The rows after the token's. Raises LookupError if there is no such row, or the filters have changed."""
    try:
        id_, *given = json.loads(base64.urlsafe_b64decode(token))
    except (ValueError, binascii.Error):
        raise LookupError(token) from None
    after = next((n for n, row in enumerate(rows, 1) if row.id == id_), None)
    if given != filters or after is None:
        raise LookupError(token)
    return rows[after:]


def _cradl_page(record_store: RecordStore, query: Mapping[str, str]) -> Response:
    order, model, by = query.get("order", "descending"), query.get("modelId"), query.get("sortBy")
    size = query.get("maxResults", "100")
    if not size.isdecimal() or not 1 <= int(size) <= MAX_PAGE_ROWS:
        return JSONResponse({"message": "Invalid maxResults"}, 400)
    if by not in (None, "createdTime") or order not in ("ascending", "descending"):
        return JSONResponse({"message": "Invalid sortBy or order"}, 400)
    rows = record_store.rows if model is None else [row for row in record_store.rows if row.group == model]
    if by is None:  # the specification names no order for this
        rows = sorted(rows, key=lambda row: row.id)
    rows = rows[::-1] if order == "ascending" else rows
    if "nextToken" in query:
        try:
            rows = _rows_after(rows, query["nextToken"], [order, model, by])
        except LookupError:
            return JSONResponse({"message": "Invalid nextToken"}, 400)
    shown = rows[: min(int(size), record_store.cap or MAX_PAGE_ROWS)]
    token = _page_token(shown[-1], [order, model, by]) if len(shown) < len(rows) else None
    body = b'{"predictions": [' + b", ".join(map(record_store.text, shown)) + b'], "nextToken": '
    return json_bytes(body + json.dumps(token).encode() + b', "sortBy": "createdTime"}')


def cradl_routes(record_store: RecordStore, tokens: Tokens) -> list[Route]:
    def guarded(endpoint: Endpoint) -> Endpoint:
        async def guard(request: Request) -> Response:
            if not tokens.is_good(_bearer(request)):
                return JSONResponse({"message": "Unauthorized"}, 401)
            return await endpoint(request)

        return guard

    async def page(request: Request) -> Response:
        return _cradl_page(record_store, request.query_params)

    async def one(request: Request) -> Response:
        record = record_store.find(request.path_params["id"])
        if record is None:
            return JSONResponse({"message": "Prediction not found"}, 404)
        return json_bytes(record_store.text(record))

    async def file(request: Request) -> Response:
        record = record_store.find(request.path_params["id"])
        return json_bytes(values(record)) if record else JSONResponse({"message": "Not found"}, 404)

    return [
        Route("/cradl/v1/predictions", guarded(page)),
        Route("/cradl/v1/predictions/{id:path}", guarded(one)),
        Route("/files/{id:path}", guarded(file)),
    ]


async def no_route(request: Request, error: Exception) -> Response:
    """The response to an unknown path or method, as the service words it."""
    assert isinstance(error, HTTPException)
    status, service = error.status_code, request.url.path.split("/")[1]
    if service == "cradl":
        # Cradl's API is behind API Gateway, which does not reveal whether a path exists.
        return JSONResponse({"message": "Missing Authentication Token"}, 403)
    if service == "vlmrun":
        return JSONResponse({"detail": error.detail}, status, headers=error.headers)
    return JSONResponse({"title": error.detail, "status": status}, status, headers=error.headers)  # RFC 9457


def build(vlmrun: RecordStore, cradl: RecordStore, tokens: Tokens) -> Starlette:
    return Starlette(
        routes=[
            *vlmrun_routes(vlmrun),
            *cradl_routes(cradl, tokens),
            Route("/oauth2/token", tokens.endpoint, methods=["POST"]),
        ],
        exception_handlers={404: no_route, 405: no_route},
    )
