"""Questions about whole documents: read part by part, each by a request of its own; the last answer is the reply."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.tui.documented import ASKED, ROME, Asking, make_store, open_documents

from llmchat_engine import ContextFull, EngineDied, Event, Message, Request, Token, Waiting
from llmchat_engine.testing import FAKE_MODEL, FakeEngine, Script
from llmchat_rag.citing import citing_grammar
from llmchat_rag.context import UNKNOWN
from llmchat_tui.asked import Asked
from llmchat_tui.events import Checked, Ended, Grounded, Reading, Retrieved, TurnEvent
from llmchat_tui.growing import MOST_SOURCES
from llmchat_tui.history import History
from llmchat_tui.sources import sources_of
from llmchat_tui.whole_documents import about_whole

PARAGRAPHS = 60
WORDS = 130
SUMMARIZE = "Summarize guide.md"


def paragraph(number: int) -> str:
    return " ".join([f"Chapter {number} tells of place{number}", *(f"w{number}x{i}" for i in range(WORDS))]) + "."


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    guide = "\n\n".join(paragraph(number) for number in range(PARAGRAPHS))
    return make_store(tmp_path_factory.mktemp("store"), {"guide.md": guide, "rome.md": ROME})


@dataclass
class Reader(FakeEngine):
    """Answers each part with the numbers of its first and its last document."""

    def generate(self, request: Request) -> Generator[Event, None, None]:
        numbers = re.findall(r"^Document \[(\d+)\]$", request.messages[-1].text, re.MULTILINE)
        said = f"It tells of places [{numbers[0]}][{numbers[-1]}]." if numbers else "Places, all in all [1]."
        self.scripts = [Script(said)]
        yield from FakeEngine.generate(self, request)


class Stopped(Reader):
    """Is stopped before the second part."""

    def generate(self, request: Request) -> Generator[Event, None, None]:
        if len(self.requests) == 1:
            self.cancel(request.id)
        yield from Reader.generate(self, request)


@pytest.fixture
def asking(store: Path) -> Iterator[Asking]:
    documents = open_documents(store)
    with History.in_memory() as history:
        yield Asking(history, documents, Reader())
    documents.close()


def steps(events: list[TurnEvent]) -> list[Reading]:
    return [event for event in events if isinstance(event, Reading)]


def test_each_part_is_a_request_of_its_own_and_the_last_is_the_reply(asking: Asking) -> None:
    asking.engine.model = replace(FAKE_MODEL, n_ctx=2048)
    events = asking.ask(SUMMARIZE, system="Be brief.")
    *parts, last = asking.engine.requests
    assert len(parts) > 2
    assert all((part.private, part.chat, len(part.messages)) == (True, "", 1) for part in parts)
    assert all(part.sampling.max_tokens == 256 for part in parts)
    assert all(len(asking.engine.tokenize(part.messages[0].text)) + 256 < 2048 for part in parts)
    read = "\n".join(part.messages[0].text for part in parts)
    assert [number for number in range(PARAGRAPHS) if paragraph(number) not in read] == []
    assert (last.private, last.messages[0]) == (False, Message("system", "Be brief."))
    assert last.messages[1].text.count("It tells of places") == len(parts)
    assert last.next_messages == (Message("system", "Be brief."), Message("user", SUMMARIZE))
    assert (asking.path()[0].text, asking.reply().text) == (SUMMARIZE, "Places, all in all [1].")
    told = [(step.done, step.total) for step in steps(events)]
    assert list(dict.fromkeys(told)) == [(i, len(parts) + 1) for i in range(len(parts) + 1)]
    assert isinstance(events[-1], Checked)


def test_the_answers_about_parts_can_be_held_to_citations_of_their_own_passages(asking: Asking) -> None:
    asking.ask(SUMMARIZE, asked=Asked(cite=True))
    *parts, last = asking.engine.requests
    assert len(parts) > 1
    for part in parts:
        numbers = re.findall(r"^Document \[(\d+)\]$", part.messages[-1].text, re.MULTILINE)
        assert part.grammar == citing_grammar(map(int, numbers), UNKNOWN)
    assert last.grammar == citing_grammar(range(1, PARAGRAPHS + 1), UNKNOWN)


def test_of_whole_documents_only_what_is_cited_is_kept(asking: Asking) -> None:
    events = asking.ask(SUMMARIZE)
    (grounded,) = [event for event in events if isinstance(event, Grounded)]
    assert len(grounded.sources) == PARAGRAPHS > MOST_SOURCES
    (kept,) = sources_of(asking.reply().settings)
    assert (kept.n, kept.source, kept.text) == (1, "guide.md:1", paragraph(0))


def test_a_short_document_is_one_request(asking: Asking) -> None:
    events = asking.ask("What is rome.md about?")
    assert len(asking.engine.requests) == 1
    assert [(step.done, step.total) for step in steps(events)] == [(0, 1)]
    assert ROME.strip() in asking.engine.requests[0].messages[0].text


def test_the_next_turn_knows_nothing_of_the_parts(asking: Asking) -> None:
    asking.ask(SUMMARIZE)
    asking.ask("Thank you", asked=None)
    texts = [message.text for message in asking.engine.requests[-1].messages]
    assert texts == [SUMMARIZE, "Places, all in all [1].", "Thank you"]


def test_a_stop_between_two_parts_ends_the_turn(asking: Asking) -> None:
    asking.engine = Stopped()
    events = asking.ask(SUMMARIZE)
    last = events[-1]
    assert isinstance(last, Ended)
    assert (last.finished.reason, max(step.done for step in steps(events))) == ("cancelled", 1)
    assert len(asking.engine.requests) == 1


def test_a_stop_between_two_parts_keeps_what_was_read(asking: Asking) -> None:
    asking.engine = Stopped()
    events = asking.ask(SUMMARIZE)
    note = asking.reply().text
    assert re.fullmatch(r"It tells of places \[1\]\[\d+\]\.", note)
    assert asking.reply().status == "stopped"
    assert "".join(event.text for event in events if isinstance(event, Token)) == note
    cited = [source.n for source in sources_of(asking.reply().settings)]
    assert cited[0] == 1
    assert f"[{cited[-1]}]" in note


def test_a_part_that_fails_costs_nothing_of_those_before_it(asking: Asking) -> None:
    class Dying(Reader):
        def generate(self, request: Request) -> Generator[Event, None, None]:
            if self.requests:
                raise EngineDied("the engine died")
            yield from Reader.generate(self, request)

    asking.engine = Dying()
    with pytest.raises(EngineDied):
        asking.ask(SUMMARIZE)
    latest = asking.history.latest()
    assert latest is not None
    reply = asking.history.path(latest.leaf_id)[-1]
    assert (reply.status, reply.text) == ("failed", asking.engine.scripts[0].text)


def test_how_far_a_part_is_read_is_told(asking: Asking) -> None:
    read = [step for step in steps(asking.ask(SUMMARIZE)) if step.of_tokens]
    assert [step.done for step in read] == list(range(len(asking.engine.requests) - 1))
    assert all(step.tokens == step.of_tokens > 100 for step in read)


def test_an_answer_about_a_part_ends_at_the_fence(asking: Asking) -> None:
    asking.ask(SUMMARIZE)
    for request in asking.engine.requests:
        nonce = re.findall(r"^<(?:doc|part) (\w+)>$", request.messages[-1].text, re.MULTILINE)[0]
        assert {f"</doc {nonce}", f"</part {nonce}"} <= set(request.sampling.stop)


def test_closing_while_a_part_is_read_stops_the_turn(asking: Asking) -> None:
    asking.play(Script("one two", hang_after=1))
    events = asking.begin(SUMMARIZE)
    assert any(isinstance(event, Reading) for event in events)
    assert any(isinstance(event, Waiting) for event in events)
    events.close()
    latest = asking.history.latest()
    assert latest is not None
    assert [message.status for message in asking.history.path(latest.leaf_id)] == ["complete", "stopped"]


def test_a_part_that_fails_fails_the_turn(asking: Asking) -> None:
    asking.play(Script("one two", crash_after=1))
    with pytest.raises(EngineDied):
        asking.ask(SUMMARIZE)
    latest = asking.history.latest()
    assert latest is not None
    assert [message.status for message in asking.history.path(latest.leaf_id)] == ["complete", "failed"]


def test_a_context_that_holds_no_passage_says_so(asking: Asking) -> None:
    asking.engine.model = replace(FAKE_MODEL, n_ctx=128)
    with pytest.raises(ContextFull):
        asking.ask(SUMMARIZE)


def test_a_model_without_a_template_reads_no_parts(asking: Asking) -> None:
    events = asking.ask("Summarize guide.md place7 chapter tells", raw=True)
    assert steps(events) == []
    assert len(asking.engine.requests) == 1


def test_the_chat_is_not_read_again_for_the_parts(asking: Asking) -> None:
    asking.ask("When was Rome founded by Romulus?", ASKED)
    asking.ask(SUMMARIZE)
    assert all("Romulus" not in message.text for message in asking.engine.requests[-1].messages)
    path = [message.text for message in asking.engine.requests[-1].next_messages]
    assert (len(path), path[0], path[-1]) == (3, "When was Rome founded by Romulus?", SUMMARIZE)


def test_what_was_found_says_which_documents(asking: Asking) -> None:
    (found,) = [event.retrieval for event in asking.ask(SUMMARIZE) if isinstance(event, Retrieved)]
    assert found.whole is not None
    assert (found.whole.paths, len(found.hits), found.verdict) == (("guide.md",), PARAGRAPHS, "ok")


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ("Summarize deep/tidal-waves.md", ("deep/tidal-waves.md",)),
        ("summarize TIDAL WAVES", ("deep/tidal-waves.md",)),
        ("What is notes.txt about?", ("notes.txt",)),
        ("What is sub/notes.txt about?", ("sub/notes.txt",)),
        ("Summarize it", ()),
        ("Give me a summary", ()),
        ("When was it founded?", ()),
        ("What does notes.txt say about tides?", ()),
    ],
)
def test_which_documents_are_meant(question: str, named: tuple[str, ...]) -> None:
    about = about_whole(question, ["it.md", "deep/tidal-waves.md", "notes.txt", "sub/notes.txt", "other.md", ".env"])
    assert (about.paths if about else ()) == named


def test_the_only_document_is_meant_without_a_name() -> None:
    about = about_whole("Summarize the document", ["it.md"])
    assert about is not None
    assert about.paths == ("it.md",)
