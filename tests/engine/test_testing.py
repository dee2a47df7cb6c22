"""FakeEngine keeps the contract of `Engine`: what holds for it is tried on a real host too."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.rig import end_of, question

from llmchat_engine.client import LocalEngine
from llmchat_engine.engine import Engine
from llmchat_engine.errors import ContextFull, EngineDied, ModelMissing
from llmchat_engine.events import Event, Finished, Loaded, Notice, Peeked, Prefill, Token, Waiting
from llmchat_engine.testing import FAKE_MODEL, FakeEngine, Script
from llmchat_engine.types import Message, Request, Sampling

MakeEngine = Callable[[], Engine]


@pytest.fixture(params=["fake", "real"])
def make(request: pytest.FixtureRequest) -> MakeEngine:
    """Returns an engine to try the contract on, the fake one or the real one."""
    if request.param == "fake":
        return lambda: FakeEngine([Script("one two three four five six seven eight nine ten")])
    real: LocalEngine = request.getfixturevalue("engine")
    return lambda: real


def test_loading_ends_with_loaded(make: MakeEngine) -> None:
    *_, last = make().load()
    assert isinstance(last, Loaded)
    assert last.model.n_ctx > 0


def test_a_reply_begins_with_loaded_and_ends_with_finished(make: MakeEngine) -> None:
    kinds = [type(event) for event in make().generate(question("hello")) if not isinstance(event, Waiting)]
    assert Loaded in kinds[:2]
    assert kinds.index(Prefill) < kinds.index(Token)
    assert kinds[-1] is Finished


def test_a_limit_is_kept(make: MakeEngine) -> None:
    finished = end_of(make().generate(question("hello", max_tokens=3)))
    assert (finished.reason, finished.reply_tokens, len(finished.token_ids)) == ("max_tokens", 3, 3)


def test_a_request_cancelled_before_it_began_generates_nothing(make: MakeEngine) -> None:
    engine, request = make(), question("hello")
    engine.cancel(request.id)
    finished = end_of(engine.generate(request))
    assert (finished.reason, finished.text, finished.token_ids) == ("cancelled", "", ())


def test_a_request_can_be_cancelled_from_another_thread(make: MakeEngine) -> None:
    engine = make()
    reasons: list[str] = []
    while "cancelled" not in reasons and len(reasons) < 20:  # a tiny model may end before it hears
        request = question("hello", max_tokens=None)
        events = engine.generate(request)
        for event in events:
            if isinstance(event, Prefill):
                stop = threading.Thread(target=engine.cancel, args=(request.id,))
                stop.start()
                stop.join()
                break
        reasons.append(end_of([Token(""), *events]).reason)
    assert reasons[-1] == "cancelled"


def test_closing_the_iterator_is_allowed_at_any_event(make: MakeEngine) -> None:
    engine = make()
    for count in range(4):
        events = engine.generate(question("hello"))
        for _ in range(count):
            next(events)
        events.close()
    assert end_of(engine.generate(question("hello"))).reply_tokens > 0


def test_a_prompt_that_does_not_fit_is_counted(make: MakeEngine) -> None:
    engine = make()
    with pytest.raises(ContextFull) as caught:
        list(engine.generate(question("a b " * 3000)))
    assert caught.value.prompt_tokens >= caught.value.n_ctx == 2048


def test_render_and_generate_agree(make: MakeEngine) -> None:
    engine, request = make(), question("hello there")
    rendered = engine.render(request)
    assert "hello there" in rendered.text
    assert end_of(engine.generate(request)).prompt_tokens == len(rendered.token_ids)
    assert len(engine.tokenize("hello there")) < len(rendered.token_ids)


def test_measure_and_generate_agree(make: MakeEngine) -> None:
    engine = make()
    path = (Message("system", "be brief"), Message("user", "hello there "), Message("assistant", ""))
    request = Request((*path, Message("user", "and now?")), Sampling(max_tokens=1))
    measured = engine.measure(request)
    assert measured.total == end_of(engine.generate(request)).prompt_tokens
    assert len(measured.messages) == len(request.messages)
    *_, loaded = engine.load()
    assert isinstance(loaded, Loaded)
    assert measured.n_ctx == loaded.model.n_ctx


def test_a_longer_draft_measures_more_and_nothing_else_does(make: MakeEngine) -> None:
    engine, path = make(), (Message("system", "be brief"), Message("user", "hello"), Message("assistant", "so"))
    short = engine.measure(Request((*path, Message("user", "and"))))
    long = engine.measure(Request((*path, Message("user", "and now something longer"))))
    assert long.messages[-1] > short.messages[-1]
    assert (long.before, long.messages[:-1], long.after) == (short.before, short.messages[:-1], short.after)


def test_scripts_are_played_in_order_and_the_last_again_and_again() -> None:
    engine = FakeEngine([Script("a"), Script("b")])
    assert [end_of(engine.generate(question("q"))).text for _ in range(4)] == ["a", "b", "b", "b"]
    assert len(engine.requests) == 4


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_scripted_crash(after: int) -> None:
    events = FakeEngine([Script("a b c", crash_after=after)]).generate(question("q"))
    said: list[Event] = []
    with pytest.raises(EngineDied, match="SIGSEGV"):
        said.extend(iter(lambda: next(events), None))
    assert sum(isinstance(event, Token) for event in said) == after


def test_a_scripted_hang_waits_until_it_is_cancelled() -> None:
    engine, request = FakeEngine([Script("a b c", hang_after=1)]), question("q")
    events = engine.generate(request)
    assert any(isinstance(event, Waiting) for event in events)
    engine.cancel(request.id)
    *_, last = events
    assert isinstance(last, Finished)
    assert (last.reason, last.text) == ("cancelled", "a")


def test_a_scripted_error_and_a_notice() -> None:
    engine = FakeEngine([Script(error=ModelMissing("gone")), Script(notice="ChatML is used")])
    with pytest.raises(ModelMissing):
        list(engine.generate(question("q")))
    assert Notice("ChatML is used") in list(engine.generate(question("q")))


def test_a_speed_is_kept() -> None:
    import time

    engine = FakeEngine([Script("a b c d")], tokens_per_second=100)
    began = time.monotonic()
    end_of(engine.generate(question("q")))
    assert time.monotonic() - began >= 0.04


@given(st.text(st.sampled_from("ab \n\t"), max_size=30))
@settings(max_examples=100, deadline=None)
def test_a_scripted_text_comes_out_whole(text: str) -> None:
    request = Request((Message("user", "q"),), Sampling())
    finished = end_of(FakeEngine([Script(text)]).generate(request))
    assert finished.text == (text if text.strip() else "")
    assert finished.reason == "eog"


def test_the_model_can_be_chosen() -> None:
    *_, last = FakeEngine().load()
    assert last == Loaded(FAKE_MODEL, 0.1)


def test_peeking_ends_with_what_could_come_next(make: MakeEngine) -> None:
    events = [event for event in make().peek(question("hello"), 3) if not isinstance(event, Waiting)]
    kinds, last = [type(event) for event in events], events[-1]
    assert Loaded in kinds[:2]
    assert isinstance(last, Peeked)
    assert last.stages[0].name == "softmax"
    assert len(last.stages[0].top) == 3
    logprobs = [candidate.logprob for candidate in last.stages[0].top]
    assert logprobs == sorted(logprobs, reverse=True)


@pytest.mark.parametrize("special", [True, False])
def test_the_pieces_of_a_text_are_the_text(make: MakeEngine, special: bool) -> None:
    text = "<|im_start|>one two<|im_end|>"
    pieces = make().pieces(text, special=special)
    assert "".join(piece.text for piece in pieces).replace("\u2581", " ").strip() == text
    named = [piece.text for piece in pieces if piece.special]
    assert named == (["<|im_start|>", "<|im_end|>"] if special else [])
    assert all(bool(piece.data) != piece.special for piece in pieces)
