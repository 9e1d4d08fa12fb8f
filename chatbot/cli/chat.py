"""Talk to a bot, or have it answer a pipe."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chatbot import checkpoint, danger
from chatbot.bot import Bot
from chatbot.cli.options import bots, given, options_for
from chatbot.decoding import STYLES, SamplingConfig, adjusted, styled
from chatbot.engines.base import ENGINES
from chatbot.errors import ChatbotError
from chatbot.replying import Reply
from chatbot.terminal import batch, replies, typeahead
from chatbot.terminal.text import printable

if TYPE_CHECKING:
    from chatbot.terminal.session import Opening

HELP = """Talk to a bot, or have it answer a pipe.

NAME is a bot of `chatbot list`, or a folder; without it, the one trained last (`chatbot list` marks it), and
starter-gpt where none was.

\b
chatbot chat                              a conversation
chatbot chat -p "how are you?"            one prompt, one reply on stdout
echo "how are you?" | chatbot chat        the same; of several lines each is a turn of one conversation
chatbot chat --lines < prompts.txt        a reply for each line by itself
cat letter.txt | chatbot                  all of it is one prompt
chatbot chat -p "hi" --json               with pieces, probabilities, attention

How replies are drawn is saved with a bot; the defaults below are those of a bot that does not say.
"""


@click.command(help=HELP)
@click.argument("name", required=False, shell_complete=bots)
@click.argument("text", required=False, metavar="")
@click.option(
    "-p", "--prompt", help="Reply to this text; to what comes through a pipe first, if there is any."
)
@click.option("--lines", is_flag=True, help="Reply to each line of the input by itself.")
@click.option("--whole", is_flag=True, help="Reply to the whole input as one prompt.")
@click.option("--json", "as_json", is_flag=True, help="Write pieces, probabilities and attention as JSON.")
@click.option("--attention", is_flag=True, help="Show what each word of a reply looked at (not on stdout).")
@click.option("-v", "--verbose", is_flag=True, help="Say how fast each reply came, and its seed (on stderr).")
@click.option("--stream/--no-stream", default=True, help="Whether a reply is shown while it is made.")
@click.option(
    "--log/--no-log",
    default=None,
    help="Whether the conversation is kept on disk; one that goes on is.",
)
@click.option("-c", "--continue", "go_on", is_flag=True, help="Go on with the conversation kept last.")
@click.option(
    "--cid",
    metavar="NAME",
    shell_complete=lambda context, parameter, typed: _kept(typed),
    help="Go on with that one: its name, as /load lists it, or the beginning of it.",
)
@click.option(
    "--history/--no-history",
    default=True,
    envvar="CHATBOT_HISTORY",
    help="Whether what you type is kept for the arrow keys of the next time; CHATBOT_HISTORY=0: never.",
)
@click.option(
    "--style",
    metavar="NAME",
    shell_complete=lambda *given: list(STYLES),
    help=f"Settings that go together: {', '.join(STYLES)}.",
)
@click.option("--diverse", "style", flag_value="diverse", help="Less of what could be said to anything.")
@click.option(
    "--backward", metavar="NAME", help="A bot that learned backwards, for --score bidi and backward."
)
@options_for(SamplingConfig)
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto", show_default=True
)
@click.option(
    "--engine",
    type=click.Choice(["auto", *ENGINES]),
    default="auto",
    show_default=True,
    help="What runs the model: light (NumPy) starts at once; half and bytes (extra 'loops'), onnx, "
    "speculative and int8 (extra 'onnx') say more tokens a second; torch can use a GPU.",
)
def chat(
    name: str | None,
    text: str | None,
    prompt: str | None,
    lines: bool,
    whole: bool,
    as_json: bool,
    attention: bool,
    verbose: bool,
    stream: bool,
    log: bool | None,
    go_on: bool,
    cid: str | None,
    history: bool,
    style: str | None,
    backward: str | None,
    device: str,
    engine: str,
    **settings: str | None,
) -> None:
    """Load the bot, then converse or answer."""
    if text is not None:
        raise click.UsageError(
            f'What is to be said comes after -p: chatbot chat {printable(name or "")} -p "..."'
        )
    if cid is not None and not cid.strip():
        raise click.BadParameter("it has no name", param_hint="--cid")
    if lines and whole:
        raise click.UsageError("--lines and --whole exclude each other")
    if lines and prompt is not None:
        raise click.UsageError("--lines reads its prompts from the standard input: leave out --prompt")
    talking = prompt is None and not lines and not as_json and _is_terminal(sys.stdin)
    turns = prompt is None and not lines and not whole and not _is_terminal(sys.stdin)
    folder = checkpoint.find(name)  # first: for who is not there, no input need be waited for
    other = checkpoint.find(backward) if backward else None
    if talking:
        loader = partial(load, device=device, engine=engine, style=style, settings=settings, backward=other)
        with typeahead.kept() as lend:
            going = (cid or "") if go_on or cid else None
            opening = _opening(attention, verbose, bool(log), going, history, partial(_edit, lend))
            held_with = folder if name else _same(opening, folder)
            if log is False and opening.log:
                opening.log.close()
                opening = dataclasses.replace(opening, log=None)
            _talk(held_with, loader, dataclasses.replace(opening, streams=stream))
        return
    if log or go_on or cid:
        told = "--log, --continue and --cid are for a conversation, not for one prompt or a pipe"
        raise click.UsageError(told)
    prompts = _with_help(_lines() if lines or turns else [_whole(prompt)])
    with _status(f"loading {printable(checkpoint.called(folder))} ..."):  # torch takes its time
        bot = load(folder, device, engine, style, settings, other)
    if as_json and isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # RFC 8259, section 8.1, whatever the locale
    show, tell = partial(_show_attention, bot) if attention else None, _tell if verbose else None
    write: replies.Write = _write if stream or as_json else _by_line
    if _is_terminal(sys.stdout) and not as_json:
        from chatbot.terminal.wrapping import broken

        write = broken(write, lambda: shutil.get_terminal_size().columns)
    batch.answer(prompts, bot.responder, write, show, tell, turns, as_json)


def load(
    folder: Path,
    device: str,
    engine: str,
    style: str | None,
    settings: dict[str, str | None],
    backward: Path | None = None,
) -> Bot:
    """Load a bot, with the settings that were given; the others are the style's or its own."""
    bot = Bot.load(folder, device, engine)
    bot = bot.with_backward(Bot.load(backward, device, engine)) if backward else bot
    if style and style not in bot.styles:
        known = ", ".join(bot.styles)
        told = printable(f"{bot.name} has no style {style!r}, it has {known}")
        raise click.BadParameter(told, param_hint="--style")
    sampling = styled(bot.sampling, style, bot.styles) if style else bot.sampling
    return bot.with_sampling(adjusted(sampling, given(SamplingConfig, settings)))


def _opening(
    attention: bool,
    verbose: bool,
    log: bool,
    going: str | None,
    history: bool,
    edit: Callable[[str], str | None],
) -> Opening:
    """going: the kept conversation to go on with, "" for the last; None for a new one."""
    from chatbot.terminal import keeping
    from chatbot.terminal.session import Opening

    resumed = None if going is None else keeping.resumed(going)
    kept, turns, voices = resumed or (keeping.fresh() if log else None, (), ())
    return Opening(
        attention="strip" if attention else "",
        verbose=verbose,
        turns=turns,
        voices=voices,
        log=kept,
        history=history,
        edit=edit,
    )


def _kept(typed: str) -> list[str]:
    """For the shell's completion: the kept conversations whose names begin so."""
    from chatbot.terminal import keeping

    return [file.stem for file in keeping.kept() if file.name.startswith(typed)]


def _same(opening: Opening, otherwise: Path) -> Path:
    """The bot that the conversation was held with, if it goes on and the bot is still there."""
    before = opening.log.bot if opening.log else ""
    if not before:
        return otherwise
    there = {bot.name: bot.folder for bot in checkpoint.available() if not bot.problem}
    return there.get(before, otherwise)  # by name alone: the file may come from anywhere


def _talk(folder: Path, load: Callable[[Path], Bot], opening: Opening) -> None:
    from chatbot.terminal import repl  # prompt-toolkit takes 0.2 s that an answer to a pipe need not wait

    opening = dataclasses.replace(opening, introduced=checkpoint.introduced(folder))
    repl.run(checkpoint.called(folder), lambda: load(folder), partial(_another, load), opening)


def _another(load: Callable[[Path], Bot], name: str) -> Bot:
    """A bot that is asked for in the conversation: what is wrong usage at its start must not end it."""
    try:
        return load(checkpoint.find(name))
    except click.UsageError as error:
        hint = f"to talk to {name}, begin a conversation without {getattr(error, 'param_hint', 'it')}"
        raise ChatbotError(error.message, hint) from None


def _edit(lend: typeahead.Lend, text: str) -> str | None:
    """Let the user change a text in an editor, which may read its commands from the terminal, as ed does."""
    try:
        with lend():
            return click.edit(text, extension=".txt")
    except click.ClickException as error:
        raise ChatbotError(error.format_message(), "set EDITOR to an editor that is there") from None


def _whole(prompt: str | None) -> str:
    """What came through the pipe, then the argument: one prompt."""
    piped = "" if _is_terminal(sys.stdin) else "".join(_lines())
    text = "\n".join(part for part in (piped.strip(), prompt) if part)
    if not batch.has_words(text):
        raise click.UsageError("There is nothing to answer: give a --prompt, or pipe one in.")
    return printable(text)


def _lines() -> Iterator[str]:
    """The input's lines, as they come; bytes that are no text become U+FFFD."""
    if sys.stdin is None:  # closed by whoever started us
        return iter(())
    if isinstance(sys.stdin, TextIOWrapper):
        # A carriage return alone is white space within a line, not its end.
        sys.stdin.reconfigure(encoding="utf-8", errors="replace", newline="\n")
    return iter(sys.stdin)


def _with_help(prompts: Iterable[str]) -> Iterator[str]:
    """The prompts; after the reply to one that speaks of danger, a line on stderr."""
    for prompt in prompts:
        yield prompt
        if danger.speaks_of(prompt):
            _tell(danger.HELP)


def _write(text: str) -> None:
    if sys.stdout is None:  # closed by whoever started us
        raise ChatbotError("there is no standard output to write the reply to")
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:  # click ends quietly
        raise
    except OSError as error:
        raise ChatbotError(f"the reply cannot be written: {error.strerror or error}") from None


_line: list[str] = []


def _by_line(text: str) -> None:
    """Write a reply when it is whole."""
    _line.append(text)
    if text.endswith("\n"):
        _write("".join(_line))
        _line.clear()


def _tell(text: str) -> None:
    click.echo(text, err=True)


def _show_attention(bot: Bot, reply: Reply) -> None:
    """By the method that tells most of the truth about the family; torch, where it is needed, takes 1.5 s."""
    from rich.console import Console  # 0.1 s

    from chatbot.attribution import checked
    from chatbot.terminal.attention import AttentionMap
    from chatbot.terminal.window import fitted

    method = checked(None, bot.family)
    if method != "weights":
        from chatbot.attribution.lens import Lens

        reply = Lens.of(bot).look(reply, method)
    fitted(Console(stderr=True)).print(AttentionMap(reply, method))


def _status(text: str) -> AbstractContextManager[object]:
    if not _is_terminal(sys.stderr):
        return nullcontext()
    from rich.console import Console  # 0.1 s
    from rich.text import Text

    return Console(stderr=True).status(Text(text, style="dim"))


def _is_terminal(stream: Any) -> bool:  # Any: a stream, or None where it was closed
    return stream is not None and stream.isatty()
