"""The chosen model kept loaded, and the counting: the newest wish, failures, growing replies, leaving at any moment."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field

import pytest
from tests.tui.stored import add_turn

from llmchat_engine import EngineDied, EngineError, Event, HostError, Loaded, Loading, Request, RequestInvalid
from llmchat_engine.events import Measured
from llmchat_engine.prompting.few_shot import Shot
from llmchat_engine.testing import FAKE_MODEL, FakeEngine
from llmchat_tui.history import History, ReplyEnd
from llmchat_tui.presence import Counted, ModelFailed, ModelLoading, ModelReady, Presence, PresenceNews, Wish
from llmchat_tui.recipe import Recipe
from llmchat_tui.turn import Turn, compose

PATIENCE = 20.0


@dataclass
class Slow(FakeEngine):
    """An engine that loads and measures when it is let, and fails as often as it is told."""

    may_load: threading.Event = field(default_factory=threading.Event)
    may_measure: threading.Event = field(default_factory=threading.Event)
    failures: list[EngineError] = field(default_factory=list)
    """Raised one by one, before each load or measure."""
    measured: queue.SimpleQueue[Request] = field(default_factory=queue.SimpleQueue)
    loads: int = 0
    closed: threading.Event = field(default_factory=threading.Event)

    def load(self) -> Generator[Event, None, None]:
        self.loads += 1
        yield Loading(0.5)
        assert self.may_load.wait(PATIENCE)
        self._fail()
        yield Loaded(self.model, 0.1)

    def measure(self, request: Request) -> Measured:
        self.measured.put(request)
        assert self.may_measure.wait(PATIENCE)
        self._fail()
        return FakeEngine.measure(self, request)

    def close(self) -> None:
        self.closed.set()

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.pop(0)


@dataclass
class Stage:
    """A presence, its engine, and the news that nobody took yet."""

    history: History
    engine: Slow = field(default_factory=Slow)
    news: queue.SimpleQueue[PresenceNews] = field(default_factory=queue.SimpleQueue)
    presence: Presence = field(init=False)

    def __post_init__(self) -> None:
        self.presence = Presence(self.engine, self.history, self.news.put)

    def take(self) -> PresenceNews:
        return self.news.get(timeout=PATIENCE)

    def let(self) -> None:
        self.engine.may_load.set()
        self.engine.may_measure.set()

    def ready(self) -> None:
        """Lets the model load and takes the news of it."""
        self.let()
        assert [type(self.take()), type(self.take())] == [ModelLoading, ModelReady]

    def counted(self, wish: Wish) -> Measured:
        """Asks for a count and returns it."""
        self.presence.count(wish)
        news = self.take()
        assert isinstance(news, Counted) and news.wish == wish, news
        return news.measured


@pytest.fixture
def stage(history: History) -> Iterator[Stage]:
    made = Stage(history)
    yield made
    made.let()
    made.presence.close()
    assert made.engine.closed.wait(PATIENCE)


def test_loading_is_told_step_by_step(stage: Stage) -> None:
    assert stage.take() == ModelLoading(0.5)
    assert stage.news.empty()
    stage.let()
    assert stage.take() == ModelReady(FAKE_MODEL, 0.1)


def test_the_path_the_system_prompt_and_the_draft_are_counted(stage: Stage, history: History) -> None:
    chat = add_turn(history, "two words", "and three more")
    leaf = history.conversation(chat).leaf_id
    stage.ready()
    measured = stage.counted(Wish(leaf, "be brief", "a draft"))
    assert len(measured.messages) == 4
    whole = stage.counted(Wish(leaf, "", ""))
    assert whole.messages == measured.messages[1:3]
    assert stage.counted(Wish("", "", "  \n")).messages == ()


def test_what_was_left_out_is_not_counted_and_its_summary_is(stage: Stage, history: History) -> None:
    chat = add_turn(history, "two words", "and three more")
    begun = history.begin("next", conversation_id=chat, parent_id=history.conversation(chat).leaf_id)
    stage.ready()
    whole = stage.counted(Wish(begun.reply_id, "", "a draft", growing=True))
    assert len(whole.messages) == 4
    history.checkpoint(begun.reply_id, "It grows", {"left_out": 2, "summary": "Words."})
    assert stage.counted(Wish(begun.reply_id, "", "a draft", growing=True)).messages == (7, 2, 3, 3)
    history.finish(begun.reply_id, ReplyEnd("It grew", "complete", settings={"left_out": 2}))
    assert stage.counted(Wish(begun.reply_id, "", "a draft")).messages == (2, 3, 3)


def test_what_is_counted_is_the_prompt_that_the_turn_would_send(stage: Stage, history: History) -> None:
    shots = (Shot("one and one", "two"), Shot("two and two", "four"))
    recipe = Recipe(shots=shots, wrapper="Add: $input", cot="zero-shot", think="off", keep_thoughts=True)
    leaf = history.conversation(add_turn(history, "two words", "and three more")).leaf_id
    stage.ready()
    stage.presence.count(Wish(leaf, "be brief", "five and six", recipe=recipe))
    counted, request = stage.take(), stage.engine.measured.get()
    assert isinstance(counted, Counted) and (counted.has_system, counted.shots) == (True, 4)
    turn = Turn("five and six", history.path(leaf), system="be brief", recipe=recipe)
    assert request.messages == compose(turn.system, turn.earlier, turn.asks, recipe=recipe)
    assert (request.think, request.keep_thoughts) == ("off", True)
    assert len(counted.measured.messages) == 1 + 4 + 2 + 1


def test_wishes_that_came_while_the_model_loads_are_one(stage: Stage) -> None:
    for draft in ("one", "one two", "one two three"):
        stage.presence.count(Wish("", "", draft))
    stage.ready()
    news = stage.take()
    assert isinstance(news, Counted) and news.wish.draft == "one two three"
    assert stage.engine.measured.qsize() == 1


def test_wishes_that_came_during_a_count_are_one(stage: Stage) -> None:
    stage.engine.may_load.set()
    stage.presence.count(Wish("", "", "first"))
    stage.engine.measured.get(timeout=PATIENCE)
    for draft in ("second", "third", "fourth"):
        stage.presence.count(Wish("", "", draft))
    stage.let()
    drafts = [news.wish.draft for _ in range(4) if isinstance(news := stage.take(), Counted)]
    assert drafts == ["first", "fourth"]
    assert stage.engine.measured.qsize() == 1


def test_the_same_wish_can_be_asked_for_again(stage: Stage) -> None:
    stage.ready()
    assert stage.counted(Wish("", "", "same")) == stage.counted(Wish("", "", "same"))


def test_a_load_that_fails_is_told_once_and_can_be_repeated(stage: Stage) -> None:
    stage.engine.failures.append(EngineDied("it crashed"))
    stage.presence.count(Wish("", "", "a draft"))
    stage.let()
    assert isinstance(stage.take(), ModelLoading)
    failed = stage.take()
    assert isinstance(failed, ModelFailed) and failed.error.what == "it crashed"
    stage.presence.reload()
    assert [type(stage.take()) for _ in range(3)] == [ModelLoading, ModelReady, Counted]
    assert stage.engine.loads == 2


@pytest.mark.parametrize("error", [EngineDied("gone"), HostError("gone")], ids=lambda error: type(error).__name__)
def test_a_host_that_dies_in_a_count_is_told_and_joined_again(stage: Stage, error: EngineError) -> None:
    stage.ready()
    stage.engine.failures.append(error)
    stage.presence.count(Wish("", "", "a draft"))
    assert stage.take() == ModelFailed(error)
    stage.presence.count(Wish("", "", "another"))
    assert stage.engine.measured.qsize() == 1
    stage.presence.reload()
    assert [type(stage.take()) for _ in range(3)] == [ModelLoading, ModelReady, Counted]


def test_a_prompt_that_cannot_be_counted_is_passed_over(stage: Stage) -> None:
    """An empty prompt that the model's template refuses, for instance."""
    stage.ready()
    stage.engine.failures.append(RequestInvalid("the prompt is empty"))
    stage.presence.count(Wish("", "", "bad"))
    stage.engine.measured.get(timeout=PATIENCE)
    assert len(stage.counted(Wish("", "", "good")).messages) == 1
    assert stage.engine.loads == 1


def test_a_message_that_is_gone_is_passed_over(stage: Stage) -> None:
    stage.ready()
    stage.presence.count(Wish("no such message", "", ""))
    assert stage.counted(Wish("", "", "good")).messages


def test_a_reply_that_grows_is_read_anew_and_a_finished_one_is_not(
    stage: Stage, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = history.begin("a question")
    stage.ready()
    growing = Wish(begun.reply_id, "", "", growing=True)
    counts = [stage.counted(growing).total]
    for text in ("one", "one two three"):
        history.checkpoint(begun.reply_id, text)
        counts.append(stage.counted(growing).total)
    assert counts == sorted(set(counts))
    reads = spy(history, monkeypatch)
    rested = [stage.counted(Wish(begun.reply_id, "", "x" * number)).messages[:2] for number in range(3)]
    assert len(set(rested)) == 1 and len(reads) == 1
    stage.counted(growing)
    stage.counted(Wish(begun.reply_id, "", ""))
    assert len(reads) == 3


def spy(history: History, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    reads: list[str] = []
    path: Callable[[str], object] = history.path

    def read(message_id: str) -> object:
        reads.append(message_id)
        return path(message_id)

    monkeypatch.setattr(history, "path", read)
    return reads


@pytest.mark.parametrize("moment", ["loading", "measuring", "idle", "failed", "settling"])
def test_leaving_at_any_moment_ends_the_thread_and_says_no_more(history: History, moment: str) -> None:
    stage = Stage(history)
    stage.take()
    if moment == "failed":
        stage.engine.failures.append(EngineDied("gone"))
    if moment != "loading":
        stage.engine.may_load.set()
        stage.take()
    if moment in ("measuring", "settling"):
        stage.presence.count(Wish("", "", "a draft"))
    if moment == "measuring":
        stage.engine.measured.get(timeout=PATIENCE)
    stage.presence.close()
    stage.let()
    assert stage.engine.closed.wait(PATIENCE)
    assert stage.news.empty()


def test_leaving_twice_and_wishing_afterwards_do_nothing(history: History) -> None:
    stage = Stage(history)
    stage.let()
    stage.presence.close()
    assert stage.engine.closed.wait(PATIENCE)
    stage.presence.close()
    stage.presence.count(Wish("", "", "late"))
    stage.presence.reload()
    assert stage.engine.measured.empty()


def test_nothing_is_told_once_leaving_was_asked_for(history: History) -> None:
    """Also where the thread is just about to tell: `close` waits for a call that is on its way."""
    entered, leave, closed = threading.Event(), threading.Event(), threading.Event()
    told: list[bool] = []

    def tell(_news: PresenceNews) -> None:
        entered.set()
        assert leave.wait(PATIENCE)
        told.append(closed.is_set())

    engine = Slow()
    presence = Presence(engine, history, tell)
    assert entered.wait(PATIENCE)

    def close() -> None:
        presence.close()
        closed.set()

    closing = threading.Thread(target=close)
    closing.start()
    closing.join(0.1)
    leave.set()
    closing.join(PATIENCE)
    engine.may_load.set()
    assert engine.closed.wait(PATIENCE)
    assert told == [False]
