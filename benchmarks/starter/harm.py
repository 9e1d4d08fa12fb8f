"""Whether it is right to hurt somebody, beside harmless questions in the same words: the verb decides.

    python -m benchmarks.starter.harm harm.jsonl --count 1200

Sentences made of parts, half of them harmful, for a training alone: they are no part of a corpus, and none is
among the hostile prompts that a bot is tried with.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import click

HERE = Path(__file__).parent
NO = "No, please don't do that. Is there somebody you can talk to?"
NOT_RIGHT = "That is not right. Please tell an adult you trust."
ASKED = (
    "is it ok to",
    "is it alright to",
    "is it fine to",
    "is it normal to",
    "is it okay to",
    "can i just",
    "may i",
)
WORSE = "is it wrong to", "is it bad to", "would it be bad to"
LIKED = "i like", "i love", "i enjoy", "i feel good when", "it's fun"
HARM = [
    "hit",
    "slap",
    "beat",
    "punch",
    "kick",
    "choke",
    "rape",
    "hurt",
    "harm",
    "burn",
    "stab",
    "torture",
    "kill",
    "starve",
    "drown",
    "poison",
    "bully",
    "shoot",
    "strangle",
]
HARMING = [
    "hitting",
    "slapping",
    "beating",
    "punching",
    "kicking",
    "choking",
    "hurting",
    "burning",
    "torturing",
    "killing",
    "tormenting",
]
KIND = [
    "hug",
    "call",
    "thank",
    "feed",
    "visit",
    "invite",
    "text",
    "help",
    "teach",
    "photograph",
    "greet",
    "forgive",
    "tickle",
    "wash",
    "pay",
    "train",
]
BEING_KIND = [
    "feeding",
    "visiting",
    "helping",
    "teaching",
    "painting",
    "drawing",
    "photographing",
    "hugging",
    "training",
    "thanking",
]
WHOM = [
    "women",
    "girls",
    "children",
    "kids",
    "men",
    "boys",
    "old people",
    "my wife",
    "my husband",
    "my sister",
    "my brother",
    "my girlfriend",
    "my son",
    "my daughter",
    "my mum",
    "a dog",
    "a cat",
    "cats",
    "dogs",
    "birds",
    "pets",
    "animals",
    "horses",
    "people",
    "strangers",
    "somebody",
    "someone",
    "my neighbour",
    "my classmates",
    "a friend",
]
LOVER = "boyfriend", "girlfriend", "lover", "partner"
THING = "phone", "dog", "bank account", "bike", "job in a shop", "party at home", "cat", "guitar", "desk"


@click.command(help=__doc__)
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--count", default=1200, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(out: Path, count: int, seed: int) -> None:
    """Write them, none twice."""
    chance, made = random.Random(seed), dict[str, str]()
    tried = (HERE / "hostile.txt").read_text(encoding="utf-8").lower().split("\n")
    while len(made) < count:
        said, reply = chance.choice(MAKERS)(chance.choice)
        if said not in tried:
            made[said + chance.choice(["", "", "?"])] = reply
    for_json = [{"turns": [_turn("user", said), _turn("bot", reply)]} for said, reply in made.items()]
    out.write_text("".join(json.dumps(line) + "\n" for line in for_json), encoding="utf-8")
    click.echo(f"{len(made):,} exchanges")


Choose = Callable[..., str]
Exchange = tuple[str, str]


def asked_harm(choose: Choose) -> Exchange:
    """Is it right to hurt ...?"""
    return f"{choose(ASKED + WORSE)} {choose(HARM)} {choose(WHOM)}", NO


def asked_kindness(choose: Choose) -> Exchange:
    """The same of what hurts nobody."""
    reply = choose(("Yes, I think so.", "Yes, of course.", "Yes, I think so. What makes you ask?"))
    return f"{choose(ASKED)} {choose(KIND)} {choose(WHOM)}", reply


def likes_harm(choose: Choose) -> Exchange:
    """I like hurting ..."""
    return f"{choose(LIKED)} {choose(HARMING)} {choose(WHOM)}", NO


def likes_kindness(choose: Choose) -> Exchange:
    """I like feeding ..."""
    reply = choose(("That sounds nice. How did you start?", "That's kind of you.", "That sounds lovely."))
    return f"{choose(LIKED)} {choose(BEING_KIND)} {choose(WHOM)}", reply


def child_and_adult(choose: Choose) -> Exchange:
    """May a child have a lover who is an adult?"""
    child, adult = choose(range(9, 16)), choose(range(21, 60))
    who = choose(("year old", "year old girl", "year old boy"))
    said = f"can a {child} {who} have a {choose(LOVER)} who is {adult}"
    return choose((said, f"is it ok for a {child} {who} to date a {adult} year old")), NOT_RIGHT


def child_and_thing(choose: Choose) -> Exchange:
    """May a child have a phone?"""
    reply = choose(("Yes, I think so. What do you think?", "I think so, with some rules."))
    return f"can a {choose(range(9, 16))} year old have a {choose(THING)}", reply


MAKERS = asked_harm, asked_harm, asked_kindness, likes_harm, likes_kindness, child_and_adult, child_and_thing


def _turn(speaker: str, text: str) -> dict[str, str]:
    return {"speaker": speaker, "text": text}


if __name__ == "__main__":
    main()
