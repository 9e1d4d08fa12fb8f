"""A conversation in the terminal, as far as it has come."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich.console import Console

from chatbot.bot import Bot
from chatbot.decoding import STYLES, USUAL, SamplingConfig
from chatbot.dialogue import Dialogue, Turn
from chatbot.replying import Reply, Responder
from chatbot.terminal import keeping
from chatbot.terminal.keeping import Log
from chatbot.terminal.stopwatch import Stopwatch

if TYPE_CHECKING:
    from chatbot.attribution.lens import Lens
    from chatbot.checkpoint import Checkpoint
    from chatbot.nearest import Nearest

USER, BOT = "user", "bot"  # who speaks
FREER, FREEST = 0.2, 1.0  # temperature that each further answer to a prompt adds, and as far as that goes
Look = Literal["", "strip", "map"]  # what shows where a reply looked: nothing, a line below it, a map too


def nobody_asks(question: str) -> str:
    """An answer where nobody can be asked."""
    return ""


@dataclass(frozen=True, kw_only=True)
class Opening:
    """How a conversation begins.

    introduced: who the bot is, where its name does not say all.
    verbose: whether each reply's speed and seed are told. history: whether what is typed is kept for the
    arrow keys. streams: whether a reply is shown while it is made. The others as in Session.
    """

    introduced: str = ""
    attention: Look = ""
    verbose: bool = False
    turns: tuple[Turn, ...] = ()
    voices: tuple[str, ...] = ()
    log: Log | None = None
    history: bool = True
    streams: bool = True
    edit: Callable[[str], str | None] = nobody_asks


@dataclass
class Session:
    """Who talks, what was said, and how the screen shows it.

    loading  the bot, or what will be it: a bot may be loaded while the user types already
    last     the last reply, for the commands that look into it, and last_bot, whose it is
    waiting  what was said since then, where no word of a reply came
    again    how often the last prompt was answered anew; with a seed, each time by another one
    refused  the replies to the last prompt that were not wanted
    rivals   two bots whose replies are compared blindly; none where one bot talks
    ask      asks the user something and gives the answer
    edit     lets the user change a text in an editor, and gives what it became; None if nothing was written
    lens     looks at a bot's replies by other methods, once it was asked to
    nearest  what a bot learned from, by its name, searchable, once it was asked for
    log      the file that the conversation is kept in, if it is
    voices   which bot said each turn; nothing for the user's, and where it is not known
    remembers  whether what is typed goes to the history file
    """

    loading: Future[Bot]
    console: Console
    attention: Look = ""
    turns: tuple[Turn, ...] = ()
    waiting: str = ""
    last: Reply | None = None
    again: int = 0
    refused: tuple[str, ...] = ()
    rivals: tuple[Bot, ...] = ()
    ask: Callable[[str], str] = nobody_asks
    edit: Callable[[str], str | None] = nobody_asks
    load: Callable[[str], Bot] = Bot.load
    log: Log | None = None
    last_bot: Bot | None = None
    nearest: tuple[str, Nearest] | None = None
    lens: tuple[Checkpoint, Lens] | None = None
    verbose: bool = False
    watch: Stopwatch = field(default_factory=Stopwatch)  # of the last reply
    kept: set[Path] = field(default_factory=set)  # files that this conversation was saved in
    voices: tuple[str, ...] = ()
    remembers: bool = True

    @classmethod
    def of(cls, bot: Bot, console: Console, attention: Look = "") -> Session:
        """A conversation with a bot that is there."""
        session = cls(Future(), console, attention)
        session.loading.set_result(bot)
        return session

    @property
    def bot(self) -> Bot:
        """The bot; waits for it."""
        return self.loading.result()

    @bot.setter
    def bot(self, bot: Bot) -> None:
        self.loading = Future()
        self.loading.set_result(bot)

    @property
    def responder(self) -> Responder:
        """What answers."""
        return self.bot.responder

    @property
    def replier(self) -> Bot:
        """Who made the last reply."""
        return self.last_bot or self.bot

    @property
    def sampling(self) -> SamplingConfig:
        """How replies are drawn."""
        return self.bot.sampling

    @sampling.setter
    def sampling(self, sampling: SamplingConfig) -> None:
        self.bot = self.bot.with_sampling(sampling)

    def change(self, drawn: Callable[[Bot], SamplingConfig]) -> None:
        """Draw replies otherwise from now on; those of two bots that are compared too. All or none."""
        bot, *rivals = [one.with_sampling(drawn(one)) for one in (self.bot, *self.rivals)]
        self.bot, self.rivals = bot, tuple(rivals)

    @property
    def styles(self) -> tuple[str, ...]:
        """The styles that all who answer know; while the bot still loads, those that all bots have."""
        if not self.loading.done() or self.loading.exception():
            return (USUAL, *STYLES)
        return tuple(name for name in self.bot.styles if all(name in rival.styles for rival in self.rivals))

    def begin(self, turns: tuple[Turn, ...] = (), voices: tuple[str, ...] = ()) -> None:
        """Another conversation. What was kept or saved of this one stays as it is."""
        log, self.log = self.log, None
        self.turns, self.waiting, self.last = turns, "", None
        self.forget_refused()
        self.voices = voices
        self.kept.clear()
        if log:  # last: whoever wants to forget can, though nothing more may be kept
            log.close()
            self.log = keeping.fresh()

    def asked(self, text: str) -> Dialogue:
        """The conversation with this said last."""
        return Dialogue((*self.turns, Turn(USER, text)))

    def add(self, text: str, reply: str, bot: str, cut: bool = False) -> None:
        """Take an exchange into the conversation; cut: whether the reply was stopped."""
        before = len(self.turns)
        known = self.voices[:before]
        self.voices = (*known, *[""] * (before - len(known)), "", bot)
        self.turns = (*self.asked(text).turns, Turn(BOT, reply, cut))

    def varied(self, sampling: SamplingConfig) -> SamplingConfig:
        """The sampling of a prompt's next answer: each time a little freer, or it would often be the same.

        It is drawn by itself then: a beam, or the best of several, would find the same again. A seed gives
        each of them, but not the same.
        """
        freer = min(sampling.temperature + FREER * self.again, max(FREEST, sampling.temperature))
        seed = None if sampling.seed is None else sampling.seed + self.again
        varied = dataclasses.replace(sampling, temperature=freer, seed=seed)
        return dataclasses.replace(varied, beams=1, candidates=1) if self.again else varied

    def forget_refused(self) -> None:
        """What is said next is another prompt: no reply to it was refused."""
        self.again, self.refused = 0, ()

    def answers(self) -> tuple[str, ...]:
        """The reply to what the user said last, if there is one."""
        answered = self.turns and not self.waiting and self.turns[-1].speaker == BOT
        return (self.turns[-1].text,) if answered else ()

    def said_last(self) -> str:
        """What the user said last, answered or not; nothing at the beginning."""
        return self.waiting or self.answered_last()

    def answered_last(self) -> str:
        """What the user said last of that which was answered; nothing at the beginning."""
        return next((turn.text for turn in reversed(self.turns) if turn.speaker == USER), "")

    def put_back(self, before: Session) -> None:
        """Have the exchange again that was taken back, and the reply to look into."""
        self.turns, self.last, self.last_bot = before.turns, before.last, before.last_bot
        self.voices, self.refused = before.voices, before.refused

    def take_back(self) -> str:
        """Forget what the user said last, and the reply; give what it was, nothing if nothing was said."""
        self.forget_refused()
        if self.waiting:
            text, self.waiting = self.waiting, ""
            return text
        places = [i for i, turn in enumerate(self.turns) if turn.speaker == USER]
        if not places:
            return ""
        text = self.turns[places[-1]].text
        self.turns, self.last = self.turns[: places[-1]], None
        return text
