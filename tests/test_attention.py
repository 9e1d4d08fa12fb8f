"""The heat map: its numbers are the model's, and it fits the window."""

from io import StringIO

import pytest
from rich.cells import cell_len
from rich.console import Console

from chatbot.dialogue import Dialogue, Turn
from chatbot.replying import Reply, TokenEvent
from chatbot.terminal.attention import AttentionMap, Row, Word, words
from chatbot.tokenizer import BOT, END, USER, PromptPiece
from tests.fakes import ScriptedResponder


def piece(text: str, turn: int = 0, speaker: str = "user") -> PromptPiece:
    return PromptPiece(100, text, turn, speaker, mark=False)


def mark(token: int, turn: int = 0, speaker: str = "user") -> PromptPiece:
    return PromptPiece(token, {USER: "<user>", BOT: "<bot>", END: "<end>"}[token], turn, speaker, mark=True)


def token(text: str, *attention: float, id: int = 100) -> TokenEvent:
    return TokenEvent(text.replace("▁", " "), text, id, 1.0, attention)


def reply(prompt: list[PromptPiece], *tokens: TokenEvent) -> Reply:
    return Reply("", tuple(prompt), tokens, "finished")


# <user> "how" "are" + "n't" <end>: two words, three tokens, two marks
PROMPT = [mark(USER), piece("▁how"), piece("▁are"), piece("n't"), mark(END)]


def test_weights_are_summed_over_a_prompts_word_and_averaged_over_a_replys() -> None:
    attention = words(
        reply(
            PROMPT,
            token("▁I", 0.1, 0.2, 0.3, 0.1, 0.3),
            token("'m", 0.3, 0.0, 0.1, 0.5, 0.1),
            token("▁ok", 0.0, 1.0, 0.0, 0.0, 0.0),
        )
    )
    assert attention.columns == (Word("how", 0, "user"), Word("aren't", 0, "user"))
    # how: (0.2 + 0) / 2; aren't: (0.3 + 0.1 + 0.1 + 0.5) / 2; marks: (0.1 + 0.3 + 0.3 + 0.1) / 2
    assert attention.rows[0].text == "I'm"
    assert attention.rows[0].weights == pytest.approx((0.1, 0.5))
    assert attention.rows[0].marks == pytest.approx(0.4)
    assert attention.rows[1] == Row("ok", (1.0, 0.0), 0.0)


def test_every_row_sums_to_one_with_its_marks() -> None:
    def looks(position: int, length: int) -> list[float]:
        raw = [(3 * position + 7 * i) % 11 + 1.0 for i in range(length)]
        return [value / sum(raw) for value in raw]

    turns = (Turn("user", "Hello there, you."), Turn("bot", "Hi!"), Turn("user", "How are you?"))
    said = Reply.collect(ScriptedResponder("I am fine, thanks.", looks=looks).reply(Dialogue(turns)))
    attention = words(said)
    assert [row.text for row in attention.rows] == ["I", "am", "fine,", "thanks."]
    heads = [column.text for column in attention.columns]
    assert heads == ["Hello", "there,", "you.", "Hi!", "How", "are", "you?"]
    for row in attention.rows:
        assert sum(row.weights) + row.marks == pytest.approx(1, abs=1e-6)


def test_the_end_mark_of_a_reply_is_no_word() -> None:
    attention = words(reply(PROMPT, token("▁ok", 0, 1, 0, 0, 0), token("<end>", 1, 0, 0, 0, 0, id=END)))
    assert [row.text for row in attention.rows] == ["ok"]


def test_a_reply_that_spells_a_mark_still_has_a_word() -> None:
    assert words(reply(PROMPT, token("▁<end>", 0, 1, 0, 0, 0))).rows[0].text == "<end>"


def test_words_of_different_turns_stay_apart() -> None:
    prompt = [piece("▁a"), mark(END), piece("b", 1, "bot"), mark(END, 1, "bot")]
    columns = words(reply(prompt, token("▁x", 0.25, 0.25, 0.25, 0.25))).columns
    assert columns == (Word("a", 0, "user"), Word("b", 1, "bot"))


def test_bytes_become_the_character_that_they_spell() -> None:
    prompt = [piece("▁"), *(piece(f"<0x{byte:02X}>") for byte in "😀".encode()), piece("▁ok")]
    attention = words(reply(prompt, token("<0xF0>", *[0.1] * 4, 0.2, 0.4), token("<0x9F>", 0, 0, 0, 0, 0, 1)))
    heads = [column.text for column in attention.columns]
    assert heads == ["😀", "ok"]
    assert attention.rows[0].text == "\ufffd"  # a reply that was cut inside a character
    assert attention.rows[0].weights == pytest.approx((0.3, 0.7))


def test_a_prompt_that_is_cut_within_a_character_shows_none() -> None:
    rest = [piece(f"<0x{byte:02X}>") for byte in "😀".encode()[2:]]
    for left, heads in (([*rest, piece("x")], ["x", "ok"]), (rest, ["_", "ok"])):
        prompt = [*left, piece("▁ok")]
        columns = words(reply(prompt, token("▁a", *[0.25] * len(prompt)))).columns
        assert [column.text for column in columns] == heads


def test_what_cannot_be_seen_has_a_label_all_the_same() -> None:
    attention = words(reply([piece("▁\u200b"), piece("▁ok")], token("▁\x07", 0.5, 0.5)))
    assert [column.text for column in attention.columns] == ["_", "ok"]
    assert attention.rows[0].text == "_"


def test_scripts_without_spaces_get_a_column_for_each_piece() -> None:
    prompt = [piece("▁東京"), piece("へ"), piece("行"), piece("▁Tokyo"), piece("s")]
    columns = words(reply(prompt, token("▁x", 1, 0, 0, 0, 0))).columns
    assert [column.text for column in columns] == ["東京", "へ", "行", "Tokyos"]


def test_escape_sequences_in_pieces_are_not_shown() -> None:
    columns = words(reply([piece("▁\x1b[31mred")], token("▁\u202ex", 1.0)))
    assert (columns.columns[0].text, columns.rows[0].text) == ("[31mred", "x")


def drawn(said: Reply, width: int, **console: object) -> str:
    out = StringIO()
    settings = {"color_system": None, "width": width, **console}
    Console(file=out, **settings).print(AttentionMap(said))  # type: ignore[arg-type]
    return out.getvalue()


def test_the_map_of_two_words_by_two() -> None:
    said = reply(
        PROMPT,
        token("▁I", 0.1, 0.8, 0.05, 0.05, 0.0),
        token("▁am", 0.5, 0.0, 0.25, 0.0, 0.25),
    )
    assert drawn(said, 70) == (
        "attention: the model's own weights, averaged over a word's tokens\n"
        "   │ you:        │\n"
        "   │ how  aren't │ marks\n"
        " I │ ████ ░░░░░░ │   10%\n"
        "am │      ▒▒▒▒▒▒ │   75%\n"
        "░ 8%+  ▒ 24%+  ▓ 40%+  █ 60%+  most 80%\n"
    )


def test_turns_without_a_word_that_is_lit_are_left_out_and_counted() -> None:
    prompt = [piece("▁old", 0), piece("▁news", 1, "bot"), piece("▁dog", 2), piece("▁cat", 3)]
    map_ = drawn(reply(prompt, token("▁I", 0.02, 0.02, 0.96, 0.0)), 70)
    assert "old" not in map_
    assert "news" not in map_
    assert "│ dog  │ cat" in map_  # the last turn is always there
    assert map_.endswith("2 turns are not drawn: no word there got 28.8% of any word's attention\n")
    assert "1 turn is not drawn" in drawn(reply(prompt, token("▁I", 0.02, 0.48, 0.5, 0.0)), 70)
    assert "not drawn" not in drawn(reply(prompt, token("▁I", 0.25, 0.25, 0.25, 0.25)), 70)


def test_a_console_without_blocks_gets_ascii() -> None:
    console = Console(file=StringIO(), width=60, color_system=None)
    options = console.options.copy()
    options.encoding = "ascii"
    said = reply(PROMPT, token("▁I", 0.0, 0.8, 0.2, 0.0, 0.0))
    text = "".join(segment.text for segment in console.render(AttentionMap(said), options))
    assert text.isascii()
    assert "I | #### -----" in text


TURNS = (
    Turn("user", "Hello there, my extraordinarily verbose friend."),
    Turn("bot", "Hi 😀 how are you today?"),
    Turn("user", "東京 is far away and donaudampfschifffahrtsgesellschaft is long. You?"),
)


@pytest.mark.parametrize("width", [1, 8, 20, 40, 60, 80, 200])
def test_the_map_fits_every_window(width: int) -> None:
    said = Reply.collect(ScriptedResponder("I am fine, thanks for asking!").reply(Dialogue(TURNS)))
    for line in drawn(said, width).splitlines():
        assert cell_len(line) <= width


@pytest.mark.parametrize("width", [40, 60, 100, 200])
def test_every_word_has_its_column_once_at_every_width(width: int) -> None:
    said = Reply.collect(ScriptedResponder("I am fine").reply(Dialogue(TURNS)))
    text = drawn(said, width)
    for word in (
        "Hello",
        "there,",
        "verbose",
        "😀",
        "today?",
        "東京",
        "away",
        "donaudampfs…",
        "You?",
        "marks",
    ):
        assert text.count(f" {word} ") + text.count(f" {word}\n") == 1, word


def test_cells_stand_below_wide_characters() -> None:
    said = reply([piece("▁東京大阪"), piece("▁b")], token("▁x", 0.0, 1.0), token("▁y", 1.0, 0.0))
    header, x, y = drawn(said, 70).splitlines()[2:5]
    assert cell_len(header[: header.index("b")]) == x.index("█") == y.index("█") + 9


def test_each_band_says_who_is_speaking() -> None:
    said = Reply.collect(ScriptedResponder("ok").reply(Dialogue(TURNS)))
    bands = drawn(said, 40).split("\n\n")
    assert len(bands) > 2
    assert all("you:" in band or "bot:" in band for band in bands)


def test_a_reply_without_words_has_no_map() -> None:
    assert drawn(reply(PROMPT, token("<end>", 0, 1, 0, 0, 0, id=END)), 60) == "no words, no attention\n"


def test_words_that_get_no_attention_at_all_do_not_divide_by_zero() -> None:
    said = reply(PROMPT, token("▁I", 1.0, 0.0, 0.0, 0.0, 0.0))
    assert "100%" in drawn(said, 60)


def test_colour_comes_on_top_of_the_shades(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    said = reply(PROMPT, token("▁I", 0.0, 0.8, 0.2, 0.0, 0.0))
    coloured = drawn(said, 60, force_terminal=True, color_system="256", no_color=False)
    assert "\x1b[38;5;202m████" in coloured
    assert "\x1b[38;5" not in drawn(said, 60, force_terminal=True, color_system="256", no_color=True)


def test_a_wide_word_is_cut_by_its_width_and_says_so() -> None:
    said = reply([piece("▁東京大阪名古屋横浜")], token("▁x", 1.0))
    assert "│ 東京大阪名…\n" in drawn(said, 70)
