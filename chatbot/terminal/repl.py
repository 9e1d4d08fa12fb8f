"""The conversation at a prompt. prompt-toolkit owns the screen while it reads, rich while the bot replies."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import has_focus
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import Output, create_output
from prompt_toolkit.shortcuts import CompleteStyle
from rich.console import Console
from rich.text import Text

from chatbot import paths
from chatbot.bot import Bot
from chatbot.dialogue import Dialogue, Turn
from chatbot.errors import ChatbotError
from chatbot.replying import Reply
from chatbot.terminal import commands, replies
from chatbot.terminal.attention import AttentionMap
from chatbot.terminal.commands import Session
from chatbot.terminal.text import printable
from chatbot.terminal.wrapping import Wrapped

PROMPT = "> "
HOW_TO_LEAVE = "Use Ctrl-D or /exit to leave."


@dataclass
class Repl:
    """Reads, lets the bot reply, and again. Replies go to `write`, all else to the session's console."""

    session: Session
    prompts: PromptSession[str]
    write: replies.Write
    width: Callable[[], int]  # columns of what `write` writes to

    def run(self) -> None:
        """Talk until the user leaves."""
        self.greet()
        while self.take_turn():
            pass

    def take_turn(self) -> bool:
        """Read and answer; False when the user leaves."""
        try:
            self.handle(self.prompts.prompt(PROMPT))
        except EOFError:
            return False
        except KeyboardInterrupt:
            self.say(HOW_TO_LEAVE)
        except ChatbotError as error:
            self.say(commands.problem(error))
        return True

    def greet(self) -> None:
        """Who is there, how to get help and how to leave."""
        self.session.console.print(Text(f"This is {printable(self.session.name)}.", style="bold"))
        self.say("/help for help, Ctrl-D to leave")

    def handle(self, text: str) -> None:
        """A command is one line with one slash; all else is said to the bot."""
        line = text.strip()
        if line in ("exit", "quit"):
            raise EOFError
        if line.startswith("/") and not line.startswith("//") and "\n" not in line:
            commands.run(self.session, line)
        elif line:
            self.talk(line[1:] if line.startswith("//") else line)

    def talk(self, text: str) -> None:
        """Say something to the bot, and show what it replies."""
        asked = Turn("user", printable(text))
        events = self.session.responder.reply(Dialogue((*self.session.turns, asked)))
        line = Wrapped(self.write, self.width)
        reply = replies.show(events, line.add)
        line.end()
        self.finish(reply)
        if reply.text:  # an exchange without words is none
            self.session.turns += (asked, Turn("bot", reply.text))
        self.session.last = reply
        if self.session.attention:
            self.session.console.print(AttentionMap(reply))
        self.session.console.print()

    def finish(self, reply: Reply) -> None:
        """End the line, and say so where the reply did not end by itself."""
        if reply.text:
            self.write("\n")
        if reply.reason == "interrupted":
            self.say("(interrupted)")
        elif not reply.text:
            self.say("(no words)")

    def say(self, text: str) -> None:
        """A line that is not the bot's."""
        self.session.console.print(Text(text, style="dim"))


def run(bot: Bot, attention: bool = False) -> None:
    """Talk to a bot in this terminal. Where stdout is redirected, it gets the replies alone."""
    redirected = not sys.stdout.isatty()
    console = Console(stderr=redirected, highlight=False)
    session = Session(bot.name, bot.responder, console, attention, bot.styles)
    # None where it can be: prompt-toolkit looks after a TERM=dumb only where it chose the output itself.
    output = create_output(sys.stderr) if redirected else None
    prompts = prompt_session(history(paths.history_file()), output=output)
    # A file has no margin.
    Repl(session, prompts, writer(sys.stdout), lambda: sys.maxsize if redirected else console.width).run()


def writer(stream: TextIO) -> replies.Write:
    """Writes text at once."""

    def write(text: str) -> None:
        stream.write(text)
        stream.flush()

    return write


def prompt_session(
    history: History, *, input: Input | None = None, output: Output | None = None
) -> PromptSession[str]:
    """The line editor: history, suggestions, completion, and keys for more than one line."""
    return PromptSession(
        history=history,
        auto_suggest=AutoSuggestFromHistory(),
        completer=CommandCompleter(),
        complete_while_typing=False,
        complete_style=CompleteStyle.READLINE_LIKE,  # a menu would keep eight lines free below the prompt
        key_bindings=keys(),
        multiline=True,  # so that a paste of several lines is one prompt
        prompt_continuation="  ",
        input=input,
        output=output,
    )


class CommandCompleter(Completer):
    """Completes commands and their values."""

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """What the word before the cursor can become."""
        line = document.text_before_cursor
        typed = len(line.rpartition(" ")[2])
        for completion in commands.completions(line):
            yield Completion(completion, start_position=-typed)


def keys() -> KeyBindings:
    """Enter sends; Alt-Enter begins a line; Ctrl-C clears what is typed."""
    bindings = KeyBindings()
    typing = has_focus(DEFAULT_BUFFER)  # not while the history is searched

    @bindings.add("enter", filter=typing)
    @bindings.add("c-j", filter=typing)  # what a terminal made of an Enter typed before we had it
    def send(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @bindings.add("escape", "enter", filter=typing)
    def begin_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @bindings.add("c-c", filter=typing)
    def clear(event: KeyPressEvent) -> None:
        if not event.current_buffer.text:
            event.app.exit(exception=KeyboardInterrupt)
        event.current_buffer.reset()

    return bindings


class KeptHistory(FileHistory):
    """What was typed, in a file. A full disk must not end the conversation."""

    def store_string(self, string: str) -> None:
        """Add a prompt to the file, if it can be written."""
        with suppress(OSError):
            super().store_string(string)


def history(file: Path) -> History:
    """The history kept in this file, for its owner's eyes only; in memory if it cannot be written."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(file, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
        file.chmod(0o600)  # also where it was there before
    except OSError:
        return InMemoryHistory()
    return KeptHistory(str(file))
