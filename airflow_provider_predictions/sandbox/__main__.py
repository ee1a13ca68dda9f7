"""``python -m airflow_provider_predictions.sandbox``: both services on localhost until Ctrl-C."""

from __future__ import annotations

import argparse
import shlex

from airflow_provider_predictions.sandbox.server import Sandbox

MAX_PORT = 65535


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_predictions.sandbox",
        description="VLM Run and Cradl on localhost, without an account.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--port", type=_port, default=8765, help="0 for any that is free")
    parser.add_argument("--count", type=int, default=250, help="finished predictions of each service")
    parser.add_argument("--moving", type=int, default=8, help="predictions that finish within 16 seconds")
    parser.add_argument("--seed", type=int, default=7, help="equal seeds give equal predictions")
    parser.add_argument("--token-lifetime", type=float, default=3600, help="seconds")
    with Sandbox(**vars(parser.parse_args())) as sandbox:
        print(f"Serving VLM Run and Cradl at {sandbox.url}; stop with Ctrl-C. For Airflow, set")
        print()
        for name, value in sandbox.environment().items():
            print(f"export {name}={shlex.quote(value)}")
        # oauthlib rejects plain http for tokens. This server listens on this machine only.
        print("export OAUTHLIB_INSECURE_TRANSPORT=1", flush=True)
        try:
            sandbox.wait()
        except KeyboardInterrupt:
            print("Stopped.")


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > MAX_PORT:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to {MAX_PORT}")
    return int(text)


if __name__ == "__main__":
    main()
