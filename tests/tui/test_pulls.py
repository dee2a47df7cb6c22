"""Downloads for the chat: one after the other, stopped and gone on with, tried before they count, and told of."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from tests.engine.tiny_gguf import tiny_llama
from tests.hub.faults import Fault
from tests.hub.server import FakeHub

from llmchat_engine import EngineError, HubForbidden, HubUnreachable
from llmchat_engine.models.hub.names import parse_reference
from llmchat_engine.models.hub.pull import Pulled
from llmchat_engine.models.hub.quants import variants
from llmchat_engine.models.hub.types import HubFile, HubRepo, Reference, RepoKind, Variant
from llmchat_engine.models.progress import Progress
from llmchat_engine.models.trials import Trial
from llmchat_tui.config import load_config
from llmchat_tui.pulls import Job, Pulls, ended_words, left_words
from llmchat_tui.stock import Stock

PATIENCE = 20.0
ONE, TWO, THREE = (Reference(f"user/{name}-GGUF", "Q4_K_M") for name in ("one", "two", "three"))
FILE = HubFile("model-Q4_K_M.gguf", 1000)


class Source:
    """A hub that gives nothing before `go` is set; what was asked of it, in order."""

    def __init__(self, kind: RepoKind = "gguf") -> None:
        self.asked: list[str] = []
        self.go = threading.Event()
        self.begun = threading.Event()
        self.closed = threading.Event()
        self.trial = Trial(True)
        self.fault: EngineError | None = None
        self.kind: RepoKind = kind

    def repo(self, reference: Reference) -> HubRepo:
        if self.fault:
            raise self.fault
        return HubRepo(reference.repo, "c" * 40, (FILE,), self.kind)

    def chosen(self, repo: HubRepo, reference: Reference) -> Variant:
        return Variant("Q4_K_M", (FILE,))

    def pull(self, repo: HubRepo, variant: Variant) -> Generator[Progress, None, Pulled]:
        self.asked.append(f"pull {repo.name}")
        try:
            while True:
                self.begun.set()
                yield Progress("downloading", 400, 1000, "bytes", 100.0)
                if self.go.wait(0.01):
                    return Pulled((Path("/models") / repo.name / FILE.path,), 1000, 1.0, False)
        finally:
            self.closed.set()

    def try_model(self, path: Path) -> Trial:
        self.asked.append(f"try {path.parent.name}")
        return self.trial


def until(true: Callable[[], bool]) -> None:
    """Waits for what a thread brings about."""
    waited = threading.Event()
    for _ in range(int(PATIENCE / 0.005)):
        if true():
            return
        waited.wait(0.005)
    raise AssertionError("it did not come about")


def states(pulls: Pulls) -> list[str]:
    return [job.state for job in pulls.jobs]


def ended(pulls: Pulls, key: str) -> Job:
    """Returns a download once it has ended."""
    until(lambda: (job := pulls.job(key)) is not None and not job.is_active)
    job = pulls.job(key)
    assert job is not None
    return job


def test_one_after_the_other_each_tried_once() -> None:
    source = Source()
    pulls, told = Pulls(source), list[str]()
    pulls.ended = lambda job: told.append(ended_words(job))
    for wanted in (ONE, TWO):
        pulls.add(wanted)
    until(lambda: states(pulls) == ["runs", "waits"])
    source.go.set()
    until(lambda: len(told) == 2)
    assert source.asked == ["pull user/one-GGUF", "try one-GGUF", "pull user/two-GGUF", "try two-GGUF"]
    assert told == ["one Q4_K_M is here", "two Q4_K_M is here"]
    assert ended(pulls, "user/one-GGUF:Q4_K_M").path == Path("/models/user/one-GGUF/model-Q4_K_M.gguf")
    pulls.close(PATIENCE)


def test_the_same_again_while_it_runs_is_the_same_download() -> None:
    source = Source()
    pulls = Pulls(source)
    pulls.add(ONE)
    until(source.begun.is_set)
    pulls.add(ONE)
    assert len(pulls.jobs) == 1
    source.go.set()
    assert ended(pulls, "user/one-GGUF:Q4_K_M").state == "done"
    assert source.asked.count("pull user/one-GGUF") == 1
    pulls.close(PATIENCE)


def test_stopping_closes_the_work_and_going_on_begins_it_again() -> None:
    source = Source()
    pulls, told = Pulls(source), list[Job]()
    pulls.ended = told.append
    pulls.add(ONE)
    pulls.add(TWO)
    until(source.begun.is_set)
    pulls.cancel("user/two-GGUF:Q4_K_M")
    assert states(pulls)[1] == "stopped"
    pulls.cancel("user/one-GGUF:Q4_K_M")
    stopped = ended(pulls, "user/one-GGUF:Q4_K_M")
    assert (stopped.state, source.closed.is_set(), told) == ("stopped", True, [])
    assert stopped.progress is not None and stopped.progress.done == 400
    source.go.set()
    pulls.resume("user/one-GGUF:Q4_K_M")
    assert ended(pulls, "user/one-GGUF:Q4_K_M").state == "done"
    pulls.drop("user/two-GGUF:Q4_K_M")
    assert [job.key for job in pulls.jobs] == ["user/one-GGUF:Q4_K_M"]
    pulls.close(PATIENCE)


def test_one_that_runs_is_not_dropped() -> None:
    source = Source()
    pulls = Pulls(source)
    pulls.add(ONE)
    until(source.begun.is_set)
    pulls.drop("user/one-GGUF:Q4_K_M")
    assert len(pulls.unfinished) == 1
    pulls.close(PATIENCE)
    assert states(pulls) == ["stopped"]


def test_a_failure_has_its_reason_and_the_next_one_goes_on() -> None:
    source = Source()
    source.fault = HubForbidden("user/one-GGUF is gated", "its terms have to be accepted", "accept them on the hub")
    pulls, told = Pulls(source), list[str]()
    pulls.ended = lambda job: told.append(ended_words(job))
    pulls.add(ONE)
    failed = ended(pulls, "user/one-GGUF:Q4_K_M")
    assert (failed.state, failed.hint) == ("failed", "accept them on the hub")
    until(lambda: told == ["one Q4_K_M: user/one-GGUF is gated — its terms have to be accepted"])
    source.fault = None
    source.go.set()
    pulls.add(TWO)
    assert ended(pulls, "user/two-GGUF:Q4_K_M").state == "done"
    pulls.close(PATIENCE)


@pytest.mark.parametrize(
    ("trial", "state", "words"),
    [
        (Trial(False, "llama.cpp crashes on this file"), "failed", "it came whole, but does not load"),
        (Trial(False, "it was not tried: 4 MiB are free", lasting=False), "done", "is here, but it was not tried"),
    ],
)
def test_what_does_not_load_is_not_offered(trial: Trial, state: str, words: str) -> None:
    source = Source()
    source.trial = trial
    source.go.set()
    pulls = Pulls(source)
    pulls.add(ONE)
    job = ended(pulls, "user/one-GGUF:Q4_K_M")
    assert job.state == state
    assert words in ended_words(job)
    pulls.close(PATIENCE)


def test_an_embedding_model_is_not_loaded_by_llama_cpp() -> None:
    source = Source("embedder")
    source.go.set()
    pulls = Pulls(source)
    pulls.add(Reference("user/embedder"))
    assert ended(pulls, "user/embedder").state == "done"
    assert source.asked == ["pull user/embedder"]
    pulls.close(PATIENCE)


def test_leaving_stops_all_and_says_what_goes_on() -> None:
    source = Source()
    pulls = Pulls(source)
    pulls.add(ONE)
    pulls.add(TWO)
    until(lambda: bool((job := pulls.job("user/one-GGUF:Q4_K_M")) and job.progress))
    left = pulls.unfinished
    pulls.close(PATIENCE)
    assert source.closed.is_set()
    assert [left_words(job) for job in left] == [
        "the download of one Q4_K_M has not ended: its part is kept; llmchat pull user/one-GGUF:Q4_K_M goes on",
        "the download of two Q4_K_M has not ended: llmchat pull user/two-GGUF:Q4_K_M goes on",
    ]
    assert pulls.add(THREE).state == "waits"
    assert states(pulls) == ["stopped", "stopped"]


def test_what_goes_on_names_what_was_chosen_for_this_machine() -> None:
    job = Job(Reference("user/one-GGUF"), variant=Variant("Q8_0", (FILE,)))
    assert "llmchat pull user/one-GGUF:Q8_0 goes on" in left_words(job)
    assert "llmchat pull user/one-GGUF goes on" in left_words(Job(Reference("user/one-GGUF")))


def test_leaving_does_not_wait_for_a_hub_that_says_nothing() -> None:
    class Silent(Source):
        def repo(self, reference: Reference) -> HubRepo:
            self.begun.set()
            self.go.wait(PATIENCE)
            self.asked.append("waited")
            return super().repo(reference)

    source = Silent()
    pulls = Pulls(source)
    pulls.add(ONE)
    until(source.begun.is_set)
    pulls.close(3 * PATIENCE)
    assert source.asked == []
    source.go.set()
    assert ended(pulls, "user/one-GGUF:Q4_K_M").state == "stopped"
    assert source.asked == ["waited"]


def test_one_that_breaks_off_does_not_keep_the_next_one_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    broke: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda told: broke.append(told.exc_type))

    class Breaks(Source):
        def try_model(self, path: Path) -> Trial:
            if "one" in str(path):
                raise RuntimeError("nobody thought of this")
            return super().try_model(path)

    source = Breaks()
    pulls = Pulls(source)
    pulls.add(ONE)
    pulls.add(TWO)
    source.go.set()
    assert ended(pulls, "user/two-GGUF:Q4_K_M").state == "done"
    broken = ended(pulls, "user/one-GGUF:Q4_K_M")
    assert (broken.state, broken.problem) == ("failed", "it broke off")
    until(lambda: broke == [RuntimeError])
    pulls.close(PATIENCE)


def test_news_come_in_steps_and_stop_when_nobody_follows() -> None:
    source = Source()
    pulls, steps = Pulls(source), list[int]()

    def listen() -> None:
        steps.append(1)

    pulls.follow(listen)
    pulls.add(ONE)
    until(lambda: len(steps) > 2)
    pulls.unfollow(listen)
    before = len(steps)
    source.go.set()
    ended(pulls, "user/one-GGUF:Q4_K_M")
    assert len(steps) <= before + 1  # one may have been on its way
    pulls.close(PATIENCE)


@pytest.mark.parametrize(
    ("text", "key", "name"),
    [
        ("user/a-GGUF", "user/a-GGUF", "a"),
        ("user/a-GGUF:int8", "user/a-GGUF:Q8_0", "a Q8_0"),
        ("user/a/b/c-Q4_0.gguf", "user/a/b/c-Q4_0.gguf", "a"),
        ("user/a-GGUF@v2:int8", "user/a-GGUF@v2:Q8_0", "a Q8_0"),
        ("user/a/b/c-Q4_0.gguf@v2", "user/a/b/c-Q4_0.gguf@v2", "a"),
    ],
)
def test_what_a_download_is_called(text: str, key: str, name: str) -> None:
    job = Job(parse_reference(text))
    assert (job.key, job.name) == (key, name)
    assert parse_reference(job.key) == job.reference


def test_from_a_hub_to_the_disk_with_a_broken_line_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tiny_llama(tmp_path / "tiny.gguf").read_bytes()
    with FakeHub() as hub:
        hub.add("user/tiny-GGUF", {"tiny-Q4_K_M.gguf": data}, licence="mit")
        hub.faults.content.append(Fault(cut=len(data) // 2))
        environ = {"HF_ENDPOINT": hub.endpoint, "HOME": str(tmp_path)}
        stock = Stock(tmp_path / "models", tmp_path / "state", environ, lambda: load_config(tmp_path / "none", {}))
        monkeypatch.setattr(stock, "try_model", lambda _path: Trial(True))
        pulls = Pulls(stock)
        pulls.add(parse_reference("user/tiny-GGUF:Q4_K_M"))
        job = ended(pulls, "user/tiny-GGUF:Q4_K_M")
        assert (job.state, job.problem) == ("done", "")
        assert job.path is not None and job.path.read_bytes() == data
        assert len(hub.asked("content")) == 2
        record = stock.record(job.path)
        assert record is not None and record.licence == "mit"
        assert [model.name for model in stock.find() if model.origin == "models"] == ["tiny-Q4_K_M"]
        assert job.repo is not None and variants(job.repo.files) == (job.variant,)
        pulls.close(PATIENCE)


def test_an_address_that_is_none_is_told_when_it_is_asked(tmp_path: Path) -> None:
    environ = {"HF_ENDPOINT": "http://[x", "HOME": str(tmp_path)}
    stock = Stock(tmp_path, tmp_path, environ, lambda: load_config(tmp_path / "none", {}))
    assert stock.hub_name == "the hub"
    with pytest.raises(EngineError, match="HF_ENDPOINT is no address"):
        stock.search("gemma")


def test_offline_is_told(tmp_path: Path) -> None:
    environ = {"HF_HUB_OFFLINE": "1", "HOME": str(tmp_path)}
    stock = Stock(tmp_path, tmp_path, environ, lambda: load_config(tmp_path / "none", {}))
    pulls = Pulls(stock)
    pulls.add(ONE)
    assert "HF_HUB_OFFLINE" in ended(pulls, "user/one-GGUF:Q4_K_M").problem
    with pytest.raises(HubUnreachable):
        stock.search("gemma")
    pulls.close(PATIENCE)
