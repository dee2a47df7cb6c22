"""How a question is asked: examples, words around it, thoughts; what of it is on disk and in the next turn's prompt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from llmchat_engine import EngineDied, Message, Sampling
from llmchat_engine.prompting.few_shot import Shot
from llmchat_engine.testing import FakeEngine, Script
from llmchat_tui.events import Ended, TurnEvent
from llmchat_tui.history import History, StoredMessage
from llmchat_tui.overflow import ContextOverflow
from llmchat_tui.recipe import PLAIN, Recipe, packed, recipe_of
from llmchat_tui.turn import Turn, run

SHOTS = (Shot("2+2", "4", "Two and two."), Shot("3+3", "6", "Three and three."))
THINKING = Script("It is 42.", thought="Let me see. Six by seven.")


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    with History.open(tmp_path / "chats.db") as history:
        yield history


def ask(turn: Turn, engine: FakeEngine, history: History) -> list[TurnEvent]:
    return list(run(turn, engine, history))


def path(history: History) -> tuple[StoredMessage, ...]:
    newest = history.latest()
    assert newest is not None
    return tuple(history.path(newest.leaf_id))


def said(messages: Sequence[Message]) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in messages]


def test_examples_stand_between_the_system_prompt_and_the_chat(history: History) -> None:
    engine = FakeEngine([Script("8")])
    recipe = Recipe(shots=SHOTS, wrapper="Sum: $input")
    ask(Turn("4+4", system="Add.", recipe=recipe), engine, history)
    examples = [("user", "Sum: 2+2"), ("assistant", "4"), ("user", "Sum: 3+3"), ("assistant", "6")]
    (request,) = engine.requests
    assert said(request.messages) == [("system", "Add."), *examples, ("user", "Sum: 4+4")]
    assert request.shared == 5
    assert [message.text for message in path(history)] == ["4+4", "8"]
    earlier = path(history)
    ask(Turn("5+5", earlier, earlier[0].conversation_id, system="Add.", recipe=recipe), engine, history)
    before = [("system", "Add."), *examples, ("user", "Sum: 4+4"), ("assistant", "8")]
    assert said(engine.requests[1].messages) == [*before, ("user", "Sum: 5+5")]
    assert engine.requests[1].messages[:6] == request.messages


def test_a_chat_keeps_its_recipe(history: History) -> None:
    recipe = Recipe("sums", SHOTS, "Sum: $input", think="off", think_budget=9, schema="{}")
    ask(Turn("4+4", recipe=recipe), FakeEngine(), history)
    newest = history.latest()
    assert newest is not None and recipe_of(newest.recipe) == recipe
    history.configure(newest.id, recipe=packed(PLAIN))
    assert history.conversation(newest.id).recipe == {}


@pytest.mark.parametrize(
    "damaged",
    [
        {"shots": 3},
        {"cot": "sometimes"},
        {"think_budget": "much"},
        {"think_budget": -4},
        {"votes": -3},
        {"votes": 10**9},
    ],
)
def test_a_recipe_that_cannot_be_read_counts_as_none(damaged: dict[str, object]) -> None:
    assert recipe_of(damaged) == PLAIN


def test_a_base_model_gets_its_examples_as_text(history: History) -> None:
    engine = FakeEngine()
    ask(Turn("4+4", raw=True, recipe=Recipe(shots=SHOTS)), engine, history)
    (request,) = engine.requests
    text = "Input: 2+2\nOutput: 4\n\nInput: 3+3\nOutput: 6\n\nInput: 4+4\nOutput:"
    assert "".join(message.text for message in request.messages) == text
    assert request.sampling.stop == ("\nInput:",)


def test_what_was_thought_stands_beside_the_reply(history: History) -> None:
    engine = FakeEngine([THINKING])
    events = ask(Turn("six by seven", recipe=Recipe(think="on", think_budget=50)), engine, history)
    (ended,) = (event for event in events if isinstance(event, Ended))
    assert (engine.requests[0].think, engine.requests[0].think_budget) == ("on", 50)
    reply = path(history)[1]
    assert (reply.text, reply.thought, reply.thought_tokens) == ("It is 42.", THINKING.thought, 6)
    assert len(reply.token_ids) == 9 and reply.thought_seconds > 0
    assert (ended.finished.text, ended.finished.thought) == (reply.text, reply.thought)


def test_the_next_turn_says_where_the_thought_ends(history: History) -> None:
    engine = FakeEngine([THINKING])
    ask(Turn("a"), engine, history)
    earlier = path(history)
    ask(Turn("b", earlier, earlier[0].conversation_id, recipe=Recipe(keep_thoughts=True)), engine, history)
    request = engine.requests[1]
    reply = request.messages[1]
    assert (reply.text, reply.thought_tokens, len(reply.token_ids)) == ("It is 42.", 6, 9)
    assert request.keep_thoughts


def test_a_crash_inside_a_thought_keeps_it(history: History) -> None:
    engine = FakeEngine([replace(THINKING, crash_after=3)])
    with suppress(EngineDied):
        ask(Turn("a"), engine, history)
    reply = path(history)[1]
    assert (reply.status, reply.text, reply.thought) == ("failed", "", "Let me see.")


def test_a_reply_that_goes_on_has_the_whole_thought(history: History) -> None:
    engine = FakeEngine([THINKING, Script(" I am sure.")])
    ask(Turn("a"), engine, history)
    question, reply = path(history)
    more = Turn(
        "a",
        conversation_id=question.conversation_id,
        question_id=question.id,
        prefill=reply.text,
        prefill_ids=reply.token_ids,
        prefill_key=reply.model_key,
        prefill_thought=reply.thought,
        prefill_thought_tokens=reply.thought_tokens,
    )
    ask(more, engine, history)
    longer = path(history)[1]
    assert (longer.text, longer.thought, longer.thought_tokens) == ("It is 42. I am sure.", THINKING.thought, 6)
    assert engine.requests[1].messages[-1].token_ids == reply.token_ids


def test_a_thought_that_was_stopped_goes_on_as_a_thought(history: History) -> None:
    engine = FakeEngine([replace(THINKING, hang_after=3), THINKING])
    turn = Turn("a")
    for event in run(turn, engine, history):
        if getattr(event, "text", "") == " see.":
            engine.cancel(turn.request_id)
    question, reply = path(history)
    assert (reply.status, reply.text, reply.thought, reply.thought_tokens) == ("stopped", "", "Let me see.", 3)
    more = Turn(
        "a",
        conversation_id=question.conversation_id,
        question_id=question.id,
        prefill_ids=reply.token_ids,
        prefill_key=reply.model_key,
        prefill_thought=reply.thought,
        prefill_thought_tokens=reply.thought_tokens,
    )
    ask(more, engine, history)
    begun = engine.requests[1].messages[-1]
    assert (begun.role, begun.text, begun.token_ids) == ("assistant", "", reply.token_ids)
    longer = path(history)[1]
    assert longer.thought == reply.thought + THINKING.thought and longer.thought_tokens == 3 + 6


def test_examples_do_not_leave_a_full_context(history: History) -> None:
    engine = FakeEngine([Script("word " * 600)])
    recipe = Recipe(shots=SHOTS)
    earlier: tuple[StoredMessage, ...] = ()
    for number in range(3):
        chat = earlier[0].conversation_id if earlier else ""
        ask(Turn(f"q{number}", earlier, chat, recipe=recipe), engine, history)
        earlier = path(history)
    turn = Turn("word " * 600, earlier, earlier[0].conversation_id, recipe=recipe, overflow="ask")
    with pytest.raises(ContextOverflow) as caught:
        ask(turn, engine, history)
    assert caught.value.plan.left_out == 4
    ask(replace(turn, overflow="drop"), engine, history)
    assert said(engine.requests[-1].messages)[:5] == [
        ("user", "2+2"),
        ("assistant", "4"),
        ("user", "3+3"),
        ("assistant", "6"),
        ("user", "q2"),
    ]


def test_documents_have_one_answer_without_a_chain(history: History) -> None:
    from llmchat_tui.asked import Asked

    with pytest.raises(ValueError, match="chain of thought"):
        ask(Turn("a", asked=Asked(), recipe=Recipe(votes=3)), FakeEngine(), history)


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ('{"age": 3}', ""),
        ('{"age": "three"}', "it does not satisfy its schema"),
        ('{"age": 3} and so on', "it is no JSON"),
    ],
)
def test_a_reply_says_that_it_has_not_its_form(history: History, said: str, fault: str) -> None:
    schema = '{"properties": {"age": {"type": "integer"}}}'
    *_, ended = ask(Turn("age?", recipe=Recipe(schema=schema)), FakeEngine([Script(said)]), history)
    assert isinstance(ended, Ended)
    reply = path(history)[1]
    assert (reply.text, reply.status) == (said, "complete")
    assert fault in ended.form_fault and reply.stats.get("form_fault", "") == ended.form_fault
    assert bool(fault) == bool(ended.form_fault)


def test_a_reply_that_was_cut_says_that_its_form_was(history: History) -> None:
    turn = Turn("age?", sampling=Sampling(max_tokens=1), recipe=Recipe(grammar='root ::= "a b c"'))
    *_, ended = ask(turn, FakeEngine([Script("a b c")]), history)
    assert isinstance(ended, Ended) and ended.form_fault == "it ended before its form did"
