"""The dullness meter: what it says, and when."""

import pytest

from chatbot.decoding import SamplingConfig
from chatbot.evaluation.dullness import Variety, dullness

HUMANS = Variety(distinct_2=0.8, commonest=0.1)
LINE = "20% of its replies are among its 20 commonest (humans: 10%), distinct-2 is {} (0.80); "


@pytest.mark.parametrize(
    ("distinct_2", "changes", "expected"),
    [
        (
            0.5,
            {"temperature": 0.7},
            "dull: " + LINE + "try a higher --temperature than 0.7, up to 1 (less sensible too)",
        ),
        (0.5, {"temperature": 1.0, "top_p": 0.9}, "dull: " + LINE + "try a higher --top-p than 0.9"),
        (
            0.5,
            {"temperature": 1.0, "top_p": 1.0},
            "dull: " + LINE + "train it longer, or on more conversations",
        ),
        (0.9, {"temperature": 1.5}, "wild: " + LINE + "try a lower --temperature than 1.5"),
        (0.8, {}, "as varied as humans: " + LINE[:-2]),
    ],
)
def test_it_says_in_a_line_what_helps(distinct_2: float, changes: dict[str, float], expected: str) -> None:
    found = dullness(Variety(distinct_2, 0.2), HUMANS, SamplingConfig(**changes))  # type: ignore[arg-type]
    assert found == expected.format(f"{distinct_2:.2f}")


def test_stock_replies_are_dull_however_varied_the_rest_is() -> None:
    found = dullness(Variety(HUMANS.distinct_2, 2.1 * HUMANS.commonest), HUMANS, SamplingConfig())
    assert found.startswith("dull")
    found = dullness(Variety(HUMANS.distinct_2, 1.9 * HUMANS.commonest), HUMANS, SamplingConfig())
    assert found.startswith("as varied")


def test_variety_is_counted_on_words() -> None:
    assert Variety.of(["Yes, I do.", "yes I do", "no"]) == Variety(0.5, 1.0, 3)


def test_of_few_replies_it_says_nothing() -> None:
    assert "so few replies (12)" in dullness(Variety(1.0, 1.0, 12), HUMANS, SamplingConfig())
