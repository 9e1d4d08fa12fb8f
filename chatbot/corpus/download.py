"""Fetch a published corpus: resumable, bounded, checked, and unpacked all at once or not at all."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import ssl
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from chatbot.errors import CorpusError

Progress = Callable[[int, int], None]  # bytes so far, bytes in all

CHUNK = 1 << 16
TIMEOUT = 30  # seconds without a byte
USER_AGENT = "chatbot-corpus-download"


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a corpus is published, and what exactly is expected there."""

    url: str
    size: int  # bytes of the archive
    sha256: str
    folder: str  # the folder inside the archive that is left out
    licence: str
    unpacked_limit: int  # bytes that the archive may unpack to
    files: tuple[str, ...]  # those that make a folder a corpus

    @property
    def archive(self) -> str:
        """The archive's file name."""
        return self.url.rsplit("/", 1)[-1]


SOURCES = {
    "cornell": Source(
        url="https://www.cs.cornell.edu/~cristian/data/cornell_movie_dialogs_corpus.zip",
        size=9_916_637,
        sha256="3bde8a571f615201bc2d2453e22878090719638592f774720eddec739de8c900",
        folder="cornell movie-dialogs corpus",
        licence="for research; not to be redistributed",
        unpacked_limit=100_000_000,  # 42 MB in truth
        files=("movie_lines.txt", "movie_conversations.txt"),
    ),
}


def wanted(path: Path) -> Source | None:
    """The source that a path like corpora/cornell stands for, where its data is not there yet."""
    source = SOURCES.get(Path(path).name)
    if source is None or (path.exists() and not path.is_dir()):
        return None
    return None if _has_data(path, source) else source


def fetch(source: Source, folder: Path, progress: Progress | None = None, url: str | None = None) -> None:
    """Download, check and unpack into a folder; what is in the folder already stays as it is.

    An archive that was put into the folder by hand is used instead. What was downloaded before a failure
    or Ctrl-C stays in <archive>.part, and the next fetch goes on from there.
    """
    archive, part = folder / source.archive, folder / f"{source.archive}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if archive.exists():
            _check(archive, source)
            _unpack(archive, folder, source)
            return
        if _size(part) < source.size:
            _download(url or source.url, part, source, progress)
        _check_part(part, source)
        _unpack(part, folder, source)
        part.unlink()
    except OSError as error:
        raise CorpusError(
            f"{folder} cannot be written: {error.strerror or error}", _resumed(source)
        ) from None


def _has_data(folder: Path, source: Source) -> bool:
    """The source's own files, or data that somebody put there: a folder, or dialogues as JSON."""
    if not folder.is_dir():
        return False
    if all((folder / name).is_file() for name in source.files):
        return True
    visible = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    return any(entry.is_dir() or entry.suffix == ".jsonl" for entry in visible)


# Downloading


def _download(url: str, part: Path, source: Source, progress: Progress | None) -> None:
    start = _size(part)
    headers = {"User-Agent": USER_AGENT} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=TIMEOUT
        ) as response:
            start = start if _goes_on(response, start) else 0
            with part.open("ab" if start else "wb") as file:
                _receive(response, file, start, source, progress)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # the part is no part of what is published now
            part.unlink(missing_ok=True)
        raise CorpusError(
            f"{url} answers {error.code} {error.reason}", _by_hand(source, part.parent)
        ) from None
    except urllib.error.URLError as error:
        raise CorpusError(f"{url} cannot be reached: {error.reason}", _by_hand(source, part.parent)) from None
    except (http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
        raise _cut(part, source, error) from None
    if _size(part) < source.size:
        raise _cut(part, source, "the connection was cut")


def _goes_on(response: http.client.HTTPResponse, start: int) -> bool:
    """The server may ignore the Range, or send another: then all starts again."""
    sent = re.fullmatch(r"bytes (\d+)-\d+/(?:\d+|\*)", response.headers.get("Content-Range", ""))
    return response.status == 206 and sent is not None and int(sent[1]) == start


def _receive(
    response: http.client.HTTPResponse, file: BinaryIO, done: int, source: Source, progress: Progress | None
) -> None:
    while data := response.read1(CHUNK):
        done += len(data)
        if done > source.size:
            file.truncate(0)
            raise CorpusError(f"{source.archive} is larger than the {source.size:,} bytes that are published")
        file.write(data)
        if progress:
            progress(done, source.size)


def _cut(part: Path, source: Source, error: object) -> CorpusError:
    what = f"the download stopped at {_size(part):,} of {source.size:,} bytes: {error}"
    return CorpusError(what, _resumed(source))


def _check_part(part: Path, source: Source) -> None:
    try:
        _check(part, source)
    except CorpusError:
        part.unlink()  # resuming it would fail for ever
        raise


def _check(archive: Path, source: Source) -> None:
    digest = hashlib.sha256()
    with archive.open("rb") as file:
        while data := file.read(1 << 20):
            digest.update(data)
    if digest.hexdigest() != source.sha256:
        what = (
            f"{archive} is not the published archive: sha256 {digest.hexdigest()}, expected {source.sha256}"
        )
        raise CorpusError(what, f"remove it and run again, or get {source.url}")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _resumed(source: Source) -> str:
    return f"run again to go on with {source.archive} where it stopped"


def _by_hand(source: Source, folder: Path) -> str:
    return f"download {source.url} on another machine and put it as {folder / source.archive}"


# Unpacking


def _unpack(archive: Path, folder: Path, source: Source) -> None:
    """Into a hidden folder first: the corpus is there whole, or not at all."""
    with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=folder) as temporary:
        aside = Path(temporary)
        try:
            with zipfile.ZipFile(archive) as opened:
                _extract(opened, aside, source)
        except (
            zipfile.BadZipFile,
            NotImplementedError,
            RuntimeError,
            EOFError,
        ) as error:  # what zipfile raises
            raise CorpusError(f"{archive} cannot be unpacked: {error}") from None
        missing = [name for name in source.files if not (aside / name).is_file()]
        if missing:
            raise CorpusError(f"{archive} holds no {' and no '.join(missing)}")
        # What makes the folder a corpus moves last, so that a half-moved one is fetched again.
        for entry in sorted(aside.iterdir(), key=lambda entry: entry.name in source.files):
            if not (folder / entry.name).exists():
                os.rename(entry, folder / entry.name)


def _extract(opened: zipfile.ZipFile, aside: Path, source: Source) -> None:
    room = source.unpacked_limit
    for member in opened.infolist():
        name = _safe_name(member, source)
        if name is None or member.is_dir():
            continue
        target = aside / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with opened.open(member) as packed, target.open("wb") as file:
            while data := packed.read(CHUNK):
                room -= len(data)  # counted, because the sizes in the archive's headers can lie
                if room < 0:
                    raise CorpusError(f"{source.archive} unpacks to over {source.unpacked_limit:,} bytes")
                file.write(data)


def _safe_name(member: zipfile.ZipInfo, source: Source) -> PurePosixPath | None:
    """Where a member goes, None for what is left out; a name that leads elsewhere is an error."""
    name = member.orig_filename  # as it is in the archive: zipfile has changed \ and cut at \0 in .filename
    path = PurePosixPath(name)
    is_link = (member.external_attr >> 16) & 0o170000 == 0o120000
    if path.is_absolute() or ".." in path.parts or re.search(r"[\\:\x00-\x1f]", name) or is_link:
        raise CorpusError(f"{source.archive} holds {name!r}, which leads out of the folder")
    parts = path.parts[1:] if path.parts[:1] == (source.folder,) else path.parts
    if not parts or path.parts[0] == "__MACOSX" or parts[-1] in (".DS_Store", "Icon\r"):
        return None
    return PurePosixPath(*parts)
