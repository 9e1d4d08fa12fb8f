"""The command line. A command is one file and one line in COMMANDS.

Nothing of a command is imported until it is used: `chatbot --help` must not wait for torch.
"""

from __future__ import annotations

import ast
import difflib
import errno
import importlib.util
import sys
from io import TextIOWrapper
from typing import Any

import click

from chatbot import __version__
from chatbot.errors import ChatbotError
from chatbot.registry import Registry
from chatbot.terminal.text import printable

COMMANDS = Registry(
    "command",
    {
        "attend": "chatbot.cli.attend:attend",
        "chat": "chatbot.cli.chat:chat",
        "compare": "chatbot.cli.compare:compare",
        "data": "chatbot.cli.data:data",
        "eval": "chatbot.cli.eval:eval_",
        "info": "chatbot.cli.info:info",
        "list": "chatbot.cli.list:list_",
        "pack": "chatbot.cli.pack:pack",
        "paths": "chatbot.cli.paths:paths",
        "prefer": "chatbot.cli.prefer:prefer",
        "report": "chatbot.cli.report:report",
        "self-chat": "chatbot.cli.self_chat:self_chat",
        "train": "chatbot.cli.train:train",
        "verify": "chatbot.cli.verify:verify",
    },
)


class Failure(click.ClickException):
    """What the user could cause: one line, a second one says what to do; exit code 1."""

    def __init__(self, error: ChatbotError) -> None:
        # What a checkpoint or a corpus says is quoted in errors.
        lines = [printable(line) for line in (error.what, error.hint) if line]
        super().__init__("\n".join(lines))


class Commands(click.Group):
    """Loads its commands when they are asked for, and turns errors into lines and exit codes."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """What is no command is a text to reply to, as is what comes through a pipe."""
        piped = sys.stdin is not None and not sys.stdin.isatty()
        own = {name for option in self.get_params(context) for name in option.opts}
        foreign = bool(args) and args[0].startswith("-") and args[0] not in own
        if piped and (foreign or not args):
            args = ["chat", "--whole", *args]
        elif foreign:
            raise click.UsageError(
                f"No such option: {printable(args[0])} (A text comes first: chatbot TEXT ...)"
            )
        elif args and not args[0].startswith("-") and args[0] not in COMMANDS:
            if args[0].isalpha() and args[0].islower() and sys.stderr is not None and sys.stderr.isatty():
                click.echo(f"('{args[0]}' is no command: said to the bot)", err=True)
            args = ["chat", "--prompt", *self._prompt(args)]
        return super().parse_args(context, args)

    def _prompt(self, args: list[str]) -> list[str]:
        """A text and options; a misspelt command, or a text without quotation marks, is wrong usage."""
        near = difflib.get_close_matches(args[0], COMMANDS, n=1, cutoff=0.7)
        if near:
            told = f"No such command '{printable(args[0])}'. Did you mean '{near[0]}'?"
            raise click.UsageError(f"{told} (To have it answered: chatbot chat -p ...)")
        if len(args) > 1 and not args[1].startswith("-"):
            raise click.UsageError("To have a text answered, put it in quotation marks.")
        return args

    def main(self, *given: Any, **settings: Any) -> Any:  # Any: as click has them
        """Run it all; a disk that is full under what click writes by itself is one line too."""
        try:
            return super().main(*given, **settings)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            click.echo(f"Error: nothing more can be written: {error.strerror}", err=True)
            sys.exit(1)

    def list_commands(self, context: click.Context) -> list[str]:
        """The names, imports nothing."""
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Import a command."""
        if name not in COMMANDS:
            return None
        command: click.Command = COMMANDS.load(name)
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in --help: the first line of each command's file."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary(COMMANDS[name])) for name in COMMANDS])

    def invoke(self, context: click.Context) -> Any:  # Any: what the command returns
        """Run the command; every kind of error has its exit code, see chatbot.errors."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="replace")  # a reply may hold what the locale cannot write
        try:
            return super().invoke(context)
        except ChatbotError as error:
            raise Failure(error) from error
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise Failure(ChatbotError(f"nothing more can be written: {error.strerror}")) from None
        except KeyboardInterrupt:
            raise click.exceptions.Exit(130) from None


def summary(target: str) -> str:
    """The first line of a module's docstring, read without running the module."""
    module = importlib.util.find_spec(target.partition(":")[0])
    if module is None or module.origin is None:
        return ""
    with open(module.origin, encoding="utf-8") as file:
        return (ast.get_docstring(ast.parse(file.read())) or "").partition("\n")[0]


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="chatbot")
def main() -> None:
    """Train small dialogue models from conversations and talk to them in a terminal."""
