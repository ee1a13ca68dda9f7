"""Write tables into ``docs/benchmarks.md``, with the functions of ``scripts/tables.py``."""

from __future__ import annotations

import sys

from environments import ROOT

sys.path.append(str(ROOT / "scripts"))

from tables import markdown, write, write_table

__all__ = ["PAGE", "markdown", "write", "write_table"]

PAGE = ROOT / "docs" / "benchmarks.md"
