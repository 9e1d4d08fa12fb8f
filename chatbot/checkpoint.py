"""A bot's folder: everything that `chat` needs, and nothing that could run code.

config.json           a section per owner: model, tokenizer, training, sampling, examples, corpus
tokenizer.model       SentencePiece
model.safetensors     the best weights, with their figures and date in the header
training.safetensors  the state to go on from, all in one file so that it is of one moment
metrics.jsonl         a line for each validation
evaluation.json       the last `chatbot eval`, if there was one
samples.json          replies that `chatbot verify` makes again
notes.md              what whoever trained it says; a part of the card
README.md             the bot's card, if `chatbot report` made one

Every file is written beside and renamed, so none is ever half a file; tensors carry their checksum.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from chatbot import paths
from chatbot.config import from_dict, to_dict
from chatbot.errors import ChatbotError, CheckpointError, suggestion
from chatbot.tokenizer import Tokenizer

FORMAT = 1
CONFIG, TOKENIZER, MODEL = "config.json", "tokenizer.model", "model.safetensors"
TRAINING, METRICS, EVALUATION = "training.safetensors", "metrics.jsonl", "evaluation.json"
SAMPLES, NOTES = "samples.json", "notes.md"
FIGURE = "nats_per_word"  # the one that bots are compared by
LONGEST_NAME = 40  # characters of what a bot calls itself
CLEARLY = 0.9  # of a unigram model's: a bot that comes to more babbles
STARTERS = ("starter-seq2seq", "starter-gpt")  # the bots that come with the program, the one to talk to last
OWN = (CONFIG, TOKENIZER, MODEL, TRAINING, METRICS, EVALUATION, SAMPLES)  # the files that make a bot
NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # none on Windows

Tensors = Mapping[str, NDArray[Any]]  # Any: training state holds floats and bytes
Section = dict[str, Any]  # Any: JSON values; the section's owner checks them


@dataclass(frozen=True, kw_only=True)
class BotConfig:
    """config.json. Each section belongs to the class that reads it."""

    format: int
    family: str
    size: str = ""
    origin: str = ""  # the bot whose weights its training began from
    called: str = ""  # what it calls itself
    model: Section
    tokenizer: Section = field(default_factory=dict)
    training: Section = field(default_factory=dict)
    sampling: Section = field(default_factory=dict)
    styles: Section = field(default_factory=dict)
    examples: Section = field(default_factory=dict)
    corpus: Section = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Weights:
    """The best weights, and the figures they reached."""

    tensors: Tensors
    header: Section


@dataclass(frozen=True, slots=True)
class Summary:
    """A line of `chatbot list`."""

    name: str
    folder: Path
    family: str = ""
    parameters: int = 0
    trained: str = ""
    figures: dict[str, float] = field(default_factory=dict)
    corpus: str = ""
    backward: bool = False
    problem: str = ""
    floor: dict[str, float] = field(default_factory=dict)  # a unigram model's figures, where they are known

    @property
    def has_learned(self) -> bool:
        """Whether it foretells replies clearly better than who only knows how frequent each token is."""
        figure, floor = self.figures.get(FIGURE), self.floor.get(FIGURE)
        return figure is None or floor is None or figure < CLEARLY * floor


@dataclass(frozen=True)
class Checkpoint:
    """A bot's folder, opened: its configuration and tokenizer. Weights are read when asked for."""

    folder: Path
    config: BotConfig
    tokenizer: Tokenizer

    @property
    def name(self) -> str:
        """The folder's name."""
        return called(self.folder)

    @classmethod
    def create(
        cls,
        folder: Path,
        config: BotConfig,
        tokenizer: Tokenizer,
        tensors: Tensors | None = None,
        **header: Any,
    ) -> Checkpoint:
        """Make the folder of a bot, with its weights if it has learned already. It must not exist."""
        with _made(folder, "go on with --resume, or give another --name") as partial:
            made = cls(partial, config, tokenizer)
            made._begin()
            if tensors is not None:
                made.save_weights(tensors, **header)
        return cls(folder, config, tokenizer)

    @classmethod
    def load(cls, folder: Path) -> Checkpoint:
        """Open a bot's folder; a damaged, incomplete or newer one is a CheckpointError."""
        config = _read_config(folder)
        _check_kind(folder / TOKENIZER)
        try:
            tokenizer = Tokenizer((folder / TOKENIZER).read_bytes())
        except FileNotFoundError:
            raise CheckpointError(f"{folder} is incomplete: {TOKENIZER} is missing") from None
        except (OSError, ChatbotError) as error:
            raise CheckpointError(f"{folder / TOKENIZER} cannot be read: {error}") from None
        if config.model.get("vocabulary") != len(tokenizer):
            raise CheckpointError(
                f"{folder} is damaged: its model has {config.model.get('vocabulary')} pieces, "
                f"its tokenizer {len(tokenizer)}"
            )
        return cls(folder, config, tokenizer)

    def configure(self, config: BotConfig) -> None:
        """Replace config.json."""
        with _beside(self.folder / CONFIG) as partial:
            partial.write_text(_written(config))

    @property
    def has_state(self) -> bool:
        """Whether there is a training to go on with."""
        return (self.folder / TRAINING).exists()

    @property
    def has_weights(self) -> bool:
        """Whether the bot has learned anything that was kept."""
        return (self.folder / MODEL).is_file()

    def weights(self) -> Weights:
        """The best weights, checked against their checksum."""
        hint = "if its training was cut short, go on with --resume; else train under another --name"
        tensors, header = _read_tensors(self.folder / MODEL, hint)
        return Weights({name: _whole(tensor) for name, tensor in tensors.items()}, header)

    def save_weights(self, tensors: Tensors, **header: Any) -> None:
        """Replace the weights by better ones."""
        stamp = datetime.now(timezone.utc).isoformat(timespec="seconds")
        _write_tensors(self.folder / MODEL, tensors, {**header, "trained": stamp})

    def pack(self, folder: Path, called: str = "") -> Checkpoint:
        """A copy to give away: weights as float16, no training state, nothing that was measured with others.

        called: what it calls itself, if it is not to be what it was. The folder must not exist. Weights that
        float16 cannot hold are a CheckpointError.
        """
        kept = self.weights()
        with np.errstate(over="ignore"):
            halved = {name: tensor.astype(np.float16) for name, tensor in kept.tensors.items()}
        if not all(np.isfinite(tensor).all() for tensor in halved.values()):
            raise CheckpointError(f"the weights of {self.name} are too large for half precision")
        config = replace(self.config, called=called or self.config.called)
        with _made(folder, "give the copy another name") as partial:
            Checkpoint(partial, config, self.tokenizer)._begin()
            for name in (METRICS, NOTES):
                if text := self.text(name):
                    (partial / name).write_text(text, encoding="utf-8", errors="replace")
            _save_tensors(partial / MODEL, halved, dict(kept.header))
        return Checkpoint(folder, config, self.tokenizer)

    def _begin(self) -> None:
        (self.folder / TOKENIZER).write_bytes(self.tokenizer.serialized)
        (self.folder / CONFIG).write_text(_written(self.config))

    def training_state(self) -> tuple[Tensors, Section] | None:
        """Where the training stood when it was last saved; None if it never was."""
        if not self.has_state:
            return None
        return _read_tensors(
            self.folder / TRAINING, "train under another --name; --from begins with what a bot knows"
        )

    @property
    def run(self) -> str:
        """The run of torchrun that saved where the training stood; "" if none did."""
        if not self.has_state:
            return ""
        with _opened(self.folder / TRAINING, "train under another --name") as handle:
            return str(_header(handle).get("run", ""))

    def save_training_state(self, tensors: Tensors, **header: Any) -> None:
        """Replace the state to go on from."""
        _write_tensors(self.folder / TRAINING, tensors, header)

    def log(self, **figures: Any) -> None:
        """Add a line to metrics.jsonl."""
        file = self.folder / METRICS
        _check_kind(file)
        try:
            # Never through a link: a bot's folder may come from elsewhere.
            with open(file, "a", opener=lambda path, flags: os.open(path, flags | NO_LINK, 0o666)) as lines:
                lines.write(json.dumps(figures) + "\n")
        except OSError as error:
            raise CheckpointError(f"{file} cannot be written: {error.strerror}") from None

    def metrics(self) -> list[Section]:
        """The lines of metrics.jsonl, without broken ones; empty where there are none."""
        lines = _text(self.folder / METRICS).splitlines()
        return [line for text in lines if (line := _object(text))]

    def evaluation(self) -> Section | None:
        """The last evaluation as JSON values; None if there was none."""
        file = self.folder / EVALUATION
        text = _text(file)
        if not text and not file.exists():
            return None
        found = _object(text)
        if not found:
            raise CheckpointError(f"{file} is damaged", "make it again: chatbot eval")
        return found

    @staticmethod
    def write(file: Path, text: str) -> None:
        """Replace a text file, whole or not at all; what is no plain file (/dev/stdout) is written to."""
        if os.path.islink(file) or (os.path.exists(file) and not os.path.isfile(file)):
            try:
                file.write_text(text, encoding="utf-8", errors="replace")
            except OSError as error:
                raise CheckpointError(f"{file} cannot be written: {error.strerror}") from None
        else:
            _replace(file, text)

    def text(self, name: str) -> str:
        """A text file of the folder; "" where there is none. One that cannot be read is a CheckpointError."""
        return _text(self.folder / name)

    def save_text(self, name: str, text: str) -> None:
        """Replace a text file of the folder: the evaluation, the card."""
        _replace(self.folder / name, text)

    def forget_after(self, step: int) -> None:
        """Drop the lines of metrics.jsonl that a resumed training will write again."""
        file = self.folder / METRICS
        if file.exists():
            lines = [line for line in _text(file).splitlines() if _step_of(line) <= step]
            with _beside(file) as partial:
                partial.write_text("".join(line + "\n" for line in lines))


def introduced(folder: Path) -> str:
    """A bot by the name that it has for itself, if it has one, and by its folder's."""
    with suppress(ChatbotError):  # who loads it will hear of it
        own = " ".join(_read_config(folder).called.split())[:LONGEST_NAME]
        if any(map(str.isalnum, own)):
            return f"{own} ({called(folder)})"
    return called(folder)


def called(folder: Path) -> str:
    """The name of the bot in this folder, whether it is given as ".", a path or a link."""
    return Path(os.path.abspath(folder)).name  # not resolve(): `available` lists a link by its own name too


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """A bot's folder for one training alone, whether it exists yet or not."""
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise CheckpointError(
            f"{folder} is being trained already, by another chatbot", "wait for it, or give another --name"
        ) from None
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be written: {error.strerror or error}") from None
    try:
        yield
    finally:
        with suppress(OSError):  # Windows keeps a file that is open
            os.unlink(lock.lock_file)
        lock.release()


def find(name: str | None = None) -> Path:
    """The folder of the bot of that name or path; without one, of the bot trained last."""
    if name is None:
        bot = newest(available())
        if bot is None:
            raise CheckpointError(
                "there is no bot to talk to yet; train one: chatbot train corpora/smalltalk --time 3m"
            )
        return bot.folder
    if folder := _folder(name):
        return folder
    known = [bot.name for bot in available()]
    hint = suggestion(name, known) or "train one: chatbot train corpora/cornell"
    raise CheckpointError(f"there is no bot '{name}'", hint)


def is_bot(name: str) -> bool:
    """Whether there is a bot of that name or path."""
    return _folder(name) is not None


def _folder(name: str) -> Path | None:
    places = (Path(name), *(parent / name for parent in paths.checkpoint_folders()))
    # Not is_file(): what no file can be called (too long, a NUL) is no bot either.
    return next((folder for folder in places if os.path.isfile(folder / CONFIG)), None)


def newest(bots: Sequence[Summary]) -> Summary | None:
    """The one trained last, of those that can be talked to: who is, where no name is given.

    Those that come with the program are for who has no other, or only ones that have learned nothing.
    """
    usable = (bot for bot in bots if not bot.problem and not bot.backward)
    ranks = {name: rank for rank, name in enumerate(STARTERS, 1)}
    own = len(STARTERS) + 1

    def rank(bot: Summary) -> int:
        return ranks.get(bot.name, own) if bot.has_learned else 0

    return max(usable, key=lambda bot: (rank(bot), bot.trained), default=None)


def available() -> list[Summary]:
    """Every bot that `find` can find by name, damaged ones with their problem."""
    seen: dict[str, Summary] = {}
    for parent in paths.checkpoint_folders():
        with suppress(OSError):  # a folder that may not be entered holds no bot for us
            for config in sorted(parent.glob("*/" + CONFIG)):
                seen.setdefault(config.parent.name, _summary(config.parent))
    return sorted(seen.values(), key=lambda bot: bot.name)


def _whole(tensor: NDArray[Any]) -> NDArray[Any]:
    """Half precision is how weights are kept, not what they are computed with."""
    return tensor.astype(np.float32) if tensor.dtype == np.float16 else tensor


def checksum(tensors: Tensors) -> str:
    """SHA-256 of names, shapes and values."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        array = np.asarray(tensors[name], order="C")
        digest.update(f"{name}{array.dtype}{array.shape}".encode())
        digest.update(array.data)
    return digest.hexdigest()


def _summary(folder: Path) -> Summary:
    try:
        config = _read_config(folder)
        if not (folder / TOKENIZER).is_file():
            raise CheckpointError(f"{folder} is incomplete: {TOKENIZER} is missing")
        if not (folder / MODEL).exists():
            raise CheckpointError(f"its training has just begun, or was cut short: {MODEL} is missing")
        with _opened(folder / MODEL, "") as file:
            header = _header(file)
            count = sum(int(np.prod(file.get_slice(name).get_shape())) for name in file.keys())  # noqa: SIM118
        return Summary(
            folder.name,
            folder,
            config.family,
            count,
            str(header.get("trained", "")),
            {k: float(v) for k, v in dict(header.get("figures") or {}).items()},
            str(config.corpus.get("name", "")),
            bool(config.examples.get("backward")),
            floor={k: float(v) for k, v in dict(header.get("floor") or {}).items()},
        )
    except (ChatbotError, TypeError, ValueError, OverflowError) as error:
        return Summary(folder.name, folder, problem=str(error))


def _written(config: BotConfig) -> str:
    return json.dumps(to_dict(config), indent=2) + "\n"


def _read_config(folder: Path) -> BotConfig:
    file = folder / CONFIG
    _check_kind(file)
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{folder} is not a bot: {CONFIG} is missing") from None
    except PermissionError:
        raise CheckpointError(f"{file} cannot be read: permission denied") from None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{file} is damaged: {error}") from None
    written = values.get("format") if isinstance(values, dict) else None
    if not isinstance(written, int):
        raise CheckpointError(f"{file} is damaged: it names no format")
    if written > FORMAT:
        raise CheckpointError(
            f"{folder} was written by a newer chatbot (format {written}; this one reads {FORMAT})",
            "install a newer chatbot",
        )
    try:
        return from_dict(BotConfig, values, CONFIG)
    except ChatbotError as error:
        raise CheckpointError(f"{file} is damaged: {error.what}", error.hint) from None


def _check_kind(file: Path) -> None:
    """Nothing else than a file is opened: a pipe would be waited for, a device may have no end."""
    if os.path.exists(file) and not os.path.isfile(file):
        raise CheckpointError(f"{file} is damaged: it is not a file")


@contextmanager
def _opened(file: Path, hint: str) -> Iterator[Any]:  # Any: safetensors' handle has no stubs
    _check_kind(file)
    if not file.exists():
        raise CheckpointError(f"{file.parent} is incomplete: {file.name} is missing", hint)
    if not os.access(file, os.R_OK):
        raise CheckpointError(f"{file} cannot be read: permission denied")
    try:
        with safe_open(file, framework="numpy") as handle:
            yield handle
    except (OSError, SafetensorError, TypeError) as error:
        raise CheckpointError(f"{file} is damaged: {error}", hint) from None


def _header(handle: Any) -> Section:
    try:
        header = json.loads((handle.metadata() or {})["chatbot"])
    except (KeyError, ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise SafetensorError("its header was not written by chatbot")
    return header


def _read_tensors(file: Path, hint: str) -> tuple[Tensors, Section]:
    with _opened(file, hint) as handle:
        tensors, header = {name: handle.get_tensor(name) for name in handle.keys()}, _header(handle)  # noqa: SIM118
    if header.pop("checksum", None) != checksum(tensors):
        raise CheckpointError(f"{file} is damaged: its checksum is not that of its values", hint)
    return tensors, header


def _write_tensors(file: Path, tensors: Tensors, header: Section) -> None:
    with _beside(file) as partial:
        _save_tensors(partial, tensors, header)


def _save_tensors(file: Path, tensors: Tensors, header: Section) -> None:
    # sorted: the same state gives the same bytes
    arrays = {name: np.asarray(tensors[name], order="C") for name in sorted(tensors)}
    metadata = {"chatbot": json.dumps({**header, "checksum": checksum(arrays)})}
    file.touch()
    mode = file.stat().st_mode  # as the user's umask has it: safetensors would keep all others out
    save_file(arrays, file, metadata=metadata)
    file.chmod(mode)


@contextmanager
def _made(folder: Path, hint: str) -> Iterator[Path]:
    """A new folder to write into, which gets its name if all went well and is gone if not.

    hint: what to do where there is something of that name already.
    """
    if os.path.lexists(folder):
        raise CheckpointError(f"{folder} exists already", hint)
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    try:
        partial.mkdir(parents=True)
        yield partial
        partial.rename(folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise CheckpointError(
            f"{folder} cannot be written: {getattr(error, 'strerror', None) or error}"
        ) from None
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


@contextmanager
def _beside(file: Path) -> Iterator[Path]:
    """A path to write to, which takes the file's place if all went well."""
    partial = file.with_name(f".{file.name}.partial")
    _remove(partial)  # a link there, in a folder from elsewhere, would be written through
    try:
        yield partial
        with partial.open("rb") as written:
            os.fsync(written.fileno())  # or a power cut could leave an empty file under the final name
        partial.replace(file)
    except (OSError, SafetensorError) as error:
        _remove(partial)
        raise CheckpointError(
            f"{file} cannot be written: {getattr(error, 'strerror', None) or error}",
            "what was there before is still there" if os.path.exists(file) else "",
        ) from None
    except BaseException:
        _remove(partial)
        raise


def _replace(file: Path, text: str) -> None:
    with _beside(file) as partial:
        partial.write_text(text, encoding="utf-8", errors="replace")


def _text(file: Path) -> str:
    """What the file says; nothing if there is none. One that cannot be read is a CheckpointError."""
    try:
        return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read: {error.strerror}") from None


def _remove(partial: Path) -> None:
    """What cannot be removed will show when it is written."""
    with suppress(OSError):
        partial.unlink()


def _object(text: str) -> Section | None:
    """The JSON object of a text, None where it holds none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _step_of(line: str) -> int:
    try:
        return int((_object(line) or {})["step"])
    except (ValueError, KeyError, TypeError, OverflowError):
        return 0


__all__: Sequence[str] = [
    "BotConfig",
    "Checkpoint",
    "Summary",
    "Weights",
    "available",
    "called",
    "checksum",
    "claimed",
    "find",
    "is_bot",
    "newest",
]
