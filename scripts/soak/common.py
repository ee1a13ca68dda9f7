"""What all parts share: servers, faults, processes and reports."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from tests.faults import Fault, FaultySandbox, Part, RandomFaults, Seen, rate_limit

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("vlmrun", "cradl")
TITLES = {"vlmrun": "VLM Run", "cradl": "Cradl"}
ERROR = b'{"message": "Internal Server Error"}'


@dataclass
class Report:
    """The results of a part.

    :param columns: of its table.
    :param broken: sentences about the promises that did not hold.
    """

    columns: Sequence[str]
    rows: list[Sequence[object]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def promise(self, holds: object, broken: str) -> None:
        """Record a promise that does not hold."""
        if not holds:
            self.broken.append(broken)


class Faults:
    """A rule of the sandbox by which a share of the requests fails.

    :param rate: the share.
    :param parts: of the sandbox whose requests fail.
    """

    def __init__(self, rate: float, *parts: Part) -> None:
        self.rules = [RandomFaults(part, rate, mix(part), seed=n) for n, part in enumerate(parts)]
        self.came: list[tuple[Seen, Fault]] = []

    def __call__(self, seen: Seen) -> Fault | None:
        fault = next(filter(None, (rule(seen) for rule in self.rules)), None)
        if fault:
            self.came.append((seen, fault))
        return fault

    @property
    def observed(self) -> Counter[str]:
        """How often each fault came, by name."""
        return sum((rule.observed for rule in self.rules), Counter[str]())


FAULTS = (
    "500",
    "502 with a web page",
    "429 with Retry-After",
    "429 without",
    "reset",
    "truncated body",
    "slow",
    "400 of the token endpoint",
)


def mix(part: Part) -> dict[str, Fault]:
    """The faults of a part; ``times`` are weights.

    A 429 without Retry-After is rare, because it makes the client pause for up to a minute at VLM Run. A 401
    comes when Cradl's tokens are revoked.
    """
    faults = {
        "500": Fault(part, status=500, body=ERROR, times=24),
        "502 with a web page": Fault(part, times=24),
        "reset": Fault(part, "reset", times=24),
        "slow": Fault(part, "slow", seconds=1, times=24),
        "429 with Retry-After": rate_limit(part, times=22, retry_after="1"),
    }
    if part == "token":
        return faults | {
            "400 of the token endpoint": Fault(
                part, status=400, body=b'{"error": "invalid_request"}', times=24
            )
        }
    return faults | {
        "truncated body": Fault(part, "truncate", times=24),
        "429 without": rate_limit(part, times=2),
    }


@dataclass(frozen=True)
class Servers:
    """The sandbox and S3, and how processes reach them.

    :param home: a temporary directory.
    :param environment: of the processes.
    """

    sandbox: FaultySandbox
    s3: Any
    home: Path
    environment: dict[str, str]

    @property
    def bucket(self) -> str:
        return "soak"

    def connected(self, extra: dict[str, Any]) -> Servers:
        """The same servers with more extras of the services' connections."""
        return replace(self, environment=self.environment | connections(self.sandbox, extra))

    @contextmanager
    def process(self, module: str, order: object) -> Iterator[subprocess.Popen[str]]:
        """Run a module in a process of its own, until the block ends.

        :param order: its first argument, as JSON.
        """
        command = [sys.executable, "-m", f"soak.{module}", json.dumps(order)]
        with (self.home / f"{module}.log").open("a") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=log, text=True,
            )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def log(self, module: str) -> str:
        """The end of a module's log."""
        return (self.home / f"{module}.log").read_text(errors="replace")[-3000:]

    def objects(self, uris: Sequence[str]) -> Iterator[bytes]:
        """The contents of objects."""
        for uri in uris:
            key = uri.split(f"{self.bucket}/", 1)[1]
            yield self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()


@contextmanager
def start_servers(*, token_lifetime: float = 3600) -> Iterator[Servers]:
    """Start an empty sandbox and S3.

    :param token_lifetime: seconds for which a token of Cradl is valid.
    """
    import boto3

    from tests.storage.servers import s3_server

    # It logs each fault as a response that is not complete.
    logging.getLogger("uvicorn.error").addFilter(lambda record: "ASGI callable" not in record.getMessage())
    with (
        tempfile.TemporaryDirectory(prefix="soak-") as home,
        s3_server() as url,
        FaultySandbox(token_lifetime=token_lifetime) as sandbox,
    ):
        account = {"region_name": "us-east-1", "endpoint_url": url}
        s3 = boto3.client("s3", aws_access_key_id="soak", aws_secret_access_key="soak", **account)
        s3.create_bucket(Bucket="soak")
        store = {"conn_type": "aws", "login": "soak", "password": "soak", "extra": account}
        environment = connections(sandbox) | {
            "AIRFLOW_CONN_STORE": json.dumps(store),
            "AIRFLOW_HOME": f"{home}/airflow",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AWS_EC2_METADATA_DISABLED": "true",
            "HOME": home,
            "LANG": "C.UTF-8",
            # oauthlib refuses plain http for tokens; the sandbox never leaves this machine.
            "OAUTHLIB_INSECURE_TRANSPORT": "1",
            "PATH": os.defpath,
            "PYTHONPATH": str(ROOT / "scripts"),
            "TMPDIR": home,
        }
        yield Servers(sandbox, s3, Path(home), environment)


def connections(sandbox: FaultySandbox, extra: dict[str, Any] | None = None) -> dict[str, str]:
    """The environment variables of both services' connections, with more extras."""
    found = {}
    for service in SERVICES:
        given = sandbox.connection(service)
        whole = given | {"extra": given.get("extra", {}) | (extra or {})}
        found[f"AIRFLOW_CONN_{service.upper()}_DEFAULT"] = json.dumps(whole)
    return found


def megabytes(count: float) -> str:
    """Bytes, in MB."""
    return f"{count / 1e6:.1f}"


def say(line: object, to: IO[str] = sys.stdout) -> None:
    """Print a line at once."""
    print(line, file=to, flush=True)
