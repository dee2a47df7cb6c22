"""The other ways of a full context: the user is asked, the turn refused, a summary written; and what never fits."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.tui.overflowing import N_CTX, Chat, Narrow, words

from llmchat_engine import ContextFull, EngineDied, Event, HostUnreachable, Loaded, Request, Token
from llmchat_engine.events import Measured
from llmchat_engine.testing import Script
from llmchat_tui.errors import exit_code
from llmchat_tui.events import Ended, LeftOut, Started, Summarising
from llmchat_tui.history import History
from llmchat_tui.overflow import ChatFull, ContextOverflow, Overflow

HEADING = "Summary of the earlier conversation:\n"


@pytest.fixture
def chat(history: History) -> Chat:
    made = Chat(history)
    made.fill()
    return made


def kinds(events: Sequence[object]) -> list[str]:
    return [type(event).__name__ for event in events]


def written(home: Path) -> list[str]:
    """Returns what the database and its log hold, as hashes."""
    return [hashlib.sha256((home / name).read_bytes()).hexdigest() for name in ("chats.db", "chats.db-wal")]


class TestAsk:
    def test_raises_before_anything_is_on_disk(self, chat: Chat, home: Path) -> None:
        before = written(home)
        asked = len(chat.engine.requests)
        with pytest.raises(ContextOverflow) as caught:
            list(chat.begin(words(60), overflow="ask"))
        plan = caught.value.plan
        assert (plan.needs, plan.n_ctx, exit_code(caught.value)) == (61 + 256, N_CTX, 4)
        assert plan.free < plan.needs and plan.turns > 1 and plan.prompt <= (N_CTX - 256) * 3 // 4
        assert len(chat.engine.requests) == asked
        assert written(home) == before

    def test_dropping_then_does_what_the_plan_said(self, chat: Chat) -> None:
        with pytest.raises(ContextOverflow) as caught:
            list(chat.begin(words(60), overflow="ask"))
        (left_out,) = [event for event in chat.ask(words(60), overflow="drop") if isinstance(event, LeftOut)]
        plan = caught.value.plan
        assert (left_out.left_out, left_out.tokens) == (plan.left_out, plan.frees)

    def test_what_fits_is_asked_once_the_model_is_there(self, chat: Chat) -> None:
        events = kinds(chat.ask("short", overflow="ask"))
        assert events[:4] == ["Loading", "Loaded", "Started", "Prefill"]

    def test_a_first_question_is_on_disk_at_once(self, history: History) -> None:
        chat = Chat(history)
        events = chat.begin("hi", overflow="ask")
        assert isinstance(next(events), Started)
        events.close()

    def test_an_engine_that_fails_is_asked_the_normal_way(self, chat: Chat) -> None:
        class Gone(Narrow):
            def generate(self, request: Request) -> Generator[Event, None, None]:
                raise HostUnreachable("no host")
                yield

        chat.engine = Gone(model=chat.engine.model)
        with pytest.raises(HostUnreachable):
            list(chat.begin(words(60), overflow="ask"))
        *_, question, reply = chat.history.messages(chat.conversation_id)
        assert (question.text, reply.status, reply.error) == (words(60), "failed", "no host")

    def test_an_engine_that_cannot_count_is_asked_the_normal_way(self, chat: Chat) -> None:
        class Uncounted(Narrow):
            def measure(self, request: Request) -> Measured:
                raise EngineDied("it died")

        chat.engine = Uncounted([Script("fine")], model=chat.engine.model)
        assert isinstance(chat.ask("short", overflow="ask")[-1], Ended)

    def test_a_question_that_never_fits_is_refused_before_anything_is_on_disk(self, chat: Chat) -> None:
        before = chat.history.messages(chat.conversation_id)
        with pytest.raises(ContextFull):
            list(chat.begin(words(N_CTX), overflow="ask"))
        assert chat.history.messages(chat.conversation_id) == before

    def test_a_turn_that_is_stopped_while_the_model_loads_ends(self, chat: Chat) -> None:
        events = chat.begin(words(60), overflow="ask")
        next(events)
        chat.engine.cancel(chat.turn.request_id)
        seen = list(events)
        assert "ContextOverflow" not in kinds(seen)
        end = seen[-1]
        assert isinstance(end, Ended) and end.finished.reason == "cancelled"
        assert chat.history.messages(chat.conversation_id)[-1].status == "stopped"


class TestStop:
    def test_refuses_with_the_counts_and_what_helps(self, chat: Chat) -> None:
        asked = len(chat.engine.requests)
        with pytest.raises(ChatFull) as caught:
            list(chat.begin(words(60), overflow="stop"))
        error = caught.value
        assert exit_code(error) == 4
        assert f"{error.prompt_tokens:,}" in error.why and f"{N_CTX:,}" in error.why and "317" in error.why
        assert "--overflow drop" in error.hint
        question, reply = chat.history.messages(chat.conversation_id)[-2:]
        assert (question.text, reply.status, reply.error) == (words(60), "failed", str(error))
        assert len(chat.engine.requests) == asked

    def test_lets_through_what_fits(self, chat: Chat) -> None:
        assert isinstance(chat.ask("short", overflow="stop")[-1], Ended)


class TestSummarize:
    def test_a_summary_stands_in_the_place(self, chat: Chat) -> None:
        chat.play("They spoke of towers.", "Fine.")
        events = chat.ask(words(60), overflow="summarize", system="be brief")
        summary, request = chat.engine.requests
        left_out = next(event for event in events if isinstance(event, LeftOut))
        assert left_out.summary and kinds(events).index("Summarising") < kinds(events).index("LeftOut")
        assert [event.tokens for event in events if isinstance(event, Summarising)] == [0, 1, 2, 3, 4]
        assert request.messages[0].text == f"be brief\n\n{HEADING}They spoke of towers."
        path = chat.path()
        assert [m.text for m in request.messages[1:]] == [m.text for m in path[left_out.left_out : -1]]
        assert (path[-1].text, path[-1].summary, path[-1].left_out) == (
            "Fine.",
            "They spoke of towers.",
            left_out.left_out,
        )
        assert (summary.chat, summary.private, summary.store) == ("", True, False)
        assert (summary.sampling.temperature, summary.sampling.max_tokens) == (0.0, N_CTX // 8)
        assert all(message.text in summary.messages[0].text for message in path[: left_out.left_out])
        # A system prompt with the summary of one chat begins no other.
        assert (request.shared, request.shift) == (0, True)

    def test_it_is_carried_on_and_folded_into_the_next(self, chat: Chat) -> None:
        chat.play("They spoke of towers.", words(300), words(300), "Towers and bridges.", "Fine.")
        chat.ask(words(60), overflow="summarize")
        chat.ask("more", overflow="summarize")
        carried = chat.engine.requests[2]
        assert carried.messages[0].text == f"{HEADING}They spoke of towers."
        assert "LeftOut" in kinds(chat.ask(words(60), overflow="summarize"))
        again = chat.engine.requests[3]
        assert f"{HEADING}They spoke of towers." in again.messages[0].text
        assert chat.engine.requests[4].messages[0].text == f"{HEADING}Towers and bridges."
        assert [m.summary for m in chat.path() if m.role == "assistant"][-3:] == [
            "They spoke of towers.",
            "They spoke of towers.",
            "Towers and bridges.",
        ]

    def test_dropping_later_keeps_the_summary(self, chat: Chat) -> None:
        chat.play("They spoke of towers.", words(300), words(300))
        chat.ask(words(60), overflow="summarize")
        first = chat.path()[-1]
        while chat.path()[-1].left_out == first.left_out:
            chat.ask(words(60), overflow="drop")
        assert chat.path()[-1].summary == "They spoke of towers."

    def test_turns_too_long_to_be_summarised_are_dropped(self, chat: Chat) -> None:
        chat.narrow(400)
        events = chat.ask("and now?", overflow="summarize")
        left_out = next(event for event in events if isinstance(event, LeftOut))
        assert not left_out.summary and chat.path()[-1].summary == ""

    def test_a_model_without_a_template_is_not_asked_for_one(self, chat: Chat) -> None:
        assert "Summarising" not in kinds(chat.ask(words(60), overflow="summarize", raw=True))

    def test_a_summary_without_a_word_is_none(self, chat: Chat) -> None:
        chat.play(" ", "Fine.")
        events = chat.ask(words(60), overflow="summarize")
        assert not next(event for event in events if isinstance(event, LeftOut)).summary
        assert chat.engine.requests[1].messages[0].role == "user"

    def test_stopping_it_stops_the_turn(self, chat: Chat) -> None:
        chat.play(Script("They spoke of", hang_after=1), "never")
        seen = []
        for event in chat.begin(words(60), overflow="summarize"):
            seen.append(event)
            if event == Summarising(1):
                chat.engine.cancel(chat.turn.request_id)
        end = seen[-1]
        assert isinstance(end, Ended) and (end.finished.reason, end.finished.text) == ("cancelled", "")
        assert len(chat.engine.requests) == 1
        reply = chat.history.messages(chat.conversation_id)[-1]
        assert (reply.text, reply.status, reply.left_out) == ("", "stopped", 0)

    def test_a_crash_of_it_fails_the_turn(self, chat: Chat) -> None:
        chat.play(Script("They spoke of", crash_after=1))
        with pytest.raises(EngineDied):
            list(chat.begin(words(60), overflow="summarize"))
        assert chat.history.messages(chat.conversation_id)[-1].status == "failed"

    def test_leaving_during_it_closes_the_engines_generator(self, chat: Chat) -> None:
        @dataclass
        class Watched(Narrow):
            closed: int = 0

            def generate(self, request: Request) -> Generator[Event, None, None]:
                try:
                    yield from super().generate(request)
                finally:
                    self.closed += 1

        engine = chat.engine = Watched([Script("They spoke of towers.")], model=chat.engine.model)
        events = chat.begin(words(60), overflow="summarize")
        while next(events) != Summarising(1):
            pass
        assert engine.closed == 1  # the look ahead
        events.close()
        assert engine.closed == 2
        assert chat.history.messages(chat.conversation_id)[-1].status == "stopped"


@pytest.mark.parametrize("overflow", ["drop", "stop", "summarize"])
def test_a_question_that_does_not_fit_alone_is_refused(chat: Chat, overflow: Overflow) -> None:
    asked = len(chat.engine.requests)
    with pytest.raises(ContextFull) as caught:
        list(chat.begin(words(N_CTX), overflow=overflow))
    assert (caught.value.prompt_tokens, caught.value.n_ctx, exit_code(caught.value)) == (N_CTX + 1, N_CTX, 4)
    assert len(chat.engine.requests) == asked
    assert chat.history.messages(chat.conversation_id)[-1].status == "failed"


@pytest.mark.parametrize("overflow", ["ask", "drop", "stop", "summarize"])
def test_so_is_the_first_question(history: History, overflow: Overflow) -> None:
    chat = Chat(history)
    with pytest.raises(ContextFull):
        list(chat.begin(words(N_CTX), overflow=overflow))
    assert [message.status for message in history.path(history.conversations()[0].leaf_id)] == ["complete", "failed"]


def test_the_newest_question_may_fill_the_context(chat: Chat) -> None:
    events = chat.ask(words(N_CTX - 4))
    assert isinstance(end := events[-1], Ended) and end.finished.reason == "context"
    assert [message.text for message in chat.engine.requests[-1].messages] == [words(N_CTX - 4)]
    assert sum(isinstance(event, Token) for event in events) == 3
    assert sum(isinstance(event, Loaded) for event in events) == 1
