"""How a reply from documents ends: at a fence, out of a circle, and with its marks whoever leaves early."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.tui.documented import Asking, asking_in, make_store

from llmchat_engine import Notice, Sampling
from llmchat_tui.events import Ended
from llmchat_tui.loops import TOLD
from llmchat_tui.sources import verdicts_of

WHEN = "When was Rome founded by Romulus?"
YEAR = "Rome was founded in 753 BC [1]."


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def asking(store: Path) -> Iterator[Asking]:
    with asking_in(store, YEAR) as asking:
        yield asking


def test_whoever_leaves_at_the_end_of_a_reply_does_not_lose_its_marks(asking: Asking) -> None:
    events = asking.begin(WHEN)
    next(event for event in events if isinstance(event, Ended))
    events.close()
    latest = asking.history.latest()
    assert latest is not None
    reply = asking.history.path(latest.leaf_id)[-1]
    assert (reply.status, [verdict.mark for verdict in verdicts_of(reply.settings)]) == ("complete", ["supported"])


def test_an_answer_ends_where_it_writes_a_fence_of_its_documents(asking: Asking) -> None:
    asking.ask(WHEN, sampling=Sampling(stop=("END",)))
    (request,) = asking.engine.requests
    fence = re.findall(r"^</doc \w+", request.messages[-1].text, re.MULTILINE)[0]
    assert request.sampling.stop[0] == "END"
    assert fence in request.sampling.stop


def test_a_model_that_goes_round_in_circles_is_stopped_and_that_is_told(asking: Asking) -> None:
    asking.play(YEAR + " The year is the year of the city." * 500)
    events = asking.ask(WHEN)
    assert [event.text for event in events if isinstance(event, Notice)] == [TOLD]
    assert (asking.reply().status, asking.reply().stats["reason"]) == ("complete", "stop")
    assert len(asking.reply().text) < 500
    assert asking.reply().text.startswith(YEAR)


def test_a_chat_without_documents_may_say_the_same_for_ever(asking: Asking) -> None:
    asking.play("the same words " * 100)
    asking.ask("Repeat yourself", asked=None)
    assert len(asking.reply().text) == 1500
