"""Makes the text for the package's page of the README. The page is shown without the repository."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

RELATIVE = r"\((?!https?://)[^)]+\)"


def published(readme: str) -> str:
    """The README without its pictures, and without links into the repository. Their texts stay."""
    text = re.sub(r"<!--.*?-->\n*", "", readme)
    # A row of pictures takes the row below it along, which makes it a table.
    text = re.sub(rf"^\|( !\[[^\]]*\]{RELATIVE} \|)+\n\|[-|]+\|\n+", "", text, flags=re.MULTILINE)
    return re.sub(rf"\[([^\]]+)\]{RELATIVE}", r"\1", text)


class Readme(MetadataHookInterface):
    """Hatchling calls this for each build."""

    def update(self, metadata: dict[str, Any]) -> None:
        text = published(Path(self.root, "README.md").read_text(encoding="utf-8"))
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
