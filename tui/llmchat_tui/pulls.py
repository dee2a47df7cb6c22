"""What downloads models for the chat, one after the other in a thread. Headless; knows no screen and no network.

Tells how far each is and how it ended. A model that has come is loaded once before it counts as usable.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Literal, Protocol

from llmchat_engine import EngineError
from llmchat_engine.models.hub.types import HubRepo, Reference, Variant
from llmchat_engine.models.progress import Progress

if TYPE_CHECKING:
    from llmchat_engine.models.hub.pull import Pulled
    from llmchat_engine.models.trials import Trial

_TELL_SECONDS = 0.25
"""Between two words about how far a download is: a page that paints more often makes keys wait."""

State = Literal["waits", "runs", "tries", "stops", "done", "failed", "stopped"]
ACTIVE: frozenset[State] = frozenset({"waits", "runs", "tries", "stops"})


class Source(Protocol):
    """What does the work: `Stock` is one."""

    def repo(self, reference: Reference) -> HubRepo:
        """Returns a repository of the hub."""

    def chosen(self, repo: HubRepo, reference: Reference) -> Variant:
        """Returns the variant that is meant."""

    def pull(self, repo: HubRepo, variant: Variant) -> Generator[Progress, None, Pulled]:
        """Downloads it."""

    def try_model(self, path: Path) -> Trial:
        """Loads it once."""


@dataclass(frozen=True, slots=True)
class Job:
    """One download as it is now."""

    reference: Reference
    state: State = "waits"
    repo: HubRepo | None = None
    variant: Variant | None = None
    """Both are None until the hub was asked."""
    progress: Progress | None = None
    path: Path | None = None
    """The file, once it is there."""
    problem: str = ""
    """For `failed` why; with a path it is there, and cannot be used. For `done` why it could not be tried, or empty."""
    hint: str = ""

    @property
    def key(self) -> str:
        """What is downloaded, as `llmchat pull` takes it."""
        wanted = self.reference
        file, quant = f"/{wanted.file}" * bool(wanted.file), f":{wanted.quant}" * bool(wanted.quant)
        return wanted.repo + file + f"@{wanted.revision}" * (wanted.revision != "main") + quant

    @property
    def is_active(self) -> bool:
        """Whether it runs or waits."""
        return self.state in ACTIVE

    @property
    def name(self) -> str:
        """What it is called where people read: the repository's own name, and the quantisation."""
        quant = self.variant.quant if self.variant else self.reference.quant
        name = self.reference.repo.rpartition("/")[2]
        return f"{name.removesuffix('-GGUF')} {'' if quant == '?' else quant}".strip()


class Pulls:
    """One download after the other; what each came to stays until it is dropped."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._stopping: set[str] = set()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._listeners: tuple[Callable[[], None], ...] = ()
        self.ended: Callable[[Job], None] | None = None
        """Called in the thread with a download that came to an end by itself, well or not."""

    def follow(self, listener: Callable[[], None]) -> None:
        """Has a function called, in the thread, whenever something has changed."""
        self._listeners = (*self._listeners, listener)

    def unfollow(self, listener: Callable[[], None]) -> None:
        """Has it called no longer."""
        self._listeners = tuple(other for other in self._listeners if other != listener)

    @property
    def jobs(self) -> tuple[Job, ...]:
        """All of them, in the order in which they were asked for."""
        with self._lock:
            return tuple(self._seen(job) for job in self._jobs.values())

    @property
    def unfinished(self) -> tuple[Job, ...]:
        """Those that run or wait."""
        return tuple(job for job in self.jobs if job.state in ACTIVE)

    def job(self, key: str) -> Job | None:
        """Returns a download by its key."""
        with self._lock:
            job = self._jobs.get(key)
            return job and self._seen(job)

    def _seen(self, job: Job) -> Job:
        """Returns a download as it is told: one that is to stop may wait for the hub a while longer."""
        return replace(job, state="stops") if job.key in self._stopping and job.is_active else job

    def add(self, reference: Reference, repo: HubRepo | None = None, variant: Variant | None = None) -> Job:
        """Has a model downloaded when those before it are done; one that runs or waits already stays as it is.

        Args:
            reference: what is wanted; without a quantisation the best for this machine is taken.
            repo: what the hub told of it; None asks.
            variant: which of its models; None leaves that to the reference.
        """
        wanted = Job(reference, repo=repo, variant=variant)
        with self._lock:
            known = self._jobs.get(wanted.key)
            if self._closed or (known is not None and known.state in ACTIVE):
                return known or wanted
            self._jobs.pop(wanted.key, None)
            self._jobs[wanted.key] = wanted
            self._stopping.discard(wanted.key)
            if self._thread is None:
                self._start()
        self._tell()
        return wanted

    def resume(self, key: str) -> None:
        """Goes on with a download that was stopped, or tries one again that failed."""
        job = self.job(key)
        if job is not None and job.state == "stopped":
            self.add(job.reference, job.repo, job.variant)
        elif job is not None and job.state == "failed":
            self.add(job.reference)

    def cancel(self, key: str) -> None:
        """Stops a download; what is there of it is kept, and `resume` goes on from there."""
        with self._lock:
            self._stop(key)
        self._tell()

    def drop(self, key: str) -> None:
        """Forgets a download that has ended; its part stays on the disk."""
        with self._lock:
            job = self._jobs.get(key)
            if job is not None and job.state not in ACTIVE:
                del self._jobs[key]
        self._tell()

    def close(self, seconds: float) -> None:
        """Stops all, and waits until nothing is written any more: not for what only asks the hub, or is tried."""
        self._listeners, self.ended = (), None
        with self._lock:
            self._closed = True
            for key in tuple(self._jobs):
                self._stop(key)
            writes = any(job.state == "runs" and job.variant for job in self._jobs.values())
        if writes and (thread := self._thread):
            thread.join(seconds)

    def _stop(self, key: str) -> None:
        """Stops one; the lock is held."""
        job = self._jobs.get(key)
        if job is not None and job.state == "waits":
            self._jobs[key] = replace(job, state="stopped")
        elif job is not None and job.state in ACTIVE:
            self._stopping.add(key)

    def _start(self) -> None:
        """Begins to work off what waits; the lock is held."""
        self._thread = threading.Thread(target=self._run, name="pulls", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while (job := self._next()) is not None:
                self._tell()
                ended = self._pulled(job)
                self._keep(ended)
                if ended.state != "stopped" and (tell := self.ended):
                    tell(ended)
        finally:
            with self._lock:
                if self._thread is threading.current_thread():  # it failed in a way that nobody thought of
                    self._thread = None
                    lost = [job for job in self._jobs.values() if job.state in ("runs", "tries")]
                    self._jobs |= {job.key: replace(job, state="failed", problem="it broke off") for job in lost}
                    if any(job.state == "waits" for job in self._jobs.values()):
                        self._start()
            self._tell()

    def _next(self) -> Job | None:
        """Returns what is to be done; None where nothing is, and then another one needs another thread."""
        with self._lock:
            waiting = next((job for job in self._jobs.values() if job.state == "waits"), None)
            if waiting is None:
                self._thread = None
                return None
            running = self._jobs[waiting.key] = replace(waiting, state="runs")
            return running

    def _keep(self, job: Job) -> Job:
        with self._lock:
            self._jobs[job.key] = job
            if job.state not in ACTIVE:
                self._stopping.discard(job.key)
        self._tell()
        return job

    def _pulled(self, job: Job) -> Job:
        """Downloads a model and loads it once; returns how that ended."""
        try:
            repo = job.repo or self._source.repo(job.reference)
            variant = job.variant or self._source.chosen(repo, job.reference)
            job = self._keep(replace(job, repo=repo, variant=variant))
            job = self._downloaded(job, repo, variant)
            return self._tried(job, job.path) if job.path and repo.kind == "gguf" else job
        except EngineError as error:
            return replace(self._jobs[job.key], state="failed", problem=f"{error}", hint=error.hint)

    def _downloaded(self, job: Job, repo: HubRepo, variant: Variant) -> Job:
        """Returns the job with the path of its file, or stopped."""
        told = 0.0
        with closing(self._source.pull(repo, variant)) as work:
            while job.key not in self._stopping:
                try:
                    job = replace(job, progress=next(work))
                except StopIteration as end:
                    pulled: Pulled = end.value
                    return replace(job, state="done", path=pulled.paths[0])
                if monotonic() - told >= _TELL_SECONDS:
                    told = monotonic()
                    self._keep(job)
        return replace(job, state="stopped")

    def _tried(self, job: Job, path: Path) -> Job:
        """Returns the job done, or failed where llama.cpp does not load what came."""
        job = self._keep(replace(job, state="tries"))
        trial = self._source.try_model(path)
        if trial.ok or not trial.lasting:  # where memory ran out, it may load another time
            return replace(job, state="done", problem=trial.why)
        return replace(job, state="failed", problem=f"it came whole, but does not load: {trial.why}")

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()


def ended_words(job: Job) -> str:
    """Returns how a download ended, in a sentence for the chat."""
    if job.state != "done":
        return f"{job.name}: {job.problem}"
    return f"{job.name} is here" + (f", but {job.problem}" if job.problem else "")


def left_words(job: Job) -> str:
    """Returns what is told on leaving of a download that has not come to its end."""
    kept = "its part is kept; " if job.progress and job.progress.done else ""
    return f"the download of {job.name} has not ended: {kept}llmchat pull {_same(job).key} goes on"


def _same(job: Job) -> Job:
    """Returns a download by what was chosen for it: on another day the best for this machine may be another one."""
    wanted, chosen = job.reference, job.variant
    if wanted.quant or wanted.file or chosen is None or chosen.quant == "?":
        return job
    return replace(job, reference=replace(wanted, quant=chosen.quant))
