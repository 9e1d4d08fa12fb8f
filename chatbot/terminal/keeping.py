"""Conversations that are kept on disk: `--log` begins one, `--continue` and `--cid` go on with one."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from chatbot import paths
from chatbot.corpus import Report
from chatbot.dialogue import Turn
from chatbot.errors import ChatbotError
from chatbot.terminal import files, transcript

SOME = 5  # conversations that an error names


@dataclass
class Log:
    """The file that a conversation is kept in. It is written whole, so that only one program may have it.

    spoiled: what of the file cannot be gone on with, in a line; nothing where there is nothing else in it
    bot: who the conversation in it was held with, as far as it is known
    failed: whether it could not be written last
    """

    file: Path
    spoiled: str = ""
    bot: str = ""
    failed: bool = False
    _lock: FileLock = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._lock = FileLock(self.file.with_name(f".{self.file.name}.lock"))

    def claim(self) -> bool:
        """Have the file for this program alone, whether it is there yet or not; False if another has it."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return False
        except OSError as error:
            raise ChatbotError(f"{self.file} cannot be written: {error.strerror or error}") from None
        return True

    def close(self) -> None:
        """Leave the file to others."""
        if self._lock.is_locked:
            with suppress(OSError):  # Windows keeps a file that is open
                Path(self._lock.lock_file).unlink()
            self._lock.release()

    def write(self, turns: Sequence[Turn], bot: str, voices: Sequence[str] = ()) -> None:
        """Write what was said so far: nothing said, no file. What was spoiled stays beside it as it was."""
        self.failed = True
        try:
            if self.spoiled:
                shutil.copy2(self.file, self.spare())
                self.spoiled = ""
            if not turns:
                self.file.unlink(missing_ok=True)
        except OSError as error:
            raise ChatbotError(f"{self.file} cannot be written: {error.strerror or error}") from None
        if turns:
            transcript.write(self.file, turns, bot, voices)
        self.failed = False

    def spare(self) -> Path:
        """Another name for the file, that is free and no conversation's."""
        return next(spare for spare in _numbered(f"{self.file}.damaged") if not files.exists(spare))


def folder() -> Path:
    """Where conversations are kept."""
    return paths.home() / "conversations"


def fresh() -> Log:
    """A file for a conversation that begins now."""
    try:
        folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ChatbotError(f"{folder()} cannot be made: {error.strerror}") from None
    started = datetime.now().strftime("%Y-%m-%dT%H-%M-%S")
    for name in _numbered(str(folder() / started)):
        log = Log(name.with_name(f"{name.name}.jsonl"))
        if log.claim():
            if not files.exists(log.file):
                return log
            log.close()
    raise AssertionError("there is always a number that is free")


def kept() -> list[Path]:
    """The conversations that were kept, the last one first."""
    there = filter(files.is_file, folder().glob("*.jsonl"))  # not a link to nowhere
    return sorted(there, key=lambda file: (file.stat().st_mtime_ns, file.name), reverse=True)


def newest() -> Path:
    """The conversation that was kept last."""
    if not (found := kept()):
        raise ChatbotError("no conversation was kept yet", "keep one: chatbot chat --log")
    return found[0]


def called(name: str) -> Path:
    """The kept conversation of that name, or the only one whose name begins so."""
    there = kept()
    found = [file for file in there if name in (file.name, file.stem)]
    found = found or [file for file in there if name and file.name.startswith(name)]
    if len(found) == 1:
        return found[0]
    what = "several conversations are called" if found else "no conversation was kept as"
    some = ", ".join(file.stem for file in (found or there)[:SOME]) or "none"
    raise ChatbotError(f"{what} {name}", f"there are: {some}")


def resumed(name: str = "") -> tuple[Log, tuple[Turn, ...], tuple[str, ...]]:
    """A kept conversation, to go on with: its file, what was said, and by which bots.

    name: as `called` knows it; without it, the one that was kept last.
    """
    log = Log(called(name) if name else newest())
    if not log.claim():
        raise ChatbotError(
            f"the conversation in {log.file} is open in another chatbot",
            "leave it there, or begin another one: chatbot chat --log",
        )
    try:
        turns, report = transcript.with_report(log.file)
    except ChatbotError as error:
        log.close()
        told = f"the conversation {log.file.stem}" if name else "the conversation kept last"
        what = f"{told} cannot be gone on with: {error.what}"
        raise ChatbotError(what, f"begin another with --log, or move {log.file} away") from None
    log.bot, voices = transcript.spoken(log.file, len(turns))
    if reason := _spoiled(report):
        log.spoiled = f"{log.file} {reason}; before it is written anew, all of it goes to {log.spare().name}"
    return log, turns, voices


def _spoiled(report: Report) -> str:
    """Why a file is not one conversation, whole."""
    for reason, count in report.dropped.items():
        what, _, why = reason.partition(": ")
        return f"is damaged: {why} ({count} of its {what}, first {report.first[reason]})"
    several = report.conversations_read > 1
    return f"holds {report.conversations_read} conversations, of which the last goes on" if several else ""


def _numbered(path: str) -> Iterator[Path]:
    """The path, then others that are told from it by a number."""
    return map(Path, itertools.chain([path], (f"{path}-{n}" for n in itertools.count(2))))
