"""The queue: first come, first served; a client stops only its own."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from llmchat_engine.events import Finished, Queued
from llmchat_engine.host.jobs import MOST_ANSWERS, Job, JobQueue
from llmchat_engine.protocol import Generate, News, Score, Tokenize, Work
from llmchat_engine.types import Message, Request


@dataclass
class Desk:
    """A queue with everything it says written down."""

    flags: list[bool] = field(default_factory=list)
    said: dict[str, list[News]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.queue = JobQueue(self.flags.append)

    def put(self, name: str, client: int, order: Work | None = None) -> Job:
        self.said[name] = []
        job = Job(name, client, order or Generate(Request((Message("user", name),))), self.said[name].append)
        self.queue.put(job)
        return job


def test_jobs_run_in_order_of_arrival_and_are_told_who_goes_first() -> None:
    desk = Desk()
    jobs = [desk.put(name, client) for name, client in (("a", 1), ("b", 2), ("c", 1))]
    assert [desk.queue.take() for _ in jobs] == jobs
    assert desk.said == {"a": [], "b": [Queued(1)], "c": [Queued(2)]}


def test_a_running_job_counts_as_one_ahead() -> None:
    desk = Desk()
    desk.put("a", 1)
    desk.queue.take()
    assert desk.queue.busy
    desk.put("b", 2)
    assert desk.said["b"] == [Queued(1)]
    assert len(desk.queue) == 1


def test_only_its_own_client_stops_the_running_job() -> None:
    desk = Desk()
    desk.put("a", 1)
    desk.queue.take()
    desk.queue.cancel(2, "a")
    desk.queue.cancel(2)
    desk.queue.cancel(1, "b")
    assert desk.flags[-1] is False
    desk.queue.cancel(1, "a")
    assert desk.flags[-1] is True


def test_what_is_done_for_nobody_makes_way_for_a_job() -> None:
    desk = Desk()
    assert desk.queue.take(patience=0.0) is None
    assert desk.flags == [False]
    job = desk.put("a", 1)
    assert desk.flags[-1] is True
    assert desk.queue.take(patience=0.0) is job
    assert desk.flags[-1] is False


def test_the_flag_is_lowered_before_the_next_job() -> None:
    desk = Desk()
    desk.put("a", 1)
    desk.put("b", 2)
    desk.queue.take()
    desk.queue.cancel(1)
    desk.queue.take()
    assert desk.flags[-1] is False


def test_a_waiting_job_that_is_stopped_ends_at_once() -> None:
    desk = Desk()
    desk.put("a", 1)
    desk.queue.take()
    desk.put("b", 2)
    desk.put("c", 2)
    desk.queue.cancel(2, "b")
    end = desk.said["b"][-1]
    assert isinstance(end, Finished)
    assert end.reason == "cancelled"
    taken = desk.queue.take()
    assert taken is not None
    assert taken.id == "c"
    assert desk.flags[-1] is False


def test_one_answer_is_stopped_while_its_job_waits_or_runs() -> None:
    desk = Desk()
    asked = Generate(Request((Message("user", "?"),), answers=3))
    running, waiting = desk.put("a", 1, asked), desk.put("b", 1, asked)
    desk.queue.take()
    desk.queue.cancel(2, "a", 0)
    for name, answer in (("a", 1), ("b", 2), ("unheard of", 0)):
        desk.queue.cancel(1, name, answer)
    assert (running.stopped, waiting.stopped) == ({1}, {2})
    assert desk.flags[-1] is False
    assert not any(isinstance(news, Finished) for news in desk.said["b"])


def test_a_thought_is_closed_while_its_job_waits_or_runs_by_its_own_client() -> None:
    desk = Desk()
    asked = Generate(Request((Message("user", "?"),), answers=3))
    running, waiting = desk.put("a", 1, asked), desk.put("b", 1, asked)
    score = desk.put("c", 1, Score(asked.request, ("x",)))
    desk.queue.take()
    for client, name, answer in ((2, "a", None), (2, "b", 0), (1, "unheard of", 0), (1, "c", None)):
        desk.queue.conclude(client, name, answer)
    assert not any((running.concluded, waiting.concluded, score.concluded))
    desk.queue.conclude(1, "a")
    desk.queue.conclude(1, "b", 2)
    assert (running.concluded, waiting.concluded) == ({0, 1, 2}, {2})
    assert desk.flags[-1] is False
    many = desk.put("d", 1, Generate(Request(asked.request.messages, answers=10**15)))
    desk.queue.conclude(1, "d")
    assert len(many.concluded) == MOST_ANSWERS


def test_with_the_last_of_its_answers_the_job_is_stopped() -> None:
    """Nobody waits any more: neither for the rest of a long prompt nor in the queue."""
    desk = Desk()
    asked = Generate(Request((Message("user", "?"),), answers=2))
    for name in "ab":
        desk.put(name, 1, asked)
    desk.put("one", 1)
    desk.queue.take()
    for name, answer in (("a", 1), ("a", 7), ("a", 0), ("b", 0), ("b", 1), ("one", 0)):
        assert desk.flags[-1] is False or name != "a"
        desk.queue.cancel(1, name, answer)
    assert desk.flags[-1] is True
    assert [isinstance(desk.said[name][-1], Finished) for name in ("b", "one")] == [True, True]
    assert len(desk.queue) == 0


def test_a_scoring_has_no_answers_to_stop() -> None:
    desk = Desk()
    desk.put("a", 1, Score(Request((Message("user", "?"),)), ("x",)))
    desk.queue.take()
    desk.queue.cancel(1, "a", 0)
    assert desk.flags[-1] is False


def test_a_client_that_goes_takes_all_its_jobs_along() -> None:
    desk = Desk()
    desk.put("a", 1)
    desk.queue.take()
    desk.put("b", 1)
    desk.put("t", 1, Tokenize("x"))
    mine = desk.put("c", 2)
    desk.queue.cancel(1)
    assert desk.flags[-1] is True
    assert desk.queue.take() is mine


def test_closing_wakes_the_worker_and_stops_what_runs() -> None:
    desk = Desk()
    taken: list[Job | None] = []
    worker = threading.Thread(target=lambda: taken.append(desk.queue.take()))
    worker.start()
    desk.queue.close()
    worker.join(5)
    assert taken == [None]
    assert desk.flags[-1] is True
    desk.put("late", 1)
    assert desk.queue.take() is None


def test_two_hundred_jobs_from_many_threads_are_all_served_once() -> None:
    desk = Desk()
    threads = [threading.Thread(target=lambda n=n: [desk.put(f"{n}-{i}", n) for i in range(25)]) for n in range(8)]
    for thread in threads:
        thread.start()
    taken = [job.id for _ in range(200) if (job := desk.queue.take()) is not None]
    for thread in threads:
        thread.join()
    assert len(set(taken)) == 200
    for n in range(8):
        assert [name for name in taken if name.startswith(f"{n}-")] == [f"{n}-{i}" for i in range(25)]
