"""Questions made of documents: titles that say enough, and half of a sentence."""

from __future__ import annotations

import random
from collections.abc import Iterable

from llmchat_rag.made import half_a_sentence, made_questions

BODY = "word " * 30
FLOOD = "In winter the swollen river carried the northern bridge towards the harbour, where sailors moored its planks."


TEXTS = {
    "1": ("How the bridge was built", BODY),
    "2": ("guide.md", BODY),
    "3": ("Notes", FLOOD),
    "4": ("The same title twice", BODY),
    "5": ("The same  title twice", BODY),
    "6": ("A title without a body", "short"),
    "7": ("Who repaired the mill", f"{BODY}. {FLOOD}"),
}


class Shelf:
    """A few documents."""

    def titles(self) -> Iterable[tuple[str, str]]:
        return [(key, title) for key, (title, _) in TEXTS.items()]

    def body(self, key: str) -> str:
        return TEXTS[key][1]


def test_questions_are_made_of_titles_that_say_enough_and_of_sentences() -> None:
    made = made_questions(Shelf())
    titles = {key: text for key, text in made.texts.items() if key.startswith("title")}
    assert titles == {"title-1": "How the bridge was built", "title-7": "Who repaired the mill"}
    assert "words-3" in made.texts
    assert made.relevant == {key: {key.rpartition("-")[2]: 1} for key in made.texts}


def test_the_choice_is_the_same_each_time_and_has_its_limit() -> None:
    assert len(made_questions(Shelf(), most=1).texts) == 1
    assert made_questions(Shelf(), most=2, seed=3) == made_questions(Shelf(), most=2, seed=3)
    assert len({str(made_questions(Shelf(), most=1, seed=seed)) for seed in range(9)}) > 1


def test_half_a_sentence_keeps_half_of_what_says_something() -> None:
    made = half_a_sentence(f"Too short. {FLOOD} Too short again.", random.Random(1)).split()
    said = [word.strip(".,") for word in FLOOD.split()]
    assert made == sorted(made, key=said.index)
    assert len(made) == 5
    assert not {"In", "the", "its"} & set(made)


def test_of_short_sentences_nothing_is_made() -> None:
    assert half_a_sentence("It is. They were. So be it.", random.Random(1)) == ""
    assert half_a_sentence("", random.Random(1)) == ""
