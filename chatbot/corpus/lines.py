"""Lines of a file as bytes, each with its number and place, none so long that it eats the memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from chatbot.corpus.report import Report

LONGEST = 10_000_000  # bytes; the longest line in the corpora we know has 30,000
TOO_LONG = f"lines: longer than {LONGEST // 1_000_000} MB"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """One line without its line end."""

    number: int  # from 1, as editors count
    offset: int  # of its first byte in the file
    data: bytes


def numbered(path: Path, report: Report) -> Iterator[Line]:
    """The lines of a file that are not blank; one that is too long is counted and skipped."""
    offset = number = 0
    with path.open("rb") as file:
        while data := file.readline(LONGEST):
            number += 1
            start, offset = offset, offset + len(data)
            if len(data) == LONGEST and not data.endswith(b"\n"):
                report.drop(TOO_LONG, f"{path.name}:{number}")
                offset += _skip(file)
                continue
            if number == 1 and data.startswith(BYTE_ORDER_MARK):
                data, start = data[3:], start + 3
            data = data.rstrip(b"\r\n")
            if data and not data.isspace():
                yield Line(number, start, data)


def _skip(file: BinaryIO) -> int:
    """Leave the rest of a line behind; how many bytes that was."""
    skipped = 0
    while data := file.readline(1 << 20):
        skipped += len(data)
        if data.endswith(b"\n"):
            break
    return skipped
