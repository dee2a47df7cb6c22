"""Open chats that are answered from documents: which ones, what another answer and a longer one see, what follows."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.tui.documented import make_store, open_documents
from tests.tui.scored import ScoringEngine, pieces
from tests.tui.talk_stage import PATIENCE, Stage, gated

from llmchat_rag.citing import citing_grammar
from llmchat_rag.context import UNKNOWN, Source
from llmchat_rag.errors import CollectionMissing, EmbedderBroken
from llmchat_rag.verify import Verified
from llmchat_tui.documents import ALL, Asked, Documents, asked_in, asked_of
from llmchat_tui.events import Abstained, Checked, Ended, Retrieved
from llmchat_tui.history import History, StoredMessage
from llmchat_tui.sources import sources_of, verdicts_of
from llmchat_tui.talk import Failed, Talk
from llmchat_tui.talks import Talks
from llmchat_tui.token_scoring import TokenScoring
from llmchat_tui.token_view import ScoredReply

WHEN = "When was Rome founded by Romulus?"
YEAR = "Rome was founded in 753 BC [1]."
SETTINGS = Asked(k=2, alpha=0.5)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def stage(history: History, store: Path) -> Iterator[Stage]:
    made, documents = Stage(history), open_documents(store)
    made.talks = Talks(
        history,
        lambda: made.engines.pop(0),
        lambda: made.settings,
        made.news.put,
        documents=documents,
        asked=lambda: SETTINGS,
    )
    yield made
    assert made.talks.close(PATIENCE)
    documents.close()


def newest(stage: Stage, talk: Talk) -> StoredMessage:
    return stage.history.path(talk.leaf_id)[-1]


def asked(stage: Stage, *collections: str, question: str = WHEN) -> Talk:
    talk = stage.talks.begin(collections=collections)
    stage.engines.append(gated(YEAR))
    stage.talks.ask(talk, question)
    return talk


def test_a_chat_with_collections_is_answered_from_them(stage: Stage) -> None:
    talk = asked(stage, "notes")
    seen, _ = stage.take_until(Checked)
    assert any(isinstance(news.event, Ended) for news in seen)
    assert not talk.running
    assert sources_of(newest(stage, talk).settings)[0].source == "rome.md:1"
    assert asked_in(newest(stage, talk).settings) == Asked(("notes",), k=2, alpha=0.5)
    assert stage.history.conversation(talk.conversation_id).collections == ("notes",)
    stage.talks.leave(talk)
    again = stage.talks.open(stage.history.conversation(talk.conversation_id))
    assert again.collections == ("notes",)


def test_all_collections_are_those_to_come_too(stage: Stage) -> None:
    talk = asked(stage, ALL)
    stage.take_until(Checked)
    found = asked_in(newest(stage, talk).settings)
    assert found is not None
    assert found.collections == ()
    assert asked_of(()) is None


def test_a_chat_without_collections_asks_no_documents(stage: Stage) -> None:
    talk = asked(stage)
    seen, _ = stage.take_until(Ended)
    assert not any(isinstance(news.event, Retrieved) for news in seen)
    assert "asked" not in newest(stage, talk).settings


def test_what_was_queued_goes_out_behind_an_abstention(stage: Stage) -> None:
    talk = stage.talks.begin(collections=("notes",))
    stage.engines.append(gated(YEAR))
    stage.talks.ask(talk, "zzz qqq xxx")
    talk.queued = "next"
    _, queued = stage.take_until(Abstained)
    assert (queued, talk.running, talk.queued) == ("next", None, "")
    assert newest(stage, talk).text == UNKNOWN


def test_a_collection_that_is_gone_ends_the_turn_with_its_words(stage: Stage) -> None:
    talk = asked(stage, "gone")
    seen, _ = stage.take_until(Failed)
    event = seen[-1].event
    assert isinstance(event, Failed)
    assert isinstance(event.error, CollectionMissing)
    assert event.begun is not None
    assert not talk.running
    assert stage.history.path(event.begun.reply_id)[0].text == WHEN


def test_another_answer_asks_the_documents_that_the_shown_one_asked(stage: Stage) -> None:
    talk = asked(stage, "notes")
    stage.take_until(Checked)
    first = newest(stage, talk)
    talk.collections = ()
    stage.engines.append(gated("Another [1]."))
    stage.talks.again(talk, stage.history.path(talk.leaf_id)[0])
    stage.take_until(Checked)
    assert asked_in(newest(stage, talk).settings) == asked_in(first.settings)
    assert newest(stage, talk).parent_id == first.parent_id


def test_another_answer_asks_the_documents_that_were_chosen_since(stage: Stage) -> None:
    talk = asked(stage)
    stage.take_until(Ended)
    talk.collections = ("notes",)
    stage.engines.append(gated("Another [1]."))
    stage.talks.again(talk, stage.history.path(talk.leaf_id)[0])
    stage.take_until(Checked)
    assert asked_in(newest(stage, talk).settings) is not None


def test_a_reply_goes_on_with_its_own_sources(stage: Stage) -> None:
    talk = asked(stage, "notes")
    stage.take_until(Checked)
    first = newest(stage, talk)
    talk.collections = ("gone",)
    engine = gated(" He ruled for 37 years [1].")
    stage.engines.append(engine)
    stage.talks.continue_reply(talk, first)
    stage.take_until(Checked)
    longer = newest(stage, talk)
    assert longer.text == f"{YEAR} He ruled for 37 years [1]."
    assert sources_of(longer.settings) == sources_of(first.settings)
    assert "rome.md:1" in engine.requests[0].messages[0].text


def test_a_reply_that_must_cite_goes_on_so(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "SETTINGS", Asked(k=2, cite=True))
    talk = asked(stage, "notes")
    stage.take_until(Checked)
    engine = gated(" He ruled for 37 years [1].")
    stage.engines.append(engine)
    stage.talks.continue_reply(talk, newest(stage, talk))
    stage.take_until(Checked)
    numbers = [source.n for source in sources_of(newest(stage, talk).settings)]
    assert engine.requests[0].grammar == citing_grammar(numbers, UNKNOWN, goes_on=True)


def test_a_reply_without_sources_goes_on_without(stage: Stage) -> None:
    talk = asked(stage)
    stage.take_until(Ended)
    talk.collections = ("notes",)
    engine = gated(" More.")
    stage.engines.append(engine)
    stage.talks.continue_reply(talk, newest(stage, talk))
    stage.take_until(Ended)
    assert engine.requests[0].messages[0].text == WHEN


def test_leaving_waits_for_the_marks_of_a_reply_that_ended(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    may_go, check = threading.Event(), Documents.check

    def held(self: Documents, answer: str, sources: Sequence[Source]) -> Verified:
        assert may_go.wait(PATIENCE)
        return check(self, answer, sources)

    monkeypatch.setattr(Documents, "check", held)
    talk = asked(stage, "notes")
    stage.take_until(Ended)
    assert not stage.talks.close(0.0)
    may_go.set()
    assert stage.talks.close(PATIENCE)
    assert verdicts_of(newest(stage, talk).settings)


def test_marks_that_cannot_be_made_do_not_end_the_next_turn(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise EmbedderBroken("the model cannot be read")

    monkeypatch.setattr(Documents, "check", broken)
    talk = asked(stage, "notes")
    stage.take_until(Ended)
    assert stage.talks.close(PATIENCE)
    assert stage.news.empty()
    assert newest(stage, talk).status == "complete"


def test_a_reply_from_documents_is_scored_behind_its_passages(stage: Stage) -> None:
    talk = stage.talks.begin(collections=("notes",))
    answering, scoring = gated(YEAR), ScoringEngine(parts=pieces(YEAR))
    stage.engines.append(answering)
    stage.talks.ask(talk, WHEN)
    stage.take_until(Checked)
    reply = newest(stage, talk)
    scoring.may_end.set()
    events = TokenScoring(scoring, stage.talks._documents).run(stage.talks.turn_of(talk, reply), reply, 0.0)
    assert any(isinstance(event, ScoredReply) for event in events)
    again, before = (
        re.sub(r"doc \w+>", "doc>", request.messages[-1].text)
        for request in (scoring.scored[0][0], answering.requests[0])
    )
    assert again == before and "who ruled" in again, "all but the fence, which is another one each time"
