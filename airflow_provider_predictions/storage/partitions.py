"""Directories by day of creation, as Hive names them. Engines read only the days that a query needs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow_provider_predictions.api.service import Service

CREATED_DATE = "created_date"
UNKNOWN = "__HIVE_DEFAULT_PARTITION__"
"""The day of records without a readable time. Engines read it as null."""
FOLDER = rf"{CREATED_DATE}=(?:[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}|{UNKNOWN})"
_CHUNK = 4 << 20
"""Bytes of records that are held in memory while they are split."""


@dataclass
class Piece:
    """Records of one day, on their way into a part.

    :param folder: the directory of the day, relative to the landing's. Empty without partitions.
    """

    folder: str
    lines: Path
    count: int = 0


def folder_of(created: datetime | None) -> str:
    """The directory of a creation time. Days are those of UTC."""
    return f"{CREATED_DATE}={created.astimezone(UTC).date().isoformat() if created else UNKNOWN}"


def split(lines: Path, service: Service[Any], records_per_part: int, directory: Path) -> list[Piece]:
    """Split records by day, each day in the order of the list. One file is open at a time.

    :param records_per_part: the most records of a piece.
    :param directory: for the files of the pieces.
    """
    pieces: list[Piece] = []
    open_pieces: dict[str, Piece] = {}
    with lines.open("rb") as source:
        while chunk := source.readlines(_CHUNK):
            by_folder: dict[str, list[bytes]] = {}
            for line in chunk:
                by_folder.setdefault(folder_of(service.row(line.rstrip(b"\n")).created_at), []).append(line)
            for folder, found in by_folder.items():
                while found:
                    piece = open_pieces.get(folder)
                    if piece is None or piece.count == records_per_part:
                        piece = open_pieces[folder] = Piece(folder, directory / f"split-{len(pieces)}")
                        pieces.append(piece)
                    room = records_per_part - piece.count
                    taken, found = found[:room], found[room:]
                    # A killed attempt may have left a file of this name.
                    with piece.lines.open("ab" if piece.count else "wb") as file:
                        file.writelines(taken)
                    piece.count += len(taken)
    return pieces
