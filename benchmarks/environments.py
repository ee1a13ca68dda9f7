"""What the measured processes run in: an environment of their own for the peers, and throw-away homes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PEERS = ROOT / ".venv-benchmarks"
REQUIREMENTS = HERE / "requirements.txt"


def peers_python() -> str:
    """The Python of the peers' environment, which is made anew when the requirements change."""
    installed = PEERS / "requirements.txt"
    python = PEERS / "bin" / "python"
    if not installed.exists() or installed.read_bytes() != REQUIREMENTS.read_bytes():
        print(f"Installing what is compared with into {PEERS.name} ...", flush=True)
        shutil.rmtree(PEERS, ignore_errors=True)
        _uv("venv", "--quiet", "--python", sys.executable, str(PEERS))
        _uv(
            *("pip", "install", "--quiet", "--compile-bytecode"),
            *("--python", str(python), "--requirement", str(REQUIREMENTS)),
        )
        shutil.copy(REQUIREMENTS, installed)
    return str(python)


def _uv(*arguments: str) -> None:
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv is None:
        sys.exit("uv is needed; `make` installs it")
    subprocess.run([uv, *arguments], check=True, timeout=1800)


def variables(home: Path) -> dict[str, str]:
    """The environment variables of everything that is measured: nothing is left of the person who runs it.

    Bytecode may be written, whatever is usual here: it is what an installed package has.
    """
    return {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "TMPDIR": str(home),
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # oauthlib refuses plain http for tokens; the server never leaves this machine.
        "OAUTHLIB_INSECURE_TRANSPORT": "1",
        "DLT_DATA_DIR": str(home / "dlt"),
    }
