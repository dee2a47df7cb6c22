"""One turn that asks the documents: what is on disk when, what the model is given, and what is kept of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.tui.documented import ASKED, ROME, Asking, asking_in, make_store, open_documents

from llmchat_engine import EngineDied, Loaded, Message, Sampling, Token, Waiting
from llmchat_engine.testing import FakeEngine, Script
from llmchat_rag.context import UNKNOWN
from llmchat_rag.embed.fake import HashEmbedder
from llmchat_rag.errors import CollectionMissing, EmbedderMissing, StoreError
from llmchat_rag.store import Library
from llmchat_tui.documents import Asked, Documents, Retrieval, asked_in
from llmchat_tui.events import Abstained, Checked, Ended, Grounded, Retrieved, Searching, Started, TurnEvent
from llmchat_tui.export import to_markdown
from llmchat_tui.history import History
from llmchat_tui.sources import sources_of, verdicts_of
from llmchat_tui.turn import Turn, run

WHEN = "When was Rome founded by Romulus?"
YEAR = "Rome was founded in 753 BC [1]."
OFF_TOPIC = "zzz qqq xxx"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def asking(store: Path) -> Iterator[Asking]:
    with asking_in(store, YEAR) as asking:
        yield asking


class Held(Documents):
    """Documents whose search waits until it is let."""

    may_go = threading.Event()
    entered = threading.Event()

    def retrieve(self, question: str, asked: Asked, history: Sequence[str] = (), *, whole: bool = True) -> Retrieval:
        self.entered.set()
        assert self.may_go.wait(20)
        return super().retrieve(question, asked, history, whole=whole)


def held(store: Path) -> Held:
    documents = Held(store, store, encoder=HashEmbedder)
    documents.may_go, documents.entered = threading.Event(), threading.Event()
    return documents


def kinds(events: Sequence[TurnEvent]) -> list[str]:
    return [type(event).__name__ for event in events if not isinstance(event, (Waiting, Token))]


def test_the_question_is_on_disk_before_the_documents_are_searched(store: Path, tmp_path: Path) -> None:
    documents = held(store)
    with History.open(tmp_path / "chats.db") as history:
        events = run(Turn(WHEN, asked=ASKED), FakeEngine(), history, documents)
        assert isinstance(next(events), Started)
        assert not documents.entered.is_set()
        with History.open(tmp_path / "chats.db") as other:
            assert [hit.role for hit in other.search("Romulus")] == ["user"]
        assert isinstance(next(events), Searching)
        documents.may_go.set()
        assert isinstance(list(events)[-1], Checked)
    documents.close()


def test_a_turn_goes_its_way(asking: Asking) -> None:
    events = asking.ask(WHEN)
    assert [kind for kind in kinds(events) if kind not in ("Loading", "Loaded")] == [
        "Started", "Searching", "Retrieved", "Grounded", "Prefill", "Ended", "Checked",
    ]  # fmt: skip
    assert kinds(events).index("Loaded") < kinds(events).index("Grounded")
    assert kinds(events).count("Loaded") == 1
    (found,) = [event.retrieval for event in events if isinstance(event, Retrieved)]
    assert (found.verdict, found.hits[0].source) == ("ok", "rome.md:1")
    assert found.best_cosine > 0.3
    assert found.results is not None


def test_the_model_is_loaded_while_the_documents_are_searched(store: Path) -> None:
    documents = held(store)
    with History.in_memory() as history:
        events = run(Turn(WHEN, asked=ASKED), FakeEngine(), history, documents)
        assert any(isinstance(event, Loaded) for event in (next(events) for _ in range(4)))
        assert isinstance(next(events), Waiting)
        documents.may_go.set()
        assert "Retrieved" in kinds(list(events))
    documents.close()


def test_the_block_is_in_the_newest_question_only(asking: Asking) -> None:
    asking.ask(WHEN, system="Be brief.")
    (request,) = asking.engine.requests
    system, newest = request.messages
    assert system == Message("system", "Be brief.")
    assert newest.text.endswith(f"\n\n{WHEN}")
    assert ROME.strip() in newest.text
    assert newest.text.startswith("<doc ")
    assert request.next_messages == (system, Message("user", WHEN))
    assert request.sampling.temperature == 0.0

    asking.ask("Thank you.", asked=None, system="Be brief.")
    path = asking.engine.requests[-1].messages
    assert [message.text for message in path] == ["Be brief.", WHEN, YEAR, "Thank you."]
    assert path[1:3] == (Message("user", WHEN), Message("assistant", YEAR, path[2].token_ids, path[2].model_key))
    assert asking.engine.requests[-1].next_messages == ()


def test_what_was_typed_is_on_disk_and_nothing_of_the_block(asking: Asking) -> None:
    asking.ask(WHEN)
    question, reply = asking.path()
    assert (question.text, reply.text, reply.status) == (WHEN, YEAR, "complete")
    assert asked_in(reply.settings) == ASKED


def test_the_documents_of_one_turn_are_not_given_to_the_next(asking: Asking) -> None:
    asking.ask(WHEN)
    asking.ask("At how many degrees is bread baked from flour?")
    *before, newest = asking.engine.requests[-1].messages
    assert [message.text for message in before] == [WHEN, YEAR]
    assert newest.text.count("230 degrees") == 1


def test_a_temperature_that_was_chosen_stays(asking: Asking) -> None:
    asking.ask(WHEN, sampling=Sampling(temperature=0.9))
    assert asking.engine.requests[-1].sampling.temperature == 0.9


def test_off_the_topic_the_model_is_not_asked(asking: Asking) -> None:
    events = asking.ask(OFF_TOPIC)
    assert asking.engine.requests == []
    said, last = events[-2:]
    assert said == Token(UNKNOWN, 0)
    assert isinstance(last, Abstained)
    assert (last.best_cosine, len(last.sources)) == (last.best_cosine, 3)
    reply = asking.reply()
    assert (reply.text, reply.status, reply.stats["reason"]) == (UNKNOWN, "complete", "abstained")
    assert sources_of(reply.settings) == ()
    assert asked_in(reply.settings) == ASKED


def test_a_collection_without_a_passage_abstains(asking: Asking, tmp_path: Path) -> None:
    asking.documents = open_documents(make_store(tmp_path, {}))
    assert isinstance(asking.ask(WHEN)[-1], Abstained)
    asking.documents.close()


def test_sources_and_verdicts_stay_when_the_document_is_deleted(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    documents = open_documents(store)
    with History.in_memory() as history:
        asking = Asking(history, documents, FakeEngine([Script(f"{YEAR} It had 90,000 towers [1].")]))
        *_, last = asking.ask(WHEN)
        assert isinstance(last, Checked)
        with Library(store) as library:
            library.remove_collection("notes")
        reply = asking.reply()
        kept = sources_of(reply.settings)
        assert kept == last.sources
        assert (kept[0].n, kept[0].source, kept[0].text, kept[0].collection) == (1, "rome.md:1", ROME, "notes")
        right, wrong = verdicts_of(reply.settings)
        assert (right.mark, right.ids, reply.text[right.start : right.end]) == ("supported", (1,), YEAR)
        assert (wrong.mark, "90,000" in wrong.why) == ("unsupported", True)
        exported = to_markdown(history.conversation(asking.conversation_id), asking.path())
        assert "- [1] `rome.md:1` (`notes`)" in exported
        assert "✗ It had 90,000 towers [1]." in exported
    documents.close()


def test_what_the_numbers_mean_comes_before_the_first_word(asking: Asking) -> None:
    events = asking.ask(WHEN)
    (grounded,) = [event for event in events if isinstance(event, Grounded)]
    assert events.index(grounded) < next(i for i, event in enumerate(events) if isinstance(event, Token))
    assert grounded.sources == sources_of(asking.reply().settings)
    assert 0 < grounded.tokens < 922


def test_sources_are_on_disk_before_the_reply_is(asking: Asking) -> None:
    events = asking.begin(WHEN)
    begun = next(event.begun for event in events if isinstance(event, Started))
    while not isinstance(next(events), Grounded):
        pass
    growing = asking.history.path(begun.reply_id)[-1]
    assert (growing.status, sources_of(growing.settings)[0].source) == ("streaming", "rome.md:1")
    events.close()
    assert asking.history.path(begun.reply_id)[-1].status == "stopped"


def test_a_reply_that_is_cut_off_keeps_its_sources(asking: Asking) -> None:
    asking.play(Script(YEAR, crash_after=2))
    with pytest.raises(EngineDied):
        asking.ask(WHEN)
    latest = asking.history.latest()
    assert latest is not None
    reply = asking.history.path(latest.leaf_id)[-1]
    assert (reply.status, reply.text) == ("failed", "Rome was")
    assert sources_of(reply.settings)[0].source == "rome.md:1"
    assert verdicts_of(reply.settings) == ()


def test_thoughts_are_not_checked(asking: Asking) -> None:
    thoughts = "<think>It was founded by 90,000 elephants.</think>"
    asking.play(f"{thoughts} {YEAR}")
    asking.ask(WHEN)
    (verdict,) = verdicts_of(asking.reply().settings)
    assert asking.reply().text[verdict.start : verdict.end] == YEAR


def test_closing_while_the_documents_are_searched_stops_the_turn(store: Path) -> None:
    documents = held(store)
    with History.in_memory() as history:
        engine = FakeEngine()
        events = run(Turn(WHEN, asked=ASKED), engine, history, documents)
        while not isinstance(event := next(events), Waiting):
            pass
        assert isinstance(event, Waiting)
        events.close()
        latest = history.latest()
        assert latest is not None
        question, reply = history.path(latest.leaf_id)
        assert (question.text, reply.status, reply.text) == (WHEN, "stopped", "")
        assert engine.requests == []
        documents.may_go.set()
    documents.close()


def test_a_cancel_while_the_documents_are_searched_asks_no_model(store: Path) -> None:
    documents = held(store)
    with History.in_memory() as history:
        engine, turn = FakeEngine(), Turn(WHEN, asked=ASKED)
        events = run(turn, engine, history, documents)
        while not isinstance(next(events), Searching):
            pass
        engine.cancel(turn.request_id)
        documents.may_go.set()
        *_, last = events
        assert isinstance(last, Ended)
        assert (last.finished.reason, engine.requests) == ("cancelled", [])
    documents.close()


def test_a_broken_store_costs_no_question(asking: Asking, tmp_path: Path) -> None:
    folder = make_store(tmp_path)
    for path in folder.glob("store.db*"):
        path.write_bytes(b"this is no database" * 100)
    asking.documents = open_documents(folder)
    with pytest.raises(StoreError):
        asking.ask(WHEN)
    latest = asking.history.latest()
    assert latest is not None
    question, reply = asking.history.path(latest.leaf_id)
    assert (question.text, reply.status) == (WHEN, "failed")
    assert "store.db" in reply.error
    assert asking.engine.requests == []


def test_a_store_that_was_repaired_is_opened_again(asking: Asking, tmp_path: Path) -> None:
    folder = make_store(tmp_path)
    file, good = folder / "store.db", (folder / "store.db").read_bytes()
    file.write_bytes(b"this is no database" * 100)
    asking.documents = open_documents(folder)
    with pytest.raises(StoreError):
        asking.ask(WHEN)
    file.write_bytes(good)
    assert isinstance(asking.ask(WHEN)[-1], Checked)
    asking.documents.close()


@pytest.mark.parametrize("there", [True, False])
def test_a_collection_that_is_not_there_is_named(asking: Asking, tmp_path: Path, there: bool) -> None:
    asking.documents = open_documents(make_store(tmp_path) if there else tmp_path / "nothing")
    with pytest.raises(CollectionMissing) as failed:
        asking.ask(WHEN, Asked(("nowhere",)))
    assert "llmchat docs" in failed.value.hint
    assert (tmp_path / "nothing").exists() is False
    asking.documents.close()


def test_an_embedder_that_is_not_there_names_the_command(asking: Asking, store: Path) -> None:
    def missing() -> HashEmbedder:
        raise EmbedderMissing("the embedding model x is not on this machine", "", "hf download x")

    asking.documents = Documents(store, store, encoder=missing)
    with pytest.raises(EmbedderMissing):
        asking.ask(WHEN)
    asking.documents.close()


def test_a_search_that_breaks_ends_the_turn(asking: Asking, store: Path) -> None:
    def broken() -> HashEmbedder:
        raise RuntimeError("faiss said no")

    asking.documents = Documents(store, store, encoder=broken)
    with pytest.raises(RuntimeError, match="faiss said no"):
        asking.ask(WHEN)
    latest = asking.history.latest()
    assert latest is not None
    assert asking.history.path(latest.leaf_id)[-1].status == "stopped"
    asking.documents.close()


def test_documents_that_are_wanted_must_be_given(asking: Asking) -> None:
    with pytest.raises(ValueError, match="was given none"):
        list(run(Turn(WHEN, asked=ASKED), asking.engine, asking.history))
    assert asking.history.latest() is None


def test_a_question_that_leans_on_the_one_before_is_searched_with_it(asking: Asking) -> None:
    asking.ask(WHEN)
    found = [event.retrieval for event in asking.ask("And who ruled it?") if isinstance(event, Retrieved)]
    assert found[0].results is not None
    assert found[0].results.question == f"{WHEN}\nAnd who ruled it?"
    found = [e.retrieval for e in asking.ask("And who ruled it?", Asked(history=False)) if isinstance(e, Retrieved)]
    assert found[0].results is not None
    assert found[0].results.question == "And who ruled it?"


def test_of_a_long_question_its_end_is_searched(asking: Asking) -> None:
    pasted = "bread flour yeast water salt degrees " * 500
    found = [
        event.retrieval for event in asking.ask(f"{pasted}\n\n{'word ' * 400}\n{WHEN}") if isinstance(event, Retrieved)
    ]
    assert found[0].hits[0].path == "rome.md"


def test_only_the_collections_that_are_wanted_are_searched(tmp_path: Path) -> None:
    make_store(tmp_path)
    documents = open_documents(make_store(tmp_path, {"other.md": "Carthage was founded by Dido in 814 BC.\n"}, "other"))
    found = documents.retrieve("Who founded it, in which year BC?", Asked(("other",)))
    assert {hit.collection for hit in found.hits} == {"other"}
    assert [status.collection.name for status in documents.collections()] == ["notes", "other"]
    documents.close()


def test_a_reply_that_goes_on_keeps_its_numbers(asking: Asking, tmp_path: Path) -> None:
    asking.ask(WHEN)
    first = asking.reply()
    asking.documents = open_documents(tmp_path / "gone")
    asking.play(" He ruled for 37 years [1].")
    turn = Turn(
        WHEN, asked=asked_in(first.settings), cited=sources_of(first.settings), question_id=first.parent_id,
        prefill=first.text, conversation_id=first.conversation_id,
    )  # fmt: skip
    events = list(run(turn, asking.engine, asking.history, asking.documents))
    (request,) = asking.engine.requests
    begun, going = request.messages
    assert (going, request.next_messages) == (Message("assistant", YEAR), (Message("user", WHEN), going))
    assert [line for line in begun.text.splitlines() if line.startswith("Source: ")] == [
        f"Source: {source.source}" for source in sources_of(first.settings)
    ]
    assert "Searching" not in kinds(events)
    ended = next(event for event in events if isinstance(event, Ended))
    reply = asking.history.path(ended.begun.reply_id)[-1]
    assert reply.text == f"{YEAR} He ruled for 37 years [1]."
    assert [verdict.mark for verdict in verdicts_of(reply.settings)] == ["supported", "supported"]
    assert sources_of(reply.settings) == sources_of(first.settings)


def test_a_reply_that_has_begun_is_not_refused(asking: Asking) -> None:
    events = asking.ask(OFF_TOPIC, prefill="Well,")
    assert isinstance(events[-1], Checked)
    assert len(asking.engine.requests) == 1


def test_marks_that_cannot_be_kept_are_no_failure(asking: Asking) -> None:
    events = asking.begin(WHEN)
    for event in events:
        if isinstance(event, Ended):
            asking.history.delete(event.begun.conversation_id)
    assert isinstance(event, Checked)
