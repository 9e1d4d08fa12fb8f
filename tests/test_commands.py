"""What can be typed after a slash."""

from io import StringIO

import pytest
from rich.console import Console

from chatbot.decoding import STYLES
from chatbot.dialogue import Dialogue, Turn
from chatbot.errors import ChatbotError, ConfigError
from chatbot.replying import Reply
from chatbot.terminal import commands
from chatbot.terminal.commands import COMMANDS, Session
from tests.fakes import ScriptedResponder


@pytest.fixture
def session() -> Session:
    console = Console(file=StringIO(), width=80, color_system=None)
    return Session("parrot", ScriptedResponder("Hi."), console)


def printed(session: Session) -> str:
    assert isinstance(session.console.file, StringIO)
    return session.console.file.getvalue()


def test_help_names_every_command_and_its_help(session: Session) -> None:
    commands.run(session, "/help")
    text = " ".join(printed(session).split())
    for name, entry in COMMANDS.items():
        assert f"/{name}" in text
        assert entry.help.split(";")[0].split()[0] in text
    assert "Ctrl-D" in text


@pytest.mark.parametrize("name", ["help", "?", "attention", "set", "clear", "exit", "quit", "bye"])
def test_the_commands_that_people_try_are_there(name: str) -> None:
    assert name in COMMANDS


def test_an_unknown_command_is_an_error_with_the_nearest_one(session: Session) -> None:
    with pytest.raises(ChatbotError) as error:
        commands.run(session, "/hlep me")
    assert commands.problem(error.value) == (
        "Unknown command '/hlep'. Type /help for help. (did you mean '/help'?)"
    )


def test_attention_is_switched_on_and_off(session: Session) -> None:
    commands.run(session, "/attention on")
    assert session.attention
    commands.run(session, "/attention  off ")
    assert not session.attention
    assert printed(session) == "attention on\nattention off\n"


def test_attention_alone_shows_the_last_reply(session: Session) -> None:
    asked = Dialogue((Turn("user", "hello"),))
    session.last = Reply.collect(session.responder.reply(asked))
    commands.run(session, "/attention")
    assert "Hi. │ █████" in printed(session)
    assert not session.attention


@pytest.mark.parametrize(
    ("line", "what"), [("/attention", "no reply yet"), ("/attention maybe", "on or off")]
)
def test_attention_says_what_it_cannot_do(session: Session, line: str, what: str) -> None:
    with pytest.raises(ChatbotError, match=what):
        commands.run(session, line)


@pytest.mark.parametrize("line", ["/set temperature 0.2", "/set temperature=0.2", "/set temperature   .2"])
def test_set_changes_how_the_next_reply_is_drawn(session: Session, line: str) -> None:
    commands.run(session, line)
    assert session.responder.sampling.temperature == 0.2
    assert session.responder.sampling.top_k == 40
    assert printed(session).split()[:2] == ["temperature", "0.2"]


def test_set_takes_the_names_of_the_options_too(session: Session) -> None:
    commands.run(session, "/set top-k 3")
    assert session.responder.sampling.top_k == 3


def test_a_seed_is_set_and_unset(session: Session) -> None:
    commands.run(session, "/set seed 5")
    assert session.responder.sampling.seed == 5
    commands.run(session, "/set seed none")
    assert session.responder.sampling.seed is None


def test_set_alone_shows_every_setting(session: Session) -> None:
    commands.run(session, "/set")
    names = [line.split()[0] for line in printed(session).splitlines() if not line.startswith(" ")]
    assert names == list(commands.SETTINGS)


def test_set_with_a_name_alone_shows_and_changes_nothing(session: Session) -> None:
    before = session.responder.sampling
    for name in commands.SETTINGS:
        commands.run(session, f"/set {name}")
    assert session.responder.sampling == before


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("/set temprature 1", "has no setting 'temprature'"),
        ("/set temperature hot", "must be a number, not 'hot'"),
        ("/set temperature -1", "from 0 to 100"),
        ("/set top_k 1.5", "whole number"),
        ("/set temperature nan", "from 0 to 100"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(session: Session, line: str, what: str) -> None:
    with pytest.raises(ConfigError) as error:
        commands.run(session, line)
    assert what in commands.problem(error.value)
    assert "\n" not in commands.problem(error.value)


@pytest.mark.parametrize("style", STYLES)
def test_a_style_changes_its_settings_and_shows_them(session: Session, style: str) -> None:
    commands.run(session, "/set guidance 0.7")
    commands.run(session, f"/style {style}")
    sampling = session.responder.sampling
    assert {name: getattr(sampling, name) for name in STYLES[style]} == dict(STYLES[style])
    assert sampling.guidance == 0.7
    shown = printed(session)
    assert all(name in shown for name in STYLES[style])


def test_of_two_styles_the_last_one_counts() -> None:
    assert len({frozenset(style) for style in STYLES.values()}) == 1


def test_a_style_is_one_of_those_that_there_are(session: Session) -> None:
    for line, what in (("/style", "takes a name"), ("/style carefull", "no style 'carefull'")):
        with pytest.raises(ChatbotError) as error:
            commands.run(session, line)
        assert what in commands.problem(error.value)
        assert "careful" in commands.problem(error.value)
    assert commands.completions("/style ca") == ["careful"]


def test_clear_begins_another_conversation(session: Session) -> None:
    session.turns = (Turn("user", "hello"),)
    session.last = Reply("", (), (), "finished")
    commands.run(session, "/clear")
    assert not session.turns
    assert not session.last


@pytest.mark.parametrize("line", ["/exit", "/quit", "/bye"])
def test_leaving_is_the_end_of_the_input(session: Session, line: str) -> None:
    with pytest.raises(EOFError):
        commands.run(session, line)


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("/att", ["/attention"]),
        ("/attention o", ["on", "off"]),
        ("/set to", ["top_k", "top_p"]),
        ("/nonsense x", []),
        ("att", []),
        ("/set\n", []),
    ],
)
def test_completion_offers_what_the_table_holds(line: str, offered: list[str]) -> None:
    assert commands.completions(line) == offered
