"""Chain of thought: what reaches whoever asked looks like one reply, whatever the two passes did."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmchat_engine.errors import EngineDied
from llmchat_engine.events import Event, Finished, Loaded, Notice, Prefill, Token, Waiting
from llmchat_engine.prompting.chain_of_thought import TRIGGER, asked, reason
from llmchat_engine.prompting.few_shot import Shot, as_messages
from llmchat_engine.prompting.second_pass import ANSWER_TOKENS, MARK, ONE_LINE, THEREFORE
from llmchat_engine.testing import FAKE_MODEL, FakeEngine, Script
from llmchat_engine.types import Message, Request, Sampling

QUESTION = Message("user", asked("How many?", "zero-shot"))
ZERO_SHOT = Request((QUESTION,), chat="chat")
FEW_SHOT = replace(ZERO_SHOT, messages=(*as_messages([Shot("1+1", "2", "One and one.")], str, reasoned=True), QUESTION))
SCHEMA = '{"type": "object"}'
THOUGHT = Script("Three times four is twelve.")


def run(engine: FakeEngine, request: Request = ZERO_SHOT) -> tuple[str, str, Finished]:
    """Returns the thought, the answer and the end, after checking that what came is what the end says."""
    return told(reason(engine, request))


def told(events: Iterable[Event]) -> tuple[str, str, Finished]:
    seen = list(events)
    last = seen[-1]
    assert isinstance(last, Finished)
    assert not any(isinstance(event, Finished) for event in seen[:-1])
    tokens = [event for event in seen if isinstance(event, Token)]
    thought = "".join(token.text for token in tokens if token.thought)
    text = "".join(token.text for token in tokens if not token.thought)
    assert (thought, text) == (last.thought, last.text)
    assert [token.thought for token in tokens] == sorted((token.thought for token in tokens), reverse=True)
    assert last.thought_tokens <= last.reply_tokens
    return thought, text, last


def test_the_trigger_stands_behind_a_question_that_is_to_be_reasoned_about() -> None:
    assert asked("Why?", "zero-shot") == f"Why?\n\n{TRIGGER}"
    assert asked("Why?", "few-shot") == asked("Why?", "off") == "Why?"


def test_the_reasoning_is_thought_and_the_second_pass_answers() -> None:
    engine = FakeEngine([THOUGHT], continued=[Script(" 12\n")])
    thought, text, last = run(engine)
    assert (thought, text, last.reason) == (THOUGHT.text, "12", "eog")


def test_the_second_pass_goes_on_behind_the_reasoning() -> None:
    engine = FakeEngine([THOUGHT], continued=[Script(" 12")])
    run(engine)
    first, second = engine.requests
    begun = second.messages[-1]
    assert first.messages == ZERO_SHOT.messages
    assert second.messages[:-1] == first.messages
    assert (begun.role, begun.text) == ("assistant", THOUGHT.text + THEREFORE)
    assert begun.model_key == FAKE_MODEL.key
    assert (first.id, second.id) == (ZERO_SHOT.id, ZERO_SHOT.id)


def test_an_answer_is_one_line_that_leaves_nothing_to_chance() -> None:
    engine = FakeEngine([THOUGHT], continued=[Script(" 12")])
    run(engine, replace(ZERO_SHOT, sampling=Sampling(temperature=0.8, max_tokens=500)))
    second = engine.requests[1]
    assert (second.sampling.temperature, second.sampling.max_tokens) == (0.0, ANSWER_TOKENS)
    assert second.grammar == ONE_LINE


def test_the_next_turn_is_told_to_have_no_reasoning() -> None:
    engine = FakeEngine([THOUGHT], continued=[Script(" 12")])
    run(engine)
    assert engine.requests[1].next_messages == ZERO_SHOT.messages


def test_the_next_turn_is_told_to_have_the_reasoning_where_thoughts_are_kept() -> None:
    engine = FakeEngine([THOUGHT], continued=[Script(" 12")])
    run(engine, replace(ZERO_SHOT, keep_thoughts=True))
    assert engine.requests[1].next_messages == ()


def test_ids_and_counts_are_of_both_passes() -> None:
    engine = FakeEngine([THOUGHT], continued=[Script(" 12 apples")])
    *_, last = run(engine)
    bridge = engine.tokenize(THEREFORE)
    # Scripts have no token that ends them, and what ended with one loses its last.
    assert last.token_ids == (*range(4), *bridge, *range(2))
    assert last.thought_tokens == 4 + len(bridge)
    assert last.reply_tokens == 5 + len(bridge) + 2
    assert last.decode_seconds == pytest.approx(0.07)
    assert last.prefill_seconds == pytest.approx(0.02)
    assert last.thought_seconds == pytest.approx(0.06)


def test_probabilities_are_kept() -> None:
    engine = FakeEngine([THOUGHT], continued=[Script(" 12")])
    events = [*reason(engine, replace(ZERO_SHOT, logprobs=0))]
    assert sum(len(event.logprobs) for event in events if isinstance(event, Token)) == 6


def test_what_is_told_before_the_answer_is_told_once() -> None:
    engine = FakeEngine([replace(THOUGHT, notice="left out")], continued=[Script(" 12", notice="left out")])
    kinds = [type(event) for event in reason(engine, ZERO_SHOT)]
    assert [kinds.count(kind) for kind in (Loaded, Prefill, Notice, Finished)] == [1, 1, 1, 1]


def test_examples_show_the_mark_at_which_the_reasoning_ends() -> None:
    engine = FakeEngine([Script("Three times four.\nAnswer: 13 no")], continued=[Script(" 12\nand no more")])
    thought, text, last = run(engine, FEW_SHOT)
    first, second = engine.requests
    assert (thought, text) == ("Three times four.", "12\nand no more")
    assert first.sampling.stop == (MARK,)
    assert second.messages[-1].text == "Three times four." + MARK
    assert not second.grammar
    assert last.sampling.stop == second.sampling.stop == ()


def test_examples_whose_mark_the_model_did_not_write() -> None:
    engine = FakeEngine([THOUGHT], continued=[Script(" 12")])
    assert run(engine, FEW_SHOT)[1] == "12"
    assert engine.requests[1].messages[-1].text == THOUGHT.text + MARK
    assert engine.requests[1].grammar == ONE_LINE


def test_an_answer_behind_the_mark_has_what_room_is_left_and_the_stop_words() -> None:
    engine = FakeEngine([Script("Three.\nAnswer: 3")], continued=[Script(" 3")])
    run(engine, replace(FEW_SHOT, sampling=Sampling(max_tokens=200, stop=("\nInput:",))))
    sampling = engine.requests[1].sampling
    assert (sampling.max_tokens, sampling.stop) == (200 - 2, ("\nInput:",))


@pytest.mark.parametrize("field", ["schema", "grammar"])
def test_a_schema_holds_the_answer_alone(field: str) -> None:
    engine = FakeEngine([THOUGHT], continued=[Script('{"n": 12}')])
    held = replace(ZERO_SHOT, **{field: SCHEMA})  # type: ignore[arg-type]
    thought, text, last = run(engine, held)
    first, second = engine.requests
    assert (first.schema, first.grammar) == ("", "")
    assert getattr(second, field) == SCHEMA
    assert (thought, text, last.complete) == (THOUGHT.text, '{"n": 12}', True)


def test_a_schema_that_the_answer_does_not_reach_the_end_of_is_told() -> None:
    engine = FakeEngine([THOUGHT], continued=[Script(" ".join(["word"] * 100))])
    held = replace(ZERO_SHOT, schema=SCHEMA, sampling=Sampling(max_tokens=10))
    assert run(engine, held)[2].complete is False


def test_an_answer_of_one_line_that_is_cut_off_is_no_broken_schema() -> None:
    engine = FakeEngine([THOUGHT], continued=[Script(" ".join(["word"] * 100))])
    *_, last = run(engine)
    assert (last.reason, last.complete) == ("max_tokens", True)


def test_a_reasoning_that_is_cut_off_is_still_asked_for_its_answer() -> None:
    engine = FakeEngine([THOUGHT], continued=[Script(" 12")])
    thought, text, last = run(engine, replace(ZERO_SHOT, sampling=Sampling(max_tokens=2)))
    assert (thought, text, last.reason) == ("Three times", "12", "eog")
    assert last.token_ids[:2] == (0, 1)


@pytest.mark.parametrize("held", [False, True])
def test_a_full_context_leaves_the_reasoning(held: bool) -> None:
    model = replace(FAKE_MODEL, n_ctx=20)
    engine = FakeEngine([Script("word " * 100)], model=model, continued=[Script(" 12")])
    thought, text, last = run(engine, replace(ZERO_SHOT, schema=SCHEMA if held else ""))
    assert (text, last.reason, last.complete) == ("", "context", not held)
    assert thought.startswith("word word")
    assert len(last.token_ids) == last.thought_tokens == last.reply_tokens


def test_a_model_that_thinks_by_itself_needs_no_second_pass() -> None:
    engine = FakeEngine([Script("It is 12.", thought="Three times four.")])
    thought, text, last = run(engine)
    assert (thought, text, last.thought_tokens) == ("Three times four.", "It is 12.", 3)
    assert len(engine.requests) == 1


def test_a_model_that_thinks_by_itself_answers_to_a_schema_in_the_second_pass() -> None:
    engine = FakeEngine([Script("It is 12.", thought="Three times four.")], continued=[Script('{"n": 12}')])
    thought, text, _ = run(engine, replace(ZERO_SHOT, schema=SCHEMA))
    assert (thought, text) == ("Three times four.\n\nIt is 12.", '{"n": 12}')
    assert engine.requests[1].messages[-1].thought_tokens == 3


def test_text_is_continued_without_a_template_too() -> None:
    engine = FakeEngine([THOUGHT], continued=[Script(" 12")])
    run(engine, replace(ZERO_SHOT, raw=True))
    assert engine.requests[1].raw


def test_what_belongs_to_no_chat_is_forgotten() -> None:
    engine = FakeEngine([THOUGHT], continued=[Script(" 12")])
    run(engine, Request((QUESTION,), private=True))
    first, second = engine.requests
    assert first.chat == second.chat != ""
    assert not (first.private or first.store or second.store)
    assert engine.forgotten == [first.chat]


def test_what_belongs_to_no_chat_is_forgotten_when_nobody_listens_any_more() -> None:
    engine = FakeEngine([THOUGHT], continued=[Script(" 12")])
    events = reason(engine, Request((QUESTION,), private=True))
    assert any(isinstance(event, Token) for event in events)
    events.close()
    assert engine.forgotten == [engine.requests[0].chat]


def test_a_crash_in_the_second_pass_is_told() -> None:
    engine = FakeEngine([THOUGHT], continued=[Script(" 12 apples", crash_after=1)])
    with pytest.raises(EngineDied):
        run(engine)


@dataclass(slots=True)
class Inexact(FakeEngine):
    """An engine whose stop words cut tokens in half."""

    cuts: list[int] = field(default_factory=list)
    """The passes whose ids are not known."""

    def generate(self, request: Request) -> Generator[Event, None, None]:
        for event in FakeEngine.generate(self, request):
            if isinstance(event, Finished) and len(self.requests) in self.cuts:
                event = replace(event, token_ids=())
            yield event


def test_a_reasoning_without_exact_ids_is_tokenised_as_the_second_pass_reads_it() -> None:
    engine = Inexact([THOUGHT], continued=[Script(" 12")], cuts=[1])
    *_, last = run(engine)
    assert last.token_ids[:5] == engine.tokenize(THOUGHT.text)
    assert engine.requests[1].messages[-1].token_ids == last.token_ids[: last.thought_tokens]


def test_an_answer_without_exact_ids_leaves_none() -> None:
    engine = Inexact([THOUGHT], continued=[Script(" 12")], cuts=[2])
    assert run(engine)[2].token_ids == ()


def stopped_at(engine: FakeEngine, moment: int, request: Request) -> list[Event]:
    """Cancels the request when so many events have come."""
    events = []
    for number, event in enumerate(reason(engine, request)):
        if number == moment:
            engine.cancel(request.id)
        events.append(event)
    return events


@pytest.mark.parametrize("moment", range(12))
def test_a_cancel_at_any_moment_ends_the_reply(moment: int) -> None:
    engine = FakeEngine([THOUGHT], continued=[Script(" 12 apples are left")])
    events = stopped_at(engine, moment, replace(ZERO_SHOT, id=f"moment {moment}"))
    thought, text, last = told(events)
    assert last.reason == "cancelled"
    assert THOUGHT.text.startswith(thought)
    assert "12 apples are left".startswith(text)
    assert not text or thought == THOUGHT.text


def test_a_cancel_between_the_passes_is_not_lost() -> None:
    class Late(FakeEngine):
        """An engine whose caller cancels when the reasoning has just ended."""

        def tokenize(self, text: str) -> tuple[int, ...]:
            self.cancel(ZERO_SHOT.id)
            return FakeEngine.tokenize(self, text)

    engine = Late([THOUGHT], continued=[Script(" 12")])
    thought, text, last = run(engine)
    assert (thought, text, last.reason) == (THOUGHT.text, "", "cancelled")
    assert len(engine.requests) == 1
    assert len(last.token_ids) == last.thought_tokens > 4


def test_a_model_that_hangs_while_it_answers_can_be_stopped() -> None:
    engine = FakeEngine([THOUGHT], continued=[Script(" 12 apples", hang_after=1)])
    events: list[Event] = []
    for event in reason(engine, ZERO_SHOT):
        events.append(event)
        if isinstance(event, Waiting):
            engine.cancel(ZERO_SHOT.id)
    assert told(events)[1] == "12"


def test_closing_the_iterator_closes_the_pass() -> None:
    for count in range(10):
        events = reason(FakeEngine([THOUGHT], continued=[Script(" 12")]), ZERO_SHOT)
        for _ in range(count):
            next(events)
        events.close()


@given(st.text(alphabet=" \nab", max_size=12), st.text(alphabet=" \nab", min_size=1, max_size=12))
def test_whatever_is_said_what_comes_is_what_the_end_says(thought: str, answer: str) -> None:
    engine = FakeEngine([Script(thought)], continued=[Script(answer)])
    _, text, last = run(engine)
    assert text == answer.strip()
    assert last.thought == "".join(part for part in [thought] if part.strip())
