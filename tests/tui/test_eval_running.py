"""A run with engines that play scripts: what is asked in which order, what is kept, how it goes on."""

from __future__ import annotations

import errno
import json
import stat
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from llmchat_engine import EngineDied, GenerationFailed, ModelMissing, Request
from llmchat_engine.prompting.few_shot import Shot
from llmchat_engine.testing import FakeEngine, Script
from llmchat_tui.errors import StorageUnwritable, UsageError
from llmchat_tui.evaluation.asking import Manner
from llmchat_tui.evaluation.items import Item
from llmchat_tui.evaluation.log import Entry, Log
from llmchat_tui.evaluation.running import MOST_CRASHES, Run, Subject, Upcoming
from llmchat_tui.evaluation.ways import Examples, Way

ITEMS = tuple(Item(f"i{number}", "number", f"What is {number}?", (str(number),)) for number in range(4))
ZERO, FEW = Way("zero-shot"), Way("few-shot:1", shots=1)
CHOICE = Item("c", "choice", "Which?", ("B",), ("one two three", "four"))


@dataclass
class Bench:
    """A log in a folder, and runs over it."""

    path: Path
    items: Sequence[Item] = ITEMS
    ways: Sequence[Way] = (ZERO, FEW)
    manner: Manner = field(default_factory=Manner)
    examples: Examples = field(default_factory=lambda: Examples((Shot("What is 9?", "9"),)))

    @contextmanager
    def run(self, fresh: bool = False) -> Iterator[Run]:
        with Log.open(self.path, fresh=fresh) as log:
            yield Run(self.items, self.ways, self.examples, self.manner, log)

    def entries(self, engine: FakeEngine, name: str = "fake", key: str = "k", *, fresh: bool = False) -> list[Entry]:
        with self.run(fresh) as run:
            return entries_of(run, Subject(name, key, engine))

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]


def entries_of(run: Run, *subjects: Subject) -> list[Entry]:
    return [one for one in run.entries(subjects) if isinstance(one, Entry)]


def asked(engine: FakeEngine) -> list[str]:
    return [request.messages[-1].text for request in engine.requests]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "evals" / "log.jsonl")


def test_every_question_is_asked_way_by_way_and_written_down(bench: Bench) -> None:
    engine = FakeEngine([Script("It is 1.")])
    found = bench.entries(engine)
    assert [(entry.way, entry.item) for entry in found] == [(way.name, item.id) for way in bench.ways for item in ITEMS]
    assert [entry.right for entry in found] == [False, True, False, False] * 2
    assert asked(engine) == [item.question for item in ITEMS] * 2
    assert [len(request.messages) for request in engine.requests] == [1] * 4 + [3] * 4
    lines = bench.lines()
    assert [line["reply"] for line in lines] == ["It is 1."] * 8
    assert lines[1]["right"] is True
    assert lines[1]["found"] == "1"
    assert stat.S_IMODE(bench.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(bench.path.parent.stat().st_mode) == 0o700


def test_what_is_known_is_not_asked_again_and_a_new_way_asks_only_itself(bench: Bench) -> None:
    bench.ways = (ZERO,)
    bench.entries(FakeEngine())
    bench.ways = (ZERO, FEW)
    engine = FakeEngine()
    assert len(bench.entries(engine)) == 8
    assert [len(request.messages) for request in engine.requests] == [3] * 4
    assert asked_after(bench, fresh=True) == 8


def asked_after(bench: Bench, *, fresh: bool = False, key: str = "k") -> int:
    engine = FakeEngine()
    bench.entries(engine, key=key, fresh=fresh)
    return len(engine.requests)


def test_another_word_anywhere_is_asked_anew(bench: Bench) -> None:
    bench.ways = (ZERO,)
    assert asked_after(bench) == 4
    assert asked_after(bench) == 0
    assert asked_after(bench, key="other model") == 4
    bench.manner = Manner(system="Be brief.")
    assert asked_after(bench) == 4
    bench.items = (*ITEMS[:3], replace(ITEMS[3], question="What?"))
    assert asked_after(bench) == 1
    bench.items = (*ITEMS[:3], replace(bench.items[3], answers=("5",)))
    assert asked_after(bench) == 0


def test_a_known_reply_is_judged_by_the_answers_of_now(bench: Bench) -> None:
    bench.items, bench.ways = ITEMS[:1], (ZERO,)
    assert [entry.right for entry in bench.entries(FakeEngine([Script("7")]))] == [False]
    bench.items = (replace(ITEMS[0], answers=("7",)),)
    engine = FakeEngine()
    (entry,) = bench.entries(engine)
    assert (entry.right, entry.expected, engine.requests) == (True, "7", [])


def test_a_run_that_was_killed_goes_on_behind_its_last_whole_line(bench: Bench) -> None:
    with bench.run() as run:
        entries = run.entries([Subject("fake", "k", FakeEngine([Script("0")]))])
        first = [next(entries) for _ in range(5)]
        entries.close()
    assert [type(one) for one in first] == [Upcoming, Entry, Upcoming, Entry, Upcoming]
    whole = bench.path.read_bytes()
    bench.path.write_bytes(whole + whole[: len(whole) // 3])
    engine = FakeEngine([Script("0")])
    assert len(bench.entries(engine)) == 8
    assert asked(engine)[:2] == [ITEMS[2].question, ITEMS[3].question]
    assert len(engine.requests) == 6
    assert bench.path.read_bytes().count(b"\n") == 9
    assert asked_after(bench) == 0


def test_stop_drops_the_question_that_is_asked_and_keeps_those_before(bench: Bench) -> None:
    engine = FakeEngine([Script("0"), Script("never said", hang_after=1)])
    with bench.run() as run:
        found: list[Entry] = []
        for one in run.entries([Subject("fake", "k", engine)]):
            if isinstance(one, Entry):
                found.append(one)
                threading.Timer(0.05, run.stop).start()
        assert run.stopped
    assert [entry.item for entry in found] == ["i0"]
    assert len(bench.lines()) == 1
    assert asked_after(bench) == 7


def test_a_crash_is_a_failed_question_that_the_next_run_asks_again(bench: Bench) -> None:
    bench.ways = (ZERO,)
    engine = FakeEngine([Script("0"), Script("x", crash_after=0), Script(error=GenerationFailed("no")), Script("3")])
    found = bench.entries(engine)
    assert [bool(entry.error) for entry in found] == [False, True, True, False]
    assert [entry.right for entry in found] == [True, False, False, True]
    again = FakeEngine([Script("1"), Script("2")])
    assert [entry.right for entry in bench.entries(again)] == [True] * 4
    assert asked(again) == [ITEMS[1].question, ITEMS[2].question]


def test_a_model_that_crashes_again_and_again_ends_the_run(bench: Bench) -> None:
    engine = FakeEngine([Script("x", crash_after=0)])
    with pytest.raises(EngineDied):
        bench.entries(engine)
    assert len(engine.requests) == MOST_CRASHES + 1


def test_a_model_that_is_not_there_ends_the_run_at_once(bench: Bench) -> None:
    with pytest.raises(ModelMissing):
        bench.entries(FakeEngine([Script(error=ModelMissing("gone"))]))
    assert bench.lines() == []


def test_several_models_are_asked_one_after_the_other(bench: Bench) -> None:
    bench.ways = (ZERO,)
    engines = FakeEngine([Script("0")]), FakeEngine([Script("1")])
    with bench.run() as run:
        found = entries_of(run, Subject("a", "ka", engines[0]), Subject("b", "kb", engines[1]))
    assert [(entry.model, entry.item) for entry in found if entry.right] == [("a", "i0"), ("b", "i1")]


def test_a_known_reply_belongs_to_the_model_by_its_name_of_now(bench: Bench) -> None:
    bench.entries(FakeEngine(), "old")
    assert {entry.model for entry in bench.entries(FakeEngine(), "new")} == {"new"}


def test_upcoming_tells_how_far_it_is(bench: Bench) -> None:
    bench.ways = (ZERO,)
    bench.items = ITEMS[:2]
    bench.entries(FakeEngine())
    bench.items = ITEMS
    with bench.run() as run:
        told = [one for one in run.entries([Subject("fake", "k", FakeEngine())]) if isinstance(one, Upcoming)]
    assert [(one.done, one.total, one.item.id) for one in told] == [(2, 4, "i2"), (3, 4, "i3")]


def test_options_are_compared_by_likelihood_and_only_questions_that_have_some(bench: Bench) -> None:
    bench.items = (CHOICE, ITEMS[0])
    bench.ways = (Way("choice", likelihood="sum"), Way("choice-norm", likelihood="mean"))
    summed, mean = bench.entries(FakeEngine())
    # Every word has log-probability -1: three words against one; by byte 3/13 against 1/4.
    assert (summed.reply, summed.right, summed.scores) == ("B", True, (-3.0, -1.0))
    assert (mean.reply, mean.right, mean.scores) == ("A", False, (-3 / 13, -1 / 4))
    assert summed.reply_tokens == 4


def test_chains_vote_and_their_votes_are_kept(bench: Bench) -> None:
    bench.items, bench.ways = ITEMS[1:2], (Way("votes:3", cot="zero-shot", votes=3),)
    engine = FakeEngine([Script("So. The answer is 1"), Script("Hm. The answer is 2"), Script("Yes. The answer is 1")])
    (entry,) = bench.entries(engine)
    assert entry.right
    assert entry.votes is not None
    assert entry.votes["tally"][0] == ["1", 2]
    assert bench.entries(engine) == [entry]


def test_reasoning_is_kept_apart_from_the_answer(bench: Bench) -> None:
    bench.items, bench.ways = ITEMS[1:2], (Way("cot", cot="zero-shot"),)
    (entry,) = bench.entries(FakeEngine([Script("There are 7 and 6 to think of."), Script("1")]))
    assert (entry.reply, entry.right) == ("1", True)
    assert "7 and 6" in entry.thought


def test_two_runs_do_not_mix_their_lines(bench: Bench) -> None:
    with bench.run(), pytest.raises(UsageError, match="another run writes"), bench.run():
        pass


def test_a_log_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="it is a directory"):
        Log.open(tmp_path)


def test_a_log_that_is_no_file_is_not_read_for_ever(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write /dev/null"):
        Log.open(Path("/dev/null"))


def test_a_disk_that_is_full_when_a_line_arrives_there_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageUnwritable, match="No space left"):
        bench.entries(FakeEngine())


def test_lines_of_others_are_overread(bench: Bench) -> None:
    bench.path.parent.mkdir()
    bench.path.write_text('{"a": 1}\nno json\n[]\n')
    assert asked_after(bench) == 8


def test_a_request_of_a_run_belongs_to_no_chat(bench: Bench) -> None:
    engine = FakeEngine()
    bench.entries(engine)
    assert {(request.chat, request.store, request.now > 0) for request in engine.requests} == {("", False, True)}
    assert isinstance(engine.requests[0], Request)
