"""Attention outside of the terminal: what is drawn is what was measured, and nothing said is obeyed."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from chatbot.attribution import METHODS, title_of
from chatbot.dialogue import Dialogue, Turn
from chatbot.drawing.page import page
from chatbot.drawing.picture import ACROSS, GREY, HEAT, _bands, _Drawing, picture
from chatbot.drawing.values import values
from chatbot.replying import Reply
from chatbot.terminal.attention import Word, words
from tests.browser import CHROMIUM, Browser, started
from tests.fakes import ScriptedResponder
from tests.test_attention import PROMPT, mark, piece, reply, token

# <user> how aren't <end>: the reply's first word looks at "how", its second at "aren't"
SMALL = reply(PROMPT, token("▁well", 0.0, 0.7, 0.2, 0.05, 0.05), token("▁no", 0.1, 0.0, 0.5, 0.3, 0.1))
NOTHING = reply(PROMPT)
EVIL = "<script>said.textContent='evil'</script><img/src=x/onerror=alert(1)>&lt;\"'</style>"
WICKED = reply([mark(0x3), piece("▁" + EVIL), piece("▁\x1b[31mred\u202e")], token("▁" + EVIL, 0.5, 0.3, 0.2))


def conversation() -> Reply:
    def looks(position: int, length: int) -> list[float]:
        raw = [(3 * position + 7 * i) % 11 + 1.0 for i in range(length)]
        return [value / sum(raw) for value in raw]

    turns = (Turn("user", "Hello there, you."), Turn("bot", "Hi!"), Turn("user", "How are you?"))
    return Reply.collect(ScriptedResponder("I am fine, thanks.", looks=looks).reply(Dialogue(turns)))


def test_values_are_the_words_and_their_shares() -> None:
    found = values(SMALL, "norms")
    assert found == {
        "method": "norms",
        "title": title_of("norms"),
        "words": [
            {"word": "how", "turn": 0, "speaker": "user"},
            {"word": "aren't", "turn": 0, "speaker": "user"},
        ],
        "rows": [
            {"word": "well", "weights": [0.7, 0.25], "marks": 0.05},
            {"word": "no", "weights": [0.0, 0.8], "marks": 0.2},
        ],
    }
    assert json.loads(json.dumps(found)) == found


def cells(html: str) -> list[list[float]]:
    body = html.partition("<tbody>")[2].partition("</tbody>")[0]
    return [
        [float(x) for x in re.findall(r'data-(?:weight|marks)="([^"]*)"', row)] for row in body.split("<tr>")
    ][1:]


def test_a_page_holds_every_share_of_the_map() -> None:
    said = conversation()
    found = words(said)
    expected = [[*row.weights, row.marks] for row in found.rows]
    for row, by_map in zip(cells(page(said, "weights", "parrot")), expected, strict=True):
        assert row == pytest.approx(by_map, abs=5e-5)
        assert sum(row) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_a_page_names_the_method_and_the_bot(method: str) -> None:
    html = page(SMALL, method, "par<rot>")
    assert title_of(method) in unescape(html)
    assert "par&lt;rot&gt;" in html


def test_a_page_needs_nothing_beside_it_and_obeys_nothing_that_is_said() -> None:
    html = page(WICKED, "weights", EVIL)
    assert html.count("<script>") == html.count("</script>") == html.count("</style>") == 1
    assert "<img" not in html
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert not re.search(r"\s(?:src|href|style|on\w+)=", re.sub(r"&\S*", "", html.partition("<script>")[0]))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy
    assert policy[1].startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy[1]


def test_a_reply_without_words_has_a_page_and_a_picture() -> None:
    assert "no words" in page(NOTHING, "weights", "parrot")
    assert picture(NOTHING, "weights", "parrot").startswith(b"\x89PNG")


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_same_reply_gives_the_same_picture(kind: str) -> None:
    one, other = (picture(SMALL, "weights", "parrot", "svg" if kind == "svg" else "png") for _ in range(2))
    assert one == other
    assert one != picture(SMALL, "norms", "parrot", "svg" if kind == "svg" else "png")


def test_a_picture_says_dollars_and_what_has_no_glyph_as_they_are() -> None:
    odd = reply(
        [mark(0x3), piece(r"▁$\frac{1}$"), piece("▁\U0001f600\u0ca0")], token("▁$x$ _a^b", 0.1, 0.6, 0.3)
    )
    svg = picture(odd, "weights", r"$\bot$", "svg").decode()
    root = ElementTree.fromstring(svg)
    assert root.tag.endswith("svg")
    assert not [node for node in root.iter() if node.tag.endswith(("script", "image", "foreignObject"))]
    assert picture(WICKED, "weights", EVIL).startswith(b"\x89PNG")


def test_a_pictures_cells_have_the_colours_of_their_shares() -> None:
    drawing = _Drawing(words(SMALL), "weights", "parrot")
    colours = [patch.get_facecolor()[:3] for patch in drawing.axes.patches[:6]]
    # Column by column: "how", "aren't", and the marks in grey, which are not set against the strongest, 0.8
    shares = (HEAT(0.7 / 0.8), HEAT(0.0), HEAT(0.25 / 0.8), HEAT(1.0), GREY(0.05), GREY(0.2))
    for colour, expected in zip(colours, shares, strict=True):
        assert colour == pytest.approx(expected[:3])
    written = [text.get_text() for text in drawing.axes.texts]
    for expected_text in ("how", "aren't", "well", "no", "70", "25", "80", "20", "you", "80 %"):
        assert expected_text in written


def test_a_long_prompt_goes_on_in_another_band_and_no_word_is_lost() -> None:
    found = [Word(f"word{i}", i // 30, "user" if i < 30 else "bot") for i in range(60)]
    bands = list(_bands(found))
    assert len(bands) > 1
    assert [column.index for band in bands for column in band] == [*range(60), None]
    for band in bands:
        ends = [column.left + column.width for column in band]
        assert max(ends) < 1.2 * ACROSS
        assert all(end <= after.left for end, after in zip(ends, band[1:], strict=False))


# -- in a real browser

needs_browser = pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium here")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with started(tmp_path_factory.mktemp("profile")) as found:
        found.media(prefers_reduced_motion="reduce")
        yield found


@pytest.fixture
def shown(browser: Browser, tmp_path: Path) -> Browser:
    """SMALL's page, in the browser."""
    file = tmp_path / "map.html"
    file.write_text(page(SMALL, "weights", "parrot"), encoding="utf-8")
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=0, y=0)
    browser.open(file)
    return browser


PROMPTS_LIGHT = "[...document.querySelectorAll('[data-column]')].map(e => e.dataset.share)"
REPLYS_LIGHT = "[...document.querySelectorAll('[data-row]')].map(e => e.dataset.share)"
SAID = "document.getElementById('said').textContent"
FOCUSED = "document.activeElement.textContent"


@needs_browser
@pytest.mark.slow
def test_pointing_at_a_word_lights_what_it_looked_at(shown: Browser) -> None:
    assert shown.run(PROMPTS_LIGHT) == ["35", "53"], "the mean: (0.7 + 0) / 2, (0.25 + 0.8) / 2"
    shown.point("[data-row='0']")
    assert shown.run(PROMPTS_LIGHT) == ["70", "25"]
    assert shown.run(SAID) == "“well” looked at “how” 70 %, “aren't” 25 %, marks 5 %."
    colours = "[...document.querySelectorAll('[data-column]')].map(e => getComputedStyle(e).backgroundColor)"
    one, other = shown.run(colours)
    assert one != other
    shown.point("[data-row='1']")
    assert shown.run(PROMPTS_LIGHT) == ["", "80"]
    shown.point("[data-column='0']")
    assert shown.run(PROMPTS_LIGHT) == ["", ""]
    assert shown.run(REPLYS_LIGHT) == ["70", ""]
    assert shown.run(SAID) == "“how” was looked at by “well” 70 %."
    shown.point("h1")
    assert shown.run(PROMPTS_LIGHT) == ["35", "53"]
    assert "mean" in shown.run(SAID)


@needs_browser
@pytest.mark.slow
def test_keys_reach_every_word(shown: Browser) -> None:
    shown.press("Tab", 9)
    assert shown.run(FOCUSED) == "how"
    shown.press("Tab", 9)
    assert shown.run(FOCUSED) == "well"
    assert shown.run(PROMPTS_LIGHT) == ["70", "25"]
    shown.press("ArrowRight", 39)
    assert shown.run(FOCUSED) == "no"
    assert shown.run(PROMPTS_LIGHT) == ["", "80"]
    shown.press("Enter", 13)
    shown.point("[data-row='0']")
    assert shown.run(PROMPTS_LIGHT) == ["70", "25"]
    shown.point("h1")
    assert shown.run(PROMPTS_LIGHT) == ["", "80"], "it is kept"
    assert shown.run("document.querySelectorAll('[aria-pressed=true]').length") == 1
    shown.press("Escape", 27)
    assert shown.run(PROMPTS_LIGHT) == ["35", "53"]
    assert shown.run("document.querySelectorAll('[aria-pressed=true]').length") == 0


CONTRAST = """(() => {
  const draw = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const shown = (...colours) => {
    for (const colour of colours) { draw.fillStyle = colour; draw.fillRect(0, 0, 1, 1); }
    return [...draw.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const bright = rgb => rgb.map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const page = getComputedStyle(document.body).backgroundColor, talk = document.querySelector(".talk");
  return [...document.querySelectorAll(".word, .about, td, .hint, .speaker")].map(e => {
    const style = getComputedStyle(e);
    const under = [page, talk.contains(e) ? getComputedStyle(talk).backgroundColor : page];
    const both = [bright(shown(...under, style.backgroundColor)), bright(shown(...under, style.color))];
    return (Math.max(...both) + .05) / (Math.min(...both) + .05);
  });
})()"""


@needs_browser
@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read_on_light_and_on_dark(shown: Browser, scheme: str) -> None:
    shown.media(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
    shown.point("[data-row='1']")
    contrasts = shown.run(CONTRAST)
    assert len(contrasts) > 10
    assert min(contrasts) >= 4.5, "WCAG 2.2, 1.4.3"
    bright = shown.run("getComputedStyle(document.body).backgroundColor")
    assert (int(re.findall(r"\d+", bright)[0]) > 128) is (scheme == "light")


@needs_browser
@pytest.mark.slow
def test_a_browser_runs_nothing_that_was_said_and_asks_for_nothing(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "wicked.html"
    file.write_text(page(WICKED, "weights", EVIL), encoding="utf-8")
    browser.open(file)
    browser.point("[data-row='0']")
    assert browser.run("document.title") == f"What {EVIL} looked at"
    assert browser.run(SAID).startswith(f"“{EVIL}” looked at “{EVIL}” 30 %")
    assert browser.run("document.querySelectorAll('img').length") == 0
    assert browser.run("document.querySelectorAll('script').length") == 1
    assert browser.run("document.querySelector('[data-row]').textContent") == EVIL
    assert browser.run("document.querySelectorAll('.word')[1].textContent") == "[31mred"
    assert browser.requested() == [file.as_uri()]
    assert browser.complaints() == []


@needs_browser
@pytest.mark.slow
def test_the_policy_would_let_nothing_else_in(shown: Browser) -> None:
    shown.run(
        "document.body.insertAdjacentHTML('beforeend', '<img src=x.png>');"
        "const late = document.createElement('script'); late.textContent = 'window.ran = true';"
        "document.body.append(late)"
    )
    assert shown.run("window.ran") is None
    assert len(shown.complaints()) >= 2
