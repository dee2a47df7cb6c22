"""A block of documents in a context that is soon full: the block shrinks first, then turns leave."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.tui.documented import Asking, make_store, open_documents

from llmchat_engine import ContextFull, Sampling
from llmchat_engine.testing import FAKE_MODEL, FakeEngine, Script
from llmchat_tui.documents import Asked
from llmchat_tui.events import Checked, Grounded, LeftOut, TurnEvent
from llmchat_tui.grounding import LEAST_TOKENS, MOST_OF_CONTEXT, MOST_TOKENS
from llmchat_tui.history import History
from llmchat_tui.overflow import ContextOverflow, Overflow

PLACES = "What is told of place3 in the chapters?"
RESERVE = 256


def words(count: int) -> str:
    return " ".join(f"word{number}" for number in range(count))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = {
        f"place{number}.md": f"The chapters tell of place{number}. {' '.join(f'p{number}w{i}' for i in range(150))}\n"
        for number in range(40)
    }
    return make_store(tmp_path_factory.mktemp("store"), files)


@pytest.fixture
def asking(store: Path) -> Iterator[Asking]:
    documents = open_documents(store)
    with History.in_memory() as history:
        yield Asking(history, documents, FakeEngine([Script("It is told [1].")]))
    documents.close()


def narrow(asking: Asking, n_ctx: int) -> None:
    asking.engine.model = replace(FAKE_MODEL, n_ctx=n_ctx)


def grounded(events: list[TurnEvent]) -> Grounded:
    (found,) = [event for event in events if isinstance(event, Grounded)]
    return found


def prompt(asking: Asking) -> int:
    return len(asking.engine.render(asking.engine.requests[-1]).token_ids)


@pytest.mark.parametrize("n_ctx", [1200, 2048, 4096, 16384])
def test_a_block_takes_its_part_of_the_context_and_no_more(asking: Asking, n_ctx: int) -> None:
    narrow(asking, n_ctx)
    found = grounded(asking.ask(PLACES, Asked(k=40)))
    most = min(int(MOST_OF_CONTEXT * n_ctx), MOST_TOKENS)
    assert most // 2 < found.tokens <= most
    assert found.left_out > 0
    assert prompt(asking) + RESERVE <= n_ctx


def test_the_block_shrinks_before_a_turn_leaves(asking: Asking) -> None:
    narrow(asking, 2048)
    whole = grounded(asking.ask(PLACES, Asked(k=40)))
    asking.play(words(1000))
    asking.ask("Go on", asked=None)
    asking.play("It is told [1].")
    narrow(asking, 2048)
    events = asking.ask(PLACES, Asked(k=40))
    assert not any(isinstance(event, LeftOut) for event in events)
    assert LEAST_TOKENS // 2 < grounded(events).tokens < whole.tokens
    assert prompt(asking) + RESERVE <= 2048


def test_turns_leave_before_the_block_is_nothing(asking: Asking) -> None:
    asking.play(words(500))
    narrow(asking, 2048)
    for question in ("One", "Two", "Three"):
        asking.ask(question, asked=None)
    asking.play("It is told [1].")
    narrow(asking, 2048)
    events = asking.ask(PLACES, Asked(k=40))
    (left,) = [event for event in events if isinstance(event, LeftOut)]
    assert left.messages >= 2
    assert grounded(events).tokens > LEAST_TOKENS // 2
    assert prompt(asking) + RESERVE <= 2048
    request = asking.engine.requests[-1]
    assert request.next_messages[:-1] == request.messages[:-1]
    assert isinstance(events[-1], Checked)


def test_where_the_user_is_to_choose_nothing_is_recorded_and_nothing_searched(asking: Asking) -> None:
    asking.play(words(500))
    narrow(asking, 2048)
    for question in ("One", "Two", "Three"):
        asking.ask(question, asked=None)
    before = asking.history.messages(asking.conversation_id)
    with pytest.raises(ContextOverflow):
        asking.ask(PLACES, Asked(k=40), overflow="ask")
    assert asking.history.messages(asking.conversation_id) == before


@pytest.mark.parametrize("overflow", ["ask", "drop", "stop", "summarize"])
def test_a_chat_that_fits_is_asked_whatever_is_chosen_for_one_that_does_not(asking: Asking, overflow: Overflow) -> None:
    narrow(asking, 2048)
    asking.ask(PLACES, overflow=overflow)
    events = asking.ask(PLACES, overflow=overflow)
    assert isinstance(events[-1], Checked)
    assert [type(event).__name__ for event in events].count("Loaded") == 1


def test_a_summary_of_what_left_stands_before_the_block(asking: Asking) -> None:
    asking.play(words(500))
    narrow(asking, 2048)
    for question in ("One", "Two", "Three"):
        asking.ask(question, asked=None)
    asking.play("A short summary.", "It is told [1].")
    narrow(asking, 2048)
    events = asking.ask(PLACES, Asked(k=40), overflow="summarize")
    request = asking.engine.requests[-1]
    assert "A short summary." in request.messages[0].text
    assert grounded(events).tokens > LEAST_TOKENS // 2
    assert prompt(asking) + RESERVE <= 2048


def test_a_question_that_leaves_no_room_for_a_passage_is_told_so(asking: Asking) -> None:
    narrow(asking, 600)
    with pytest.raises(ContextFull):
        asking.ask(f"{PLACES} " * 42)
    assert asking.engine.requests == []
    latest = asking.history.latest()
    assert latest is not None
    assert [message.status for message in asking.history.path(latest.leaf_id)] == ["complete", "failed"]


def test_a_long_reply_that_is_wanted_takes_from_the_block(asking: Asking) -> None:
    narrow(asking, 2048)
    usual = grounded(asking.ask(PLACES, Asked(k=40)))
    asking.conversation_id = asking.leaf_id = ""
    more = grounded(asking.ask(PLACES, Asked(k=40), sampling=Sampling(max_tokens=1500)))
    assert usual.tokens <= 0.45 * 2048
    assert prompt(asking) + 1024 <= 2048
    assert more.tokens <= usual.tokens
