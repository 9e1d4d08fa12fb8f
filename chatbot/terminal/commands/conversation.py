"""What was said: again, back, otherwise, kept."""

from __future__ import annotations

import shlex
from contextlib import suppress

from rich.table import Table
from rich.text import Text

from chatbot.config import parse
from chatbot.corpus.cleaning import clean_text
from chatbot.errors import ChatbotError
from chatbot.terminal import files, judging, keeping, transcript
from chatbot.terminal.commands.table import command
from chatbot.terminal.session import USER, Session
from chatbot.terminal.text import printable, printable_lines

KEPT = 10  # conversations that are listed


@command("regen", "retry", help="another reply to what you said last, each time drawn a little more freely")
def regen(session: Session, argument: str) -> str:
    """Take the last exchange back, and say the same again."""
    again, refused = session.again + 1, (*session.refused, *session.answers())
    text = _taken_back(session)
    session.again, session.refused = again, refused
    return text


@command(
    "good",
    arguments="[TEXT]",
    help="this reply is better than those before /regen, or TEXT would have been: kept, for `chatbot prefer` "
    "to learn from",
)
def good(session: Session, argument: str) -> None:
    """Write down which reply to what was said last is the good one, and which are not."""
    there = session.answers()
    if not there or [turn.speaker for turn in session.turns[-2:-1]] != [USER]:
        raise ChatbotError("There is no reply yet.", "say something first")
    wanted, *others = map(clean_text, (printable(argument) or there[0], *session.refused, *there))
    others = [text for text in dict.fromkeys(others) if text not in ("", wanted)]
    if not (wanted and others):
        raise ChatbotError(
            "There is no other reply to compare it with.",
            "/regen draws one; /good TEXT says what would have been better",
        )
    judging.keep(session.turns[:-1], wanted, others)
    learn = f"chatbot prefer {shlex.quote(str(judging.file()))} --from {session.replier.name} --name NAME"
    session.console.print(Text(printable(f"Kept; to learn from all that is kept: {learn}")))


@command(
    "log",
    "logs",
    arguments="[on|off]",
    help="keep this conversation on disk from now on, or no longer; alone: where it is kept",
    values=lambda session, words: ("on", "off"),
)
def log(session: Session, argument: str) -> None:
    """Begin to keep the conversation, all of it; or stop, and leave what was kept."""
    wanted = parse(argument, bool, "/log") if argument else session.log is not None
    if session.log and not wanted:
        told = f"No longer kept; what was kept until now stays in {session.log.file}"
        session.log.close()
        session.log = None
    elif wanted:
        session.log = session.log or keeping.fresh()
        session.log.write(session.turns, session.bot.name, session.voices)
        told = f"This conversation is kept in {session.log.file}"
    else:
        told = "This conversation is not kept; /log on keeps it"
    session.console.print(Text(printable(told)))


@command("undo", help="take back what you said last, and the reply")
def undo(session: Session, argument: str) -> None:
    """Forget the last exchange."""
    text = _taken_back(session)
    session.console.print(Text(f"Taken back: {printable(text)}"))
    if session.log:
        session.log.write(session.turns, session.bot.name, session.voices)


@command(
    "edit",
    arguments="[TEXT]",
    help="say this in place of what you said last; alone: write it in your editor ($VISUAL or $EDITOR)",
)
def edit(session: Session, argument: str) -> str | None:
    """Take the last exchange back if what is written then is another text."""
    before = session.said_last()
    text = printable_lines((argument or session.edit(before) or "").strip())
    if not text or text == before:
        session.console.print(Text("Nothing was changed."))
        return None
    if before:
        session.take_back()
    if not argument:  # else it stands there already
        session.console.print(Text(f"> {text}"))
    return text


@command(
    "save",
    "export",
    arguments="FILE",
    help=f"write the conversation to a file: {transcript.KINDS_SAID}",
    values=lambda session, words: files.beginning(words[-1]),
)
def save(session: Session, argument: str) -> None:
    """Write the conversation; a file that was there before is not written over, but for one of its own."""
    if not argument:
        raise ChatbotError(
            "/save takes a file", f"for example: /save talk.md; it can be {transcript.KINDS_SAID}"
        )
    if not session.turns:
        raise ChatbotError("There is nothing to save yet.", "say something first")
    file = files.named(argument)
    if files.exists(file) and file not in session.kept:
        raise ChatbotError(f"{file} is there already", "give the conversation another name")
    transcript.write(file, session.turns, session.bot.name, session.voices)
    session.kept.add(file)
    session.console.print(Text(printable(f"{len(session.turns)} turns written to {file}")))


@command(
    "load",
    arguments="[FILE]",
    help="go on with a conversation that was saved as .jsonl; alone: those that --log kept",
    values=lambda session, words: (
        *(path for path in files.beginning(words[-1]) if path.endswith(("/", ".jsonl"))),
        *(file.name for file in keeping.kept()),
    ),
)
def load(session: Session, argument: str) -> None:
    """Take a conversation's turns, and show its end; of one that --log kept, the file's name will do."""
    if not argument:
        session.console.print(_kept())
        return
    file = files.named(argument)
    if not files.exists(file) and file.name == argument and _is_kept(argument):
        file = keeping.called(argument)
    turns = transcript.read(file)
    session.begin(turns, transcript.spoken(file, len(turns))[1])
    session.console.print(transcript.shown(session.turns))


def _is_kept(name: str) -> bool:
    return any(file.name.startswith(name) for file in keeping.kept())


def _kept() -> Table:
    """The conversations that were kept last, and how they begin; what cannot be read is none of them."""
    table, files_there = Table.grid(padding=(0, 2)), keeping.kept()
    seen = 0
    for file in files_there:
        if table.row_count == KEPT:
            break
        seen += 1
        with suppress(ChatbotError):
            table.add_row(Text(printable(file.name)), Text(printable(transcript.read(file)[0].text), "dim"))
    if not table.row_count:
        raise ChatbotError("no conversation was kept yet", "/save FILE keeps this one; so does --log")
    if more := len(files_there) - seen:
        table.add_row(Text("..."), Text(printable(f"{more:,} before them in {keeping.folder()}"), "dim"))
    return table


def _taken_back(session: Session) -> str:
    text = session.take_back()
    if not text:
        raise ChatbotError("There is no exchange yet.", "say something first")
    return text
