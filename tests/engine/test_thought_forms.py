"""How a model's marks are found, and that a reply is cut in the same places however its tokens are cut."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.thinkers import GPT_OSS, QWEN3, R1
from tests.engine.tiny_gguf import CHATML

from llmchat_engine.answers import Answer
from llmchat_engine.events import Token
from llmchat_engine.host.detokenize import Detokenizer
from llmchat_engine.host.strands import Strand
from llmchat_engine.host.thinking import MOST_FORCED, Thought, ThoughtPlan, settled
from llmchat_engine.host.thought_forms import HARMONY, MARKS, Harmony, Tagged, thought_form
from llmchat_engine.types import Sampling

REAL = Path(__file__).parent / "templates"
THINKS = {"deepseek-r1", "gpt-oss", "qwen3"}


class Words:
    """A vocabulary: some marks as one token, everything else a token a character."""

    def __init__(self, *single: str) -> None:
        self.single = {text: 0x110000 + number for number, text in enumerate(single)}

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        assert special
        for mark, token in self.single.items():
            before, found, behind = text.partition(mark)
            if found:
                return [*self.tokenize(before, special=True), token, *self.tokenize(behind, special=True)]
        return [ord(character) for character in text]


THINK = Words("<think>", "</think>")


@pytest.mark.parametrize("marks", MARKS)
def test_a_pair_of_marks_is_found_where_the_template_names_it(marks: tuple[str, str, str]) -> None:
    before, behind, blank = marks
    form = thought_form(f"{{{{ '{before}' }}}}", Words(before, behind))
    assert isinstance(form, Tagged)
    assert form.marks == (0x110000, 0x110001)
    assert form.opening == (0x110000, *map(ord, blank))
    assert thought_form("a template without one", Words(before, behind)) is None


def test_a_mark_that_only_the_template_has_is_spelled() -> None:
    form = thought_form(QWEN3, Words())
    assert isinstance(form, Tagged)
    assert form.marks is None
    assert thought_form("[THINK] [/THINK]", Words()) is None
    assert thought_form("{{ c.split('</think>')[-1] }}", Words()) is None


def test_channels_are_found_and_need_all_of_their_marks() -> None:
    assert isinstance(thought_form(GPT_OSS, Words(*HARMONY)), Harmony)
    assert thought_form(GPT_OSS, Words(*HARMONY[1:])) is None
    assert thought_form(CHATML, Words(*HARMONY)) is None


@pytest.mark.parametrize("template", [None, "", CHATML])
def test_a_vocabulary_alone_is_no_thought(template: str | None) -> None:
    assert thought_form(template, THINK) is None


@pytest.mark.parametrize("name", [path.stem for path in sorted(REAL.glob("*.jinja"))])
def test_real_templates(name: str) -> None:
    vocab = Words("<think>", "</think>", *HARMONY)
    assert (thought_form((REAL / f"{name}.jinja").read_text(), vocab) is not None) == (name in THINKS)


def test_what_templates_are_told() -> None:
    tagged, harmony = thought_form(R1, THINK), thought_form(GPT_OSS, Words(*HARMONY))
    assert tagged and harmony
    assert tagged.variables("auto") == harmony.variables("auto") == {}
    assert tagged.variables("on") == {"enable_thinking": True, "thinking": True} == harmony.variables("on")
    assert tagged.variables("off") == {"enable_thinking": False, "thinking": False}
    assert harmony.variables("off")["reasoning_effort"] == "low"


def test_a_reply_with_its_thought_in_a_later_prompt() -> None:
    tagged, harmony = thought_form(R1, THINK), thought_form(GPT_OSS, Words(*HARMONY))
    assert isinstance(tagged, Tagged)
    assert isinstance(harmony, Harmony)
    mark, end = tagged.marks or (0, 0)
    assert tagged.whole((7, end, 8), 2) == (*tagged.opening, 7, end, 8)
    assert tagged.whole((mark, 7, end, 8), 3) == (mark, 7, end, 8)
    assert tagged.whole((7, 8), 1) == (7, 8), "the prompt had closed it"
    assert tagged.whole((10, mark, 7, end, 8), 4) == (10, mark, 7, end, 8), "a blank stood before the mark"
    assert harmony.whole((harmony.channel, 7, 8), 2) == (harmony.channel, 7, 8)
    assert harmony.whole((7, 8), 1) == (*harmony.final, 7, 8)


def test_a_mark_that_the_vocabulary_cannot_spell_does_not_go_on_for_ever() -> None:
    """A model file can say that the letters of a mark are no letters; nothing closes its thoughts."""
    form = Tagged(("<think>", "</think>"), None, (1,), (2,), (), "")
    ids, _ = settled(ThoughtPlan(form, prompt=(1,), budget=0), lambda token: b"<think>" if token == 1 else b"?")
    assert ids == (2,) * MOST_FORCED


TEXTS = st.text(st.sampled_from("ab<>/think \né漢"), max_size=30)
CUTS = st.lists(st.integers(0, 120), max_size=60)


def strand_of(tokens: Sequence[bytes], form: Tagged, prompt: Sequence[int] = ()) -> tuple[Strand, list[Token]]:
    """Returns a reply that was made of these tokens, to its end, and its events."""

    def piece(token: int) -> bytes:
        return tokens[token] if token < len(tokens) else b""

    thought = Thought(ThoughtPlan(form, prompt=tuple(prompt)), piece)
    strand = Strand(0, None, _Nobody(), Detokenizer(piece), Sampling(), thought)  # type: ignore[arg-type]
    events = [event for token in range(len(tokens)) for event in strand.take(token, ends=False, limit=1000)]
    return strand, [*events, *strand.flush()]


class _Nobody:
    complete = True

    def sample(self, context: object, index: int = -1) -> int:
        raise AssertionError

    def accept(self, token: int) -> None:
        raise AssertionError


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["", " ", "\n"]), TEXTS, TEXTS, CUTS)
def test_spelled_marks_are_found_wherever_tokens_are_cut(
    blank: str, thought: str, answer: str, cuts: list[int]
) -> None:
    form = Tagged(("<think>", "</think>"), None, (), (), (), "")
    data = f"{blank}<think>\n{thought}\n</think>\n\n{answer}".encode()
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    tokens = [data[begin:end] for begin, end in pairwise(places)]
    strand, events = strand_of(tokens, form)
    end: Answer = strand.end()
    before, _, behind = f"\n{thought}\n</think>\n\n{answer}".partition("</think>")
    assert end.thought == before.strip()
    assert behind.endswith(end.text)
    assert not behind.removesuffix(end.text).strip()
    assert not end.text.startswith("\n")
    assert sum(event.count for event in events) <= len(tokens)
    assert "".join(event.text for event in events if not event.thought) == end.text
    assert "".join(event.text for event in events if event.thought) == end.thought
    assert end.thought_tokens <= len(tokens)


@pytest.mark.parametrize(
    ("closing", "ids"), [([b"</think>\n\n", b"Hello"], (0, 1, 2, 3)), ([b"</think", b">Hello"], ())]
)
def test_a_token_that_closes_a_thought_and_begins_the_answer_has_no_place_in_a_later_prompt(
    closing: list[bytes], ids: tuple[int, ...]
) -> None:
    """The later prompt would begin the answer with the end of the mark."""
    strand, events = strand_of([b"<think>", b"hm", *closing], Tagged(("<think>", "</think>"), None, (), (), (), ""))
    end = strand.end()
    assert (end.thought, end.text, end.token_ids) == ("hm", "Hello", ids)
    assert sum(event.count for event in events) == end.tokens == 4


@settings(max_examples=200, deadline=None)
@given(TEXTS.filter(lambda text: not text.lstrip().startswith("<think>")), CUTS)
def test_text_that_opens_no_thought_is_the_answer_to_the_letter(text: str, cuts: list[int]) -> None:
    form, data = Tagged(("<think>", "</think>"), None, (), (), (), ""), text.encode()
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    strand, events = strand_of([data[begin:end] for begin, end in pairwise(places)], form)
    assert strand.end().text == text == "".join(event.text for event in events)
    assert strand.end().thought_tokens == 0
