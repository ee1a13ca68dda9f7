"""The sandbox, with new predictions coming in all the time, until Ctrl-C. The tutorial waits for them."""

from __future__ import annotations

import argparse
import shlex
import time
from contextlib import suppress

from airflow_provider_predictions.sandbox.server import Sandbox

EVERY = 20
"""Seconds from one batch of new predictions to the next. A batch is finished within 13 of them."""
BATCH = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8765)
    with (
        Sandbox(port=parser.parse_args().port, count=250, moving=BATCH) as sandbox,
        suppress(KeyboardInterrupt),
    ):
        print(f"Serving VLM Run and Cradl at {sandbox.url}; stop with Ctrl-C.")
        print(f"Every {EVERY} seconds, {BATCH} new predictions come in. For Airflow, set")
        print()
        for name, value in sandbox.environment().items():
            print(f"export {name}={shlex.quote(value)}")
        # oauthlib refuses plain http for tokens; the sandbox never leaves this machine.
        print("export OAUTHLIB_INSECURE_TRANSPORT=1", flush=True)
        receive(sandbox)
    print("Stopped.")


def receive(sandbox: Sandbox) -> None:
    """Let more predictions come in, without an end."""
    while True:
        time.sleep(EVERY)
        sandbox.receive(BATCH)


if __name__ == "__main__":
    main()
