"""The conversation at a prompt. prompt-toolkit owns the screen while it reads, rich while the bot replies."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any, TextIO

from prompt_toolkit import PromptSession
from prompt_toolkit.application import create_app_session, run_in_terminal
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.completion import (
    CompleteEvent,
    Completer,
    Completion,
    get_common_complete_suffix,
)
from prompt_toolkit.document import Document
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import Condition, has_focus
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import Output, create_output
from prompt_toolkit.output.plain_text import PlainTextOutput
from prompt_toolkit.styles import Style
from prompt_toolkit.utils import is_dumb_terminal
from rich.cells import cell_len
from rich.columns import Columns
from rich.console import Console
from rich.text import Text

from chatbot import danger, paths
from chatbot.bot import Bot
from chatbot.corpus.cleaning import clean_text
from chatbot.decoding import USUAL, SamplingConfig, style_of
from chatbot.errors import ChatbotError
from chatbot.interrupts import after_resuming
from chatbot.replying import Reply
from chatbot.terminal import batch, commands, comparing, leaving, replies, transcript
from chatbot.terminal.session import Opening, Session
from chatbot.terminal.strip import LiveStrip, average
from chatbot.terminal.text import printable, printable_lines
from chatbot.terminal.window import fitted, follow, leave_no_copies
from chatbot.terminal.wrapping import Wrapped

PROMPT = "> "
LISTED = 60  # completions
EARLY = 0.5  # seconds after the beginning in which a line feed is an Enter that was typed before it
QUOTES = '"""'  # between two of these, Enter begins a line


@dataclass
class Repl:
    """Reads, lets the bot reply, and again. Replies go to `write`, all else to the session's console.

    live: whether `write` writes to a terminal, so that the strip can be drawn under a reply.
    introduced: who the bot is, where its name does not say all.
    leaving: whether Ctrl-D was pressed at a question, and this turn is the last.
    streams: whether a reply is shown while it is made.
    forgets: whether what is typed cannot be kept, though it should be.
    """

    session: Session
    name: str
    prompts: PromptSession[str]
    write: replies.Write
    width: Callable[[], int]  # columns of what `write` writes to
    live: bool = False
    introduced: str = ""
    leaving: bool = False
    streams: bool = True
    forgets: bool = False

    def run(self) -> None:
        """Talk until the user leaves."""
        self.session.ask = self.ask
        self.greet()
        while self.take_turn():
            pass

    def take_turn(self) -> bool:
        """Read and answer; False when the user leaves."""
        told = leaving.HOW
        try:
            text = self.prompts.prompt(PROMPT, pre_run=self.check_loaded)
            told = "(stopped)"
            self.handle(text)
        except EOFError:
            return False
        except KeyboardInterrupt:
            self.say(told)
        except ChatbotError as error:
            if self.failed() is error:
                raise
            self.say(commands.problem(error))
        return not self.leaving

    def failed(self) -> BaseException | None:
        """Why the bot cannot be loaded, if that is known."""
        loading = self.session.loading
        return loading.exception() if loading.done() else None

    def check_loaded(self) -> None:
        """No prompt for a bot that cannot be loaded."""
        if error := self.failed():
            _give_up(self.prompts, error)

    def greet(self) -> None:
        """Who is there, how to get help and how to leave."""
        self.session.console.print(Text(f"This is {printable(self.introduced or self.name)}.", style="bold"))
        self.say("/help for help, /attention on to see where it looks, Ctrl-D to leave")
        if self.session.log:
            self.say("This conversation is kept; /show says where.")
        if self.session.log and self.session.log.spoiled:
            self.say(self.session.log.spoiled)
        if self.session.log and self.session.log.bot not in ("", self.name):
            self.say(f"Until now you talked with {self.session.log.bot} here.")
        if self.forgets:
            self.say("What you type is not kept for the next time: the history file cannot be written.")
        if self.session.turns:
            self.session.console.print(transcript.shown(self.session.turns))

    def handle(self, text: str) -> None:
        """A command is one line with one slash; all else is said to the bot."""
        line, before = text.strip(), copy(self.session)
        fitted(self.session.console)
        if line in ("exit", "quit"):
            raise EOFError
        if line.startswith("/") and not line.startswith("//") and "\n" not in line:
            said = commands.run(self.session, line)
            if said:
                self.talk(said, before)
        elif line:
            self.session.forget_refused()
            self.talk(unquoted(line[1:] if line.startswith("//") else line), before)

    def talk(self, text: str, before: Session) -> None:
        """Say something to the bot; what no word answers waits, for /regen, /edit or /undo."""
        text, turns = printable_lines(text), self.session.turns
        waiting, self.session.waiting = text, ""
        try:
            self.exchange(text)
        except ChatbotError:
            waiting = before.waiting  # the text cannot be answered at all
            raise
        finally:
            if self.session.turns == turns:  # Ctrl-C too may have come before the first word
                self.unanswered(waiting, before)

    def unanswered(self, waiting: str, before: Session) -> None:
        """Put back an exchange that was to be replaced; said again for another reply only, nothing waits."""
        if self.session.turns == before.turns:
            self.session.waiting = waiting
            return
        self.session.waiting = "" if waiting == before.said_last() else waiting
        self.session.put_back(before)
        self.say("The reply before is there again.")

    def exchange(self, text: str) -> None:
        """Say something, and show what the bot replies; of two bots, let the user choose."""
        if not self.session.loading.done():
            self.say("loading ...")
        rivals = self.session.rivals
        bot = self.session.bot
        if rivals:
            reply, bot = self.compared(text, rivals)
        else:
            reply, told = self.answered(text, bot, self.live and bool(self.session.attention))
            self.tell(reply, told, bot)
        if is_cut(text, reply, bot):
            self.say("Only the end of that was read: it is longer than what the bot sees at once.")
        if danger.speaks_of(text):
            self.session.console.print(Text(danger.HELP))
        if leaving.asks(text):
            self.say(leaving.HOW)
        # For /explain, which does not show what no reply may begin with.
        drawn = bot.with_sampling(self.session.varied(bot.sampling))
        self.session.last, self.session.last_bot = reply, drawn
        if reply.text:  # an exchange without words is none
            self.session.add(text, reply.text, bot.name, cut=reply.reason == "interrupted")
            if self.session.log:
                self.kept(
                    self.session.log.write, self.session.turns, self.session.bot.name, self.session.voices
                )
        self.session.console.print()

    def kept(self, write: Callable[..., None], *what: Any) -> None:  # Any: whatever it writes
        """Write to disk; where that cannot be, the conversation goes on."""
        try:
            write(*what)
        except ChatbotError as error:
            self.say(commands.problem(error))

    def answered(self, text: str, bot: Bot, with_strip: bool = False) -> tuple[Reply, str]:
        """A bot's reply, shown while it is made, and how it came: its speed and seed."""
        sampling, watch = self.session.varied(bot.sampling), self.session.watch
        if self.session.verbose:
            sampling = batch.with_seed(sampling)
        responder, asked = bot.responder.with_sampling(sampling), self.session.asked(text)
        events = watch.watch(responder.reply_unlike(self.session.refused, asked))
        line = Wrapped(self.write, self.width)
        strip = LiveStrip(self.session.console, self.write, lambda: line.column)
        watched = strip.watched(events) if with_strip else events
        late: list[str] = []
        with after_resuming(line.moved), after_resuming(strip.moved):
            reply = replies.show(watched, line.add if self.streams else late.append)
        strip.clear()
        line.add("".join(late))
        line.end()
        self.finish(reply)
        return reply, watch.told(sampling.seed)

    def tell(self, reply: Reply, told: str, bot: Bot) -> None:
        """What is asked for below a bot's reply: where it looked, how it came."""
        if self.session.attention and reply.tokens:
            self.session.console.print(average(reply, self.session.console))
        if self.session.attention == "map":
            self.session.console.print(commands.looking.map_of(self.session, reply, bot))
        if self.session.verbose:
            self.say(told)

    def compared(self, text: str, rivals: tuple[Bot, ...]) -> tuple[Reply, Bot]:
        """The reply that the user prefers, without knowing whose it is; and whose it is."""
        order = comparing.shuffled(len(rivals))
        made: list[tuple[Reply, str]] = []
        for number, i in enumerate(order, 1):
            self.say(f"{number}:")
            made.append(self.answered(text, rivals[i]))  # no strip: who knows the bots would know them by it
        answer = self.session.ask(comparing.QUESTION)
        while answer not in ("", comparing.EQUAL, *comparing.ANSWERS):
            self.say("Only 1, 2, = or Enter; commands come after it.")
            answer = self.session.ask(comparing.QUESTION)
        names = [rivals[i].name for i in order]
        if answer in comparing.ANSWERS or answer == comparing.EQUAL:
            better = comparing.ANSWERS.get(answer)
            self.kept(comparing.keep, names, None if better is None else names[better])
        taken = comparing.ANSWERS.get(answer, 0)
        others = (reply.text for i, (reply, _) in enumerate(made) if i != taken)
        self.session.refused += tuple(filter(None, others))
        self.unveil(
            [rivals[i] for i in order],
            made,
            "" if answer in comparing.ANSWERS else f"; going on with {taken + 1}",
        )
        return made[taken][0], rivals[order[taken]]

    def unveil(self, bots: Sequence[Bot], made: Sequence[tuple[Reply, str]], more: str) -> None:
        """After the choice: who is who, and what is asked for below replies, which might have told it."""
        self.say(", ".join(f"{number}: {printable(bot.name)}" for number, bot in enumerate(bots, 1)) + more)
        for number, (bot, (reply, told)) in enumerate(zip(bots, made, strict=True), 1):
            if self.session.attention or self.session.verbose:
                self.say(f"{number}:")
                self.tell(reply, told, bot)

    def finish(self, reply: Reply) -> None:
        """End the line, and say so where the reply did not end by itself."""
        if reply.text:
            self.write("\n")
        if reply.reason == "interrupted":
            self.say("(interrupted)")
        elif not reply.text:
            self.say("(no words)")

    def say(self, text: str) -> None:
        """A line that is not the bot's. It may quote what comes from a file."""
        self.session.console.print(Text(printable(text), style="dim"))

    def ask(self, question: str) -> str:
        """Ask the user; the answer is kept in no history. Ctrl-C answers nothing, and Ctrl-D leaves then."""
        try:
            with create_app_session(self.prompts.input, self.prompts.output):  # for TERM=dumb, as in `screen`
                asking: PromptSession[str] = PromptSession()
                return asking.prompt(question).strip()
        except EOFError:
            self.leaving = True
        except KeyboardInterrupt:
            pass
        return ""


def run(name: str, first: Callable[[], Bot], load: Callable[[str], Bot], opening: Opening) -> None:
    """Talk to a bot in this terminal. Where stdout is redirected, it gets the replies alone.

    first: loads the bot of that name while the user types already; if that fails, the conversation ends.
    load: loads the bots that are asked for in the conversation.
    """
    redirected = not sys.stdout.isatty()
    console = fitted(Console(stderr=redirected, highlight=False))
    session = Session(Future(), console, opening.attention, opening.turns, log=opening.log, load=load)
    session.edit, session.verbose, session.voices = opening.edit, opening.verbose, opening.voices
    session.remembers = opening.history
    remembers = lambda: session.remembers  # noqa: E731
    kept = history(paths.history_file(), remembers) if opening.history else InMemoryHistory()
    with screen(sys.stderr if redirected else sys.stdout):
        prompts = prompt_session(kept, session, status=lambda: status(name, session))
        follow(prompts.app)
    # A file has no margin.
    width = (lambda: sys.maxsize) if redirected else (lambda: console.width)
    Thread(target=begin_loading, args=(session.loading, first, prompts), daemon=True).start()
    live = not redirected and console.is_terminal and not console.is_dumb_terminal
    try:
        talk = Repl(session, name, prompts, writer(sys.stdout), width, live, opening.introduced)
        talk.streams, talk.forgets = opening.streams, opening.history and isinstance(kept, InMemoryHistory)
        talk.run()
    finally:
        if session.log:
            session.log.close()


def screen(stream: TextIO) -> AbstractContextManager[object]:
    """Prompts made within write to this stream; no escape codes where TERM=dumb.

    They are not given the output itself: prompt-toolkit looks after a TERM=dumb only where it is not.
    """
    plain = is_dumb_terminal()
    output = PlainTextOutput(stream) if plain else leave_no_copies(create_output(stream))
    return create_app_session(output=output)


def begin_loading(loading: Future[Bot], load: Callable[[], Bot], prompts: PromptSession[str]) -> None:
    """Load the bot, on a thread of its own; what went wrong ends the prompt that waits."""
    try:
        loading.set_result(load())
        prompts.app.invalidate()  # the status line has news
    except BaseException as error:  # whatever it is, who asks for the bot must hear of it
        loading.set_exception(error)
        if prompts.app.loop:
            prompts.app.loop.call_soon_threadsafe(_give_up, prompts, error)


def _give_up(prompts: PromptSession[str], error: BaseException) -> None:
    if prompts.app.is_running and not prompts.app.is_done:
        prompts.app.exit(exception=error)


def status(name: str, session: Session) -> str:
    """The line below the prompt: who, how replies are drawn, how fast the last was, how much is seen."""
    if not session.loading.done() or session.loading.exception():
        return f"{printable(name)} is loading ..."
    bot, told = session.bot, []
    if session.last:
        told = [f"{session.watch.speed:,.0f} tokens/s", seen(session.last, session)]
    names = " or ".join(printable(one.name) for one in session.rivals or (bot,))
    (how, *changed) = drawn(session.sampling, bot)
    kept = ["kept"] if session.log and not session.log.failed else []
    return fitting([names, how, *told, *kept, *changed, "/help"], session.console.width)


def drawn(sampling: SamplingConfig, bot: Bot) -> list[str]:
    """How replies are drawn: the style, or the temperature and what else was changed."""
    style = style_of(sampling, bot.styles)
    if style not in ("", USUAL):
        return [style]
    others = [name for name in vars(sampling) if name != "temperature"]
    changed = [name for name in others if getattr(sampling, name) != getattr(bot.usual, name)]
    values = {name: getattr(sampling, name) for name in ("temperature", *changed)}
    return [f"{name} {v:g}" if isinstance(v, float) else f"{name} {v}" for name, v in values.items()]


def is_cut(text: str, reply: Reply, bot: Bot) -> bool:
    """Whether the bot did not see all of what was said last."""
    last = max((piece.turn for piece in reply.prompt), default=0)
    read = sum(piece.turn == last and not piece.mark for piece in reply.prompt)
    return read < len(bot.responder.tokenizer.encode(clean_text(text)))


def seen(reply: Reply, session: Session) -> str:
    """How much of the conversation the bot saw for a reply."""
    said, turns = len(session.turns) - 1, len({piece.turn for piece in reply.prompt})
    if turns < said:
        return f"saw {turns} of {said} turns"
    return f"context {len(reply.prompt)}/{session.responder.examples.prompt_limit}"


def fitting(parts: Sequence[str], width: int) -> str:
    """The first part, and as many of the others as the line has room for: none of them is cut."""
    line, *others = parts
    for part in others:
        if cell_len(line) + 2 + cell_len(part) <= width:
            line += f"  {part}"
    return line


def is_open(text: str) -> bool:
    """Whether three quotation marks wait for three more."""
    inside = text.strip()
    return inside.startswith(QUOTES) and not (inside.endswith(QUOTES) and len(inside) >= 2 * len(QUOTES))


def unquoted(text: str) -> str:
    """What stands between three quotation marks and three more, or the text as it is."""
    inside = text.strip()
    if not inside.startswith(QUOTES):
        return text
    return inside.removeprefix(QUOTES).removesuffix(QUOTES).strip()


def writer(stream: TextIO) -> replies.Write:
    """Writes text at once."""

    def write(text: str) -> None:
        stream.write(text)
        stream.flush()

    return write


def prompt_session(
    history: History,
    session: Session,
    *,
    input: Input | None = None,
    output: Output | None = None,
    status: Callable[[], str] | None = None,
) -> PromptSession[str]:
    """The line editor: history, suggestions, completion, and keys for more than one line."""
    return PromptSession(
        history=history,
        auto_suggest=AutoSuggestFromHistory(),
        completer=CommandCompleter(session),
        complete_while_typing=False,
        reserve_space_for_menu=0,  # there is none: Tab lists what there is above the prompt
        key_bindings=keys(session.console),
        multiline=True,  # so that a paste of several lines is one prompt
        prompt_continuation="  ",
        enable_suspend=True,
        bottom_toolbar=status,
        style=Style.from_dict({"bottom-toolbar": "noreverse dim", "auto-suggestion": "noinherit dim"}),
        input=input,
        output=output,
    )


class CommandCompleter(Completer):
    """Completes commands and their values."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """What the word before the cursor can become."""
        line = document.text_before_cursor
        typed = len(line.rpartition(" ")[2])
        for completion in commands.completions(self._session, line):
            yield Completion(completion, start_position=-typed)


def keys(console: Console) -> KeyBindings:
    """Enter sends; Alt-Enter or Ctrl-J begins a line; Ctrl-G opens an editor; Ctrl-C clears what is typed;
    Tab completes."""
    bindings, began = KeyBindings(), time.monotonic()
    typing = has_focus(DEFAULT_BUFFER)  # not while the history is searched

    early = Condition(lambda: time.monotonic() < began + EARLY)

    @bindings.add("enter", filter=typing)
    @bindings.add("c-j", filter=typing & early)  # what a terminal made of an Enter typed before we had it
    def send(event: KeyPressEvent) -> None:
        if is_open(event.current_buffer.text):
            event.current_buffer.insert_text("\n")
        else:
            event.current_buffer.validate_and_handle()

    @bindings.add("c-g", filter=typing)
    def open_editor(event: KeyPressEvent) -> None:
        event.current_buffer.open_in_editor()

    @bindings.add("escape", "enter", filter=typing)
    @bindings.add("c-j", filter=typing & ~early)
    def begin_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @bindings.add("tab", filter=typing)
    def complete(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        asked = CompleteEvent(completion_requested=True)
        found = list(buffer.completer.get_completions(buffer.document, asked))
        if len(found) == 1:
            buffer.delete_before_cursor(-found[0].start_position)
            buffer.insert_text(found[0].text)
        elif more := get_common_complete_suffix(buffer.document, found):
            buffer.insert_text(more)
        elif (
            found and not is_dumb_terminal()
        ):  # above the prompt, which is taken away meanwhile: it would stand there twice
            names = [Text(printable(one.text)) for one in found[:LISTED]]
            names += [Text(f"... {len(found) - LISTED:,} more", "dim")] if len(found) > LISTED else []
            run_in_terminal(lambda: console.print(Columns(names, padding=(0, 2))), render_cli_done=False)

    @bindings.add("c-c", filter=typing)
    def clear(event: KeyPressEvent) -> None:
        if not event.current_buffer.text:
            event.app.exit(exception=KeyboardInterrupt)
        event.current_buffer.reset()

    return bindings


class KeptHistory(FileHistory):
    """What was typed, in a file, while it is wanted. A full disk must not end the conversation."""

    def __init__(self, file: str, wanted: Callable[[], bool]) -> None:
        super().__init__(file)
        self._wanted = wanted

    def store_string(self, string: str) -> None:
        """Add a prompt to the file, if it can be written."""
        if self._wanted():
            with suppress(OSError):
                super().store_string(string)


def history(file: Path, wanted: Callable[[], bool] = lambda: True) -> History:
    """The history kept in this file, for its owner's eyes only; in memory if it cannot be written."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(file, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
        file.chmod(0o600)  # also where it was there before
    except OSError:
        return InMemoryHistory()
    return KeptHistory(str(file), wanted)
