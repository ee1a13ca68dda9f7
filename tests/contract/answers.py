"""Answers that the specifications allow, made from their schemas, and a list that gives them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_jsonschema import from_schema

SCHEMAS = {
    name: json.loads(Path(__file__).with_name(f"{name}.json").read_text()) for name in ("vlmrun", "cradl")
}
"""Of a list's answer, as the specifications give them."""
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


def answers_of(service: str, count: int) -> list[list[dict[str, Any]]]:
    """The records of so many answers, always the same."""
    found: list[list[dict[str, Any]]] = []

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(_strategy(SCHEMAS[service]))
    def collect(answer: Any) -> None:
        found.append(answer if service == "vlmrun" else answer["predictions"])

    collect()
    return found


def _strategy(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values of a schema; objects and arrays are put together here, a hundred times as fast."""
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return st.one_of([_strategy(choice) for choice in choices])
    if schema.get("type") == "object":
        members = {name: _strategy(member) for name, member in schema.get("properties", {}).items()}
        required = set(schema.get("required", ()))
        known = st.fixed_dictionaries(
            {name: members[name] for name in members if name in required},
            optional={name: members[name] for name in members if name not in required},
        )
        if schema.get("additionalProperties") is False:
            return known
        others = st.dictionaries(st.text().filter(lambda name: name not in members), _ANYTHING, max_size=2)
        return st.builds(lambda known, others: others | known, known, others)
    if schema.get("type") == "array" and "items" in schema:
        size = {"min_size": schema.get("minItems", 0), "max_size": schema.get("maxItems", 3)}
        return st.lists(_strategy(schema["items"]), **size)
    return from_schema(schema) if schema else _ANYTHING


class Listing:
    """An ASGI app: the list endpoint of a service over given records, newest first as they are given.

    :param rows: each record as it is sent.
    :param others: answers all other requests.
    """

    def __init__(self, service: str, rows: list[bytes], others: Any) -> None:
        self.service = service
        self.rows = rows
        self.others = others

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        """Answer a request for a page."""
        if scope["type"] != "http" or not scope["path"].endswith("/predictions"):
            await self.others(scope, receive, send)
            return
        query = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self._page(query)})

    def _page(self, query: dict[str, str]) -> bytes:
        if self.service == "vlmrun":
            start = int(query.get("skip", 0))
            return b"[" + b",".join(self.rows[start : start + int(query["limit"])]) + b"]"
        start = int(query.get("nextToken", 0))
        end = start + int(query["maxResults"])
        token = json.dumps(str(end) if end < len(self.rows) else None).encode()
        return b'{"predictions":[' + b",".join(self.rows[start:end]) + b'],"nextToken":' + token + b"}"
