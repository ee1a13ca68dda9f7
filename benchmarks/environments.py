"""Processes: an environment for the peers, throw-away homes, and a process for each measurement."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PEERS = ROOT / ".venv-benchmarks"
PEERS_PYTHON = PEERS / "bin" / "python"
REQUIREMENTS = HERE / "requirements.txt"
LONGEST = 900
"""Seconds of one measurement."""
# The runner imports the package of this checkout and the tables of scripts/, wherever it is started.
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]


def install_peers() -> None:
    """Make the environment of the peers anew if the requirements have changed."""
    installed = PEERS / "requirements.txt"
    if installed.exists() and installed.read_bytes() == REQUIREMENTS.read_bytes():
        return
    print(f"Installing what is compared with into {PEERS.name} ...", flush=True)
    shutil.rmtree(PEERS, ignore_errors=True)
    _uv("venv", "--quiet", "--python", sys.executable, str(PEERS))
    _uv(
        *("pip", "install", "--quiet", "--compile-bytecode"),
        *("--python", str(PEERS_PYTHON), "--requirement", str(REQUIREMENTS)),
    )
    shutil.copy(REQUIREMENTS, installed)


def _uv(*arguments: str) -> None:
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv is None:
        sys.exit("uv is needed; `make` installs it")
    subprocess.run([uv, *arguments], check=True, timeout=1800)


@contextmanager
def throwaway_home() -> Iterator[None]:
    """Leave nothing of the person's environment to this process and those that it starts.

    They may write bytecode, because an installed package has bytecode.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark-") as home:
        os.environ.clear()
        os.environ |= {
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            "HOME": home,
            "TMPDIR": home,
            "PYTHONPATH": str(ROOT),
            "AIRFLOW_HOME": f"{home}/airflow",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            # oauthlib refuses plain http for tokens; the server never leaves this machine.
            "OAUTHLIB_INSECURE_TRANSPORT": "1",
            "DLT_DATA_DIR": f"{home}/dlt",
        }
        tempfile.tempdir = home
        yield


def measured(function: str, *arguments: object, peers: bool = False) -> dict[str, Any]:
    """Call a function of ``measure.py`` in a process of its own, whose files are removed.

    :param peers: in their environment.
    """
    python = PEERS_PYTHON if peers else sys.executable
    with tempfile.TemporaryDirectory() as folder:
        ended = subprocess.run(
            [python, str(HERE / "measure.py"), function, json.dumps(arguments)],
            cwd=folder, capture_output=True, text=True, timeout=LONGEST, check=False,
        )  # fmt: skip
        if ended.returncode:
            said = f"{ended.stdout[-2000:]}{ended.stderr[-4000:]}"
            sys.exit(f"{said}\n{function} {arguments}: ended with {ended.returncode}")
        run: dict[str, Any] = json.loads(Path(folder, "result.json").read_text())
        return run
