"""One measurement: who reads what."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal, Self


@dataclass(frozen=True)
class Job:
    """One measurement, as the runner orders it from a process.

    :param reader: the module of ``contenders``.
    :param server: the URL of the server.
    :param count: how many predictions the list holds.
    :param latency: milliseconds a page.
    :param prefetch: of our operators; None for their default.
    :param nesting: of dlt: how many levels of a record become tables of their own; None for all.
    """

    reader: str
    server: str
    count: int
    service: Literal["vlmrun", "cradl"] = "vlmrun"
    latency: int = 0
    prefetch: int | None = None
    nesting: int | None = None
    page_size: int = 1000

    def url(self, count: int) -> str:
        """The base URL of a list of this length."""
        return f"{self.server}/{count}/{self.latency}/{self.service}/v1"

    def text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str) -> Self:
        return cls(**json.loads(text))
