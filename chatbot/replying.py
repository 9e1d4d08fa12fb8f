"""A bot's replies, as a stream of events. Nothing here prints."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from chatbot.corpus.cleaning import clean_text
from chatbot.decoding import (
    Backward,
    Sampler,
    SamplingConfig,
    Spelling,
    best_of,
    generate_all,
    search,
)
from chatbot.dialogue import Dialogue, Turn
from chatbot.engines.base import Engine
from chatbot.errors import ChatbotError
from chatbot.preparation import ExamplesConfig
from chatbot.recall import Recall
from chatbot.tokenizer import PromptPiece, Tokenizer, last_turn, silenced

Reason = Literal["finished", "length", "interrupted"]


@dataclass(frozen=True, slots=True)
class ReplyStart:
    """The prompt as the model sees it: what attention is over."""

    prompt: tuple[PromptPiece, ...]


@dataclass(frozen=True, slots=True)
class TokenEvent:
    """One token of the reply.

    text         what can safely be shown now: empty while a character is incomplete
    piece        the token as the tokenizer writes it ("▁Hello"); "<end>" for the end mark
    probability  the model's own, before the sampling rules
    attention    over ReplyStart.prompt, sums to 1
    """

    text: str
    piece: str
    token: int
    probability: float
    attention: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ReplyEnd:
    """Why the reply ended, and the last of its text where the end came inside a character."""

    reason: Reason
    text: str = ""


Event = ReplyStart | TokenEvent | ReplyEnd


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply: its text, and for each of its tokens where the model looked."""

    text: str
    prompt: tuple[PromptPiece, ...]
    tokens: tuple[TokenEvent, ...]
    reason: Reason

    @classmethod
    def collect(cls, events: Iterable[Event]) -> Reply:
        """Put a stream of events together; a stream without its end was interrupted."""
        prompt: tuple[PromptPiece, ...] = ()
        tokens: list[TokenEvent] = []
        end = ReplyEnd("interrupted")
        for event in events:
            if isinstance(event, ReplyStart):
                prompt = event.prompt
            elif isinstance(event, TokenEvent):
                tokens.append(event)
            else:
                end = event
        text = "".join(token.text for token in tokens) + end.text
        return cls(text.strip(), prompt, tuple(tokens), end.reason)


def unlike(refused: Collection[str], events: Iterator[Event], otherwise: Iterator[Event]) -> Iterator[Event]:
    """The events of a reply; those of another one to the same prompt if its text is one of the refused.

    The prompt is told at once, the words are held back only as long as they may become a refused text.
    """
    yield next(events)
    held, said = list[Event](), ""
    for event in events:
        held.append(event)
        said += "" if isinstance(event, ReplyStart) else event.text
        over = isinstance(event, ReplyEnd)
        another = said.strip() not in refused if over else not _begins(said, refused)
        if another:
            yield from held
            yield from events
            return
    next(otherwise)
    yield from otherwise


def _begins(said: str, texts: Collection[str]) -> bool:
    """Whether this may become one of the texts."""
    return any(text.startswith(said.strip()) for text in texts)


AT_ONCE = 64  # replies decoded together
CALM = 0.5  # temperature


class Responder:
    """Answers dialogues: engine, tokenizer and sampling together."""

    def __init__(
        self,
        engine: Engine,
        tokenizer: Tokenizer,
        sampling: SamplingConfig,
        examples: ExamplesConfig,
        recall: Recall | None = None,
        not_first: Collection[int] = (),
    ) -> None:
        self.engine = engine
        self.tokenizer = tokenizer
        self.sampling = sampling
        self.examples = examples  # how much of a conversation the model sees
        self.recall = recall  # for the scores that ask a bot that learned conversations backwards
        self.not_first = not_first  # tokens that no reply begins with

    def with_sampling(self, sampling: SamplingConfig) -> Responder:
        """The same bot with other sampling."""
        return Responder(self.engine, self.tokenizer, sampling, self.examples, self.recall, self.not_first)

    def beginning_unlike(self, texts: Collection[str]) -> Responder:
        """The same bot, but no reply begins within a word, or with a piece that begins one of these.

        In capitals or not: where "It is" is among them, none begins with "I" either.
        """
        starts = [self.tokenizer.encode(text)[0] for text in texts if text]
        begun = [f"▁{text.casefold()}" for text in texts if text]
        first = {
            token
            for token, piece in enumerate(self.tokenizer.pieces())
            if piece[0] != "▁" or any(text.startswith(piece.casefold()) for text in begun)
        }
        # Where words are not parted by spaces, a lone space is what replies begin with.
        first -= {token for token in starts if self.tokenizer.piece(token) == "▁"}
        return Responder(self.engine, self.tokenizer, self.sampling, self.examples, self.recall, first)

    def reply(self, dialogue: Dialogue) -> Iterator[Event]:
        """Answer the dialogue's last turn. The same seed and dialogue give the same reply."""
        turns = _cleaned(dialogue.turns[-self.examples.context :])
        prompt = self.tokenizer.prompt(turns, self.examples.prompt_limit)
        yield ReplyStart(prompt)
        ids = [piece.token for piece in prompt]
        stream, end = self.tokenizer.stream(), self.tokenizer.end
        found = search(self.engine, ids, self.sampler, self.sampling, end, silenced(ids), self._backward())
        for chosen in found:
            token, looked = chosen.choice.token, tuple(chosen.attention.tolist())
            text = "" if token == end else stream.push(token)
            piece = self.tokenizer.piece(token)
            yield TokenEvent(text, piece, token, chosen.choice.probability, looked)
            if token == end:
                yield ReplyEnd("finished", stream.close())
                return
        yield ReplyEnd("length", stream.close())

    def reply_unlike(self, refused: Collection[str], dialogue: Dialogue) -> Iterator[Event]:
        """Answer it with none of the refused texts: where one of them is drawn, begin with another word.

        What goes on from a forced beginning is drawn calmly: freely, it would come to nonsense.
        """
        if not refused:
            return self.reply(dialogue)
        calm = replace(self.sampling, temperature=min(CALM, self.sampling.temperature))
        other = self.beginning_unlike(refused).with_sampling(calm)
        return unlike(refused, self.reply(dialogue), other.reply(dialogue))

    def reply_all(
        self, prompts: Sequence[Sequence[int]], progress: Callable[[int, int], None] | None = None
    ) -> list[str]:
        """Answer many prompts, given as ids, decoded together. The i-th has the sampling's seed plus i."""
        replies = dict[int, str]()
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))  # little padding
        at_once = 1 if self.sampling.beams > 1 else max(1, AT_ONCE // self.sampling.candidates)
        for at in range(0, len(prompts), at_once):
            rows = order[at : at + at_once]
            found = self._together([prompts[i] for i in rows], [self._seeded(i) for i in rows])
            replies |= {i: self.tokenizer.decode(ids).strip() for i, ids in zip(rows, found, strict=True)}
            if progress:
                progress(len(replies), len(prompts))
        return [replies[i] for i in range(len(prompts))]

    def _together(
        self, prompts: Sequence[Sequence[int]], sampling: Sequence[SamplingConfig]
    ) -> list[list[int]]:
        """The replies' tokens; of a beam search, one prompt is a batch by itself."""
        end, silence = self.tokenizer.end, list(map(silenced, prompts))
        if len(prompts) == 1:
            found = search(
                self.engine, prompts[0], self.sampler, sampling[0], end, silence[0], self._backward()
            )
            return [_until(end, (chosen.choice.token for chosen in found))]
        if self.sampling.candidates > 1:
            best = best_of(self.engine, prompts, self.sampler, sampling, end, silence, self._backward())
            return [[chosen.choice.token for chosen in reply] for reply in best]
        samplers = [self.sampler(one) for one in sampling]
        return generate_all(self.engine, prompts, samplers, self.sampling.max_tokens, end, silence)

    def _backward(self) -> Backward | None:
        """What a score asks of the bot that learned backwards; it knows texts, not this bot's ids."""
        if self.recall is None:
            return None
        ask, decode = self.recall, self.tokenizer.decode
        return lambda prompt, replies: ask(decode(last_turn(prompt)), [decode(reply) for reply in replies])

    def _seeded(self, number: int) -> SamplingConfig:
        """The sampling of the n-th of many replies."""
        seed = self.sampling.seed
        return self.sampling if seed is None else replace(self.sampling, seed=seed + number)

    def sampler(self, sampling: SamplingConfig, number: int = 0) -> Sampler:
        """What draws the tokens of a reply; of several replies, the one of that number."""
        spelling = _spelling(self.tokenizer) if sampling.manners or sampling.bad_words else None
        forbidden, end = self.tokenizer.unsayable, self.tokenizer.end
        return Sampler(sampling, forbidden, end, spelling, number, self.not_first)


def _until(end: int, tokens: Iterable[int]) -> list[int]:
    """The tokens up to the end mark; what would come after it is not asked for."""
    found: list[int] = []
    for token in tokens:
        found.append(token)
        if token == end:
            break
    return found


@lru_cache(maxsize=4)
def _spelling(tokenizer: Tokenizer) -> Spelling:
    """Marks and single bytes spell nothing."""
    pieces = tokenizer.pieces()
    return Spelling(["" if piece[0] == "<" and piece[1:] and piece[-1] == ">" else piece for piece in pieces])


def _cleaned(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """The turns as the training saw its own: the same text rules, and none without words."""
    cleaned = tuple(replace(turn, text=clean_text(turn.text)) for turn in turns)
    if not cleaned or not cleaned[-1].text:
        raise ChatbotError("there is nothing to reply to", "say something first")
    return tuple(turn for turn in cleaned if turn.text)
