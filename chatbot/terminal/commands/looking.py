"""Looking into a reply."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from chatbot import paths
from chatbot.attribution import METHODS, checked
from chatbot.bot import Bot
from chatbot.config import from_dict, quoted
from chatbot.corpus import open_corpus
from chatbot.corpus.cleaning import CleaningConfig
from chatbot.corpus.splits import DEFAULT_SPLIT
from chatbot.errors import ChatbotError
from chatbot.explaining import explain
from chatbot.interrupts import uninterrupted
from chatbot.replying import Reply, TokenEvent
from chatbot.terminal import files
from chatbot.terminal.attention import AttentionMap
from chatbot.terminal.commands.table import command
from chatbot.terminal.explanation import Explained
from chatbot.terminal.session import Look, Session
from chatbot.terminal.text import printable
from chatbot.terminal.wrapping import Listed
from chatbot.tokenizer import MARKS

if TYPE_CHECKING:
    from chatbot.attribution.lens import Lens
    from chatbot.nearest import Nearest

HOMES = 3  # folders that corpora are looked for in
DIGITS = 9  # of a number that is typed
# From which share of its words on a reply is taken for what.
COPIED = (
    (0.95, "as good as copied"),
    (0.6, "much of it learned as it is"),
    (0.0, "mostly put together anew"),
)
LOOKS: dict[str, Look] = {"on": "strip", "map": "map", "off": ""}
SHOWN = (*LOOKS, "heads", "layers", *METHODS)


@command(
    "attention",
    "attn",
    arguments="[on|map|off|N|heads|layers|METHOD]",
    help="which of your words each word of the last reply looked at; N: its N-th word alone; heads, layers: "
    f"a transformer's; by a method: {', '.join(METHODS)}; on: a line below each reply; map: a map too",
    values=lambda session, words: SHOWN,
)
def attention(session: Session, argument: str) -> None:
    """Say what is shown below each reply, or show the last reply's map."""
    if argument in LOOKS:
        session.attention = LOOKS[argument]
        told = ": the model's own weights, while a reply is made" if session.attention == "strip" else ""
        session.console.print(Text(f"attention {argument}{told}"))
        return
    number = _number(argument)
    if argument and argument not in SHOWN and number is None:
        told = f"it takes the number of a word, or one of {', '.join(SHOWN)}"
        raise ChatbotError(f"/attention knows no {quoted(argument)}", told)
    reply = _last(session)
    if argument in ("heads", "layers"):
        _each(session, argument.removesuffix("s"), getattr(_lens(session, session.replier), argument)(reply))
    elif number is not None:
        session.console.print(_map(session, None).row(number))
    else:
        session.console.print(_map(session, argument or None))


def _map(session: Session, named: str | None) -> AttentionMap:
    """The last reply's map by a method, or by the one that tells most of the truth about the family."""
    return map_of(session, _last(session), session.replier, named)


def map_of(session: Session, reply: Reply, bot: Bot, named: str | None = None) -> AttentionMap:
    """A map of this bot's reply by a method, or by the one that tells most of the truth about the family."""
    method = checked(named, bot.family)
    return AttentionMap(reply if method == "weights" else _lens(session, bot).look(reply, method), method)


def _each(session: Session, what: str, found: Sequence[Reply]) -> None:
    of = " of the last layer" if what == "head" else ", mean over its heads"
    for number, reply in enumerate(found):
        session.console.print(Text(f"{what} {number}{of}", style="bold"))
        session.console.print(AttentionMap(reply))


def _lens(session: Session, bot: Bot) -> Lens:
    """Looks at a bot's replies with torch, which takes its time to begin."""
    if session.lens is None or session.lens[0] is not bot.checkpoint:
        with session.console.status(Text("looking ...", style="dim")):
            with uninterrupted():
                from chatbot.attribution.lens import Lens

            session.lens = bot.checkpoint, Lens.of(bot)
    return session.lens[1]


@command(
    "why",
    arguments="[CORPUS]",
    help="how probable each piece of the last reply was, and the training exchange that is nearest to it",
)
def why(session: Session, argument: str) -> None:
    """Show whether the reply was learned or copied."""
    reply = _last(session)
    if argument:  # first: it may not be there
        session.nearest = session.replier.name, _nearest(session, argument)
    session.console.print(Listed(_probabilities(reply.tokens)))
    if session.nearest is None or session.nearest[0] != session.replier.name:
        session.nearest = session.replier.name, _nearest(session, argument)
    found = session.nearest[1].find(
        session.answered_last() if reply.text else session.said_last(), reply.text
    )
    session.console.print(Text("nearest in what it learned from:", style="dim"))
    session.console.print(Text(printable(f"> {found.prompt}")))
    session.console.print(Text(printable(found.reply)))
    share = found.common / max(1, found.words)
    verdict = next(told for least, told in COPIED if share >= least)
    told = f"{found.common} of the reply's {found.words} words are the same: {verdict}"
    told += f"; similarity {found.similarity:.2f}"
    session.console.print(Text(told, style="dim"))


@command(
    "explain",
    arguments="[N]",
    help="how the N-th piece of the last reply came about, step by step, with formulas (N: 1 if not given)",
)
def explain_(session: Session, argument: str) -> None:
    """Take one piece of the last reply apart."""
    reply = _last(session)
    number = _number(argument) if argument else 1
    if number is None or not 1 <= number <= len(reply.tokens):
        raise ChatbotError(
            f"/explain takes the number of a piece, from 1 to {len(reply.tokens)}, not '{argument[:DIGITS]}'",
            " ".join(f"{i}:{token.piece}" for i, token in enumerate(reply.tokens, 1)),
        )
    found = explain(session.replier.responder, reply, number - 1)
    session.console.print(Explained(found, session.replier.family))


def _number(argument: str) -> int | None:
    """A number of a word, None where it is none. Its first digits will do: no reply has so many words, and
    int() refuses what has thousands of them."""
    return int(argument[:DIGITS]) if argument.isascii() and argument.isdigit() else None


def _last(session: Session) -> Reply:
    if session.last is None or not session.last.tokens:
        told = "say something first" if not session.turns else "of those before, only the words were kept"
        raise ChatbotError("There is no new reply yet." if session.turns else "There is no reply yet.", told)
    return session.last


def _probabilities(tokens: Sequence[TokenEvent]) -> list[Text]:
    """Each piece with its probability, by the model itself."""
    pieces = ["(end)" if token.token in MARKS else token.piece for token in tokens]
    return [
        Text.assemble(printable(piece), (f" {token.probability:.0%}", "dim"))
        for piece, token in zip(pieces, tokens, strict=True)
    ]


def _places(name: str) -> list[Path]:
    """Where a corpus of this name may be; of several as one, whose names are joined, the first will do."""
    homes = Path(), paths.home(), paths.starters().parent
    assert len(homes) == HOMES
    parts = name.split("-")
    names = ["-".join(parts[:count]) for count in range(len(parts), 0, -1)]
    return [home / "corpora" / one for one in names for home in homes]


def _nearest(session: Session, named: str) -> Nearest:
    """The exchanges that the bot learned from, if they are still there."""
    with uninterrupted():
        from chatbot.nearest import Nearest  # slow to import, as is what follows
        from chatbot.terminal.stages import track

    facts = session.replier.checkpoint.config.corpus
    speaker = session.replier.responder.examples.speaker
    name = str(facts.get("name", ""))
    places = [files.named(named)] if named else _places(name)
    place = next((place for place in places if files.exists(place)), None)
    if place is None or not name:
        where = " or ".join(map(str, places[:HOMES]))
        raise ChatbotError(
            f"what {session.replier.name} learned from is not at {where}", "say where it is: /why CORPUS"
        )
    cleaning = from_dict(CleaningConfig, facts.get("cleaning", {}), "cleaning")
    with track("reading what it learned from", console=session.console) as progress:
        divided = str(facts.get("split", DEFAULT_SPLIT))
        return Nearest.of(open_corpus(place), cleaning, divided, progress, speaker)
