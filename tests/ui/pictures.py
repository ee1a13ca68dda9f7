"""Which pictures of the documentation are to be taken, and where they go."""

from __future__ import annotations

import os
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def shown() -> set[str]:
    """The names of the pictures that the README and the pages show."""
    pages = "".join(page.read_text() for page in (ROOT / "README.md", *ROOT.glob("docs/**/*.md")))
    return set(re.findall(r"images/([\w-]+)\.png\)", pages))


def path_of(name: str) -> Path | None:
    """Where a picture goes; None if none is wanted, or no page shows it."""
    folder = os.environ.get("SCREENSHOTS")
    return Path(folder, f"{name}.png") if folder and name in shown() else None
