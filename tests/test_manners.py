"""The words that a well-mannered bot neither learns nor says."""

from __future__ import annotations

from chatbot.corpus import Report
from chatbot.corpus.cleaning import CleaningConfig, clean
from chatbot.dialogue import Dialogue, Turn
from chatbot.manners import offends, unmannerly


def test_the_list_holds_single_words_in_small_letters() -> None:
    assert len(unmannerly()) > 100
    assert all(word.isalpha() and word == word.casefold() for word in unmannerly())


def test_a_word_offends_however_it_is_written_but_not_inside_of_another() -> None:
    worst = max(unmannerly())
    assert offends(f"you {worst.upper()}!")
    assert not offends(f"you x{worst}x, Scunthorpe, dick, cockpit, hell")
    assert not offends("")


def test_such_a_turn_is_left_out_and_counted_where_that_was_asked_for() -> None:
    worst = min(unmannerly())
    texts = ("Hello.", "Hi.", f"You {worst}.", "Sorry?", "Never mind.")
    dialogue = Dialogue(tuple(Turn("AB"[i % 2], text) for i, text in enumerate(texts)), "film", 1)
    report = Report()
    parts = list(clean([dialogue], CleaningConfig(manners=True), report))
    assert [[turn.text for turn in part.turns] for part in parts] == [list(texts[:2]), list(texts[3:])]
    assert report.dropped == {"turns: with words of manners.txt": 1}
    assert list(clean([dialogue], CleaningConfig(), Report())) == [dialogue]
