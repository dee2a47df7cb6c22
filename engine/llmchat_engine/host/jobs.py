"""The queue between the thread that owns the sockets and a thread that works: the model's, and the one that counts.

Knows neither sockets nor llama.cpp: a job is an order with a way to answer. One runs at a time, in order of arrival.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from llmchat_engine.events import Queued, nothing_generated
from llmchat_engine.protocol import (
    Generate,
    Measure,
    News,
    Peek,
    Perplexity,
    Pieces,
    Render,
    Score,
    Tokenize,
    Work,
)
from llmchat_engine.types import Request

Counting = Render | Measure | Tokenize | Pieces
"""What needs the vocabulary of a model and nothing else of it."""
MOST_ANSWERS = 256
"""llama.cpp has no more sequences; a request for a billion is refused, but not before its turn."""


@dataclass(eq=False, slots=True)
class Job:
    """One order of one client."""

    id: str
    client: int
    order: Work
    send: Callable[[News], None]
    """Answers the client. Safe from any thread; does nothing when the client has gone."""
    stopped: set[int] = field(default_factory=set)
    """The answers that the client has stopped, by index. Only added to, by the thread of the sockets."""
    concluded: set[int] = field(default_factory=set)
    """The answers whose thought is to be closed, by index; added to in the same way."""


class JobQueue:
    """First come, first served. `abort` raises or lowers the model's abort flag: over a job, and over idle work."""

    def __init__(self, abort: Callable[[bool], None]) -> None:
        self._abort = abort
        self._changed = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._running: Job | None = None
        self._closed = False

    def put(self, job: Job) -> None:
        """Adds a job, and tells its client who goes first."""
        with self._changed:
            ahead = len(self._waiting) + (self._running is not None)
            self._waiting.append(job)
            if self._running is None:  # what is done meanwhile for nobody makes way
                self._abort(True)
            self._changed.notify()
        if ahead:
            job.send(Queued(ahead))

    def take(self, patience: float | None = None) -> Job | None:
        """Waits for the next job and makes it the running one; None when the host is to leave, or none came in time.

        Args:
            patience: seconds to wait; None waits for ever.
        """
        with self._changed:
            self._running = None
            self._changed.wait_for(lambda: self._waiting or self._closed, patience)
            if self._closed:
                return None
            self._abort(False)
            self._running = self._waiting.popleft() if self._waiting else None
            return self._running

    def cancel(self, client: int, job_id: str | None = None, answer: int | None = None) -> None:
        """Stops one job of a client, one answer of it, or all of its jobs. Never another client's."""
        if answer is not None and not self._stop_answer(client, job_id, answer):
            return
        with self._changed:
            stopped = [job for job in self._waiting if job.client == client and job_id in (None, job.id)]
            for job in stopped:
                self._waiting.remove(job)
            running = self._running
            if running and running.client == client and job_id in (None, running.id):
                self._abort(True)
        for job in stopped:
            match job.order:
                case Generate(request) | Score(request) | Peek(request):
                    job.send(nothing_generated(request))
                case Perplexity():
                    job.send(nothing_generated(Request(())))

    def conclude(self, client: int, job_id: str, answer: int | None = None) -> None:
        """Has one job of a client, or one answer of it, think no further."""
        with self._changed:
            for job in (self._running, *self._waiting):
                if job and (job.client, job.id) == (client, job_id) and isinstance(job.order, Generate):
                    every = range(min(job.order.request.answers, MOST_ANSWERS))
                    job.concluded.update(every if answer is None else (answer,))

    def _stop_answer(self, client: int, job_id: str | None, answer: int) -> bool:
        """Stops one answer; returns whether it was the last one that went on: nobody waits for the job any more."""
        with self._changed:
            for job in (self._running, *self._waiting):
                if job and (job.client, job.id) == (client, job_id):
                    job.stopped.add(answer)
                    return isinstance(job.order, Generate) and job.stopped.issuperset(range(job.order.request.answers))
        return False

    def close(self) -> None:
        """Stops what runs; `take` answers None from now on."""
        with self._changed:
            self._closed = True
            self._abort(True)
            self._changed.notify()

    @property
    def closed(self) -> bool:
        """True once the host is to leave."""
        return self._closed

    @property
    def busy(self) -> bool:
        """True while a job runs."""
        return self._running is not None

    def __len__(self) -> int:
        return len(self._waiting)
