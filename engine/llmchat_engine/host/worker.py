"""The thread that owns the model: takes jobs, runs them, answers.

It is the process's main thread, because a template is stopped by SIGALRM. Knows no sockets and no chats.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Protocol

from llmchat_engine import sampling
from llmchat_engine.errors import EngineError, GenerationFailed, ModelUnreadable
from llmchat_engine.events import Finished, Loaded, Loading, Notice, Peeked, Scored, nothing_generated
from llmchat_engine.host.cache import Want
from llmchat_engine.host.counter import Counter
from llmchat_engine.host.decode import Manner
from llmchat_engine.host.idle import next_turn
from llmchat_engine.host.jobs import Job, JobQueue
from llmchat_engine.host.llama import Llama
from llmchat_engine.host.model import Model, Vocab
from llmchat_engine.host.outlet import Outlet
from llmchat_engine.host.probe import repacks
from llmchat_engine.host.reasons import why_computed_again
from llmchat_engine.host.residents import Residents, settle, template_of
from llmchat_engine.host.thinking import DOES_NOT_THINK
from llmchat_engine.host.wants import constraint_of, ids_of, own_want, want_of
from llmchat_engine.protocol import (
    Generate,
    Load,
    Measure,
    News,
    Peek,
    Perplexity,
    Pieces,
    Render,
    Score,
    Tokenize,
    to_failure,
)
from llmchat_engine.types import ModelInfo, Request

_PROGRESS_INTERVAL = 0.05


class Worker:
    """Owns llama.cpp. `abort` may be called from any thread; everything else belongs to one."""

    def __init__(self, counter: Counter, counts: JobQueue, log: Callable[[str], None]) -> None:
        """Takes what is equipped once a model is loaded, and its queue."""
        self._counter, self._counts, self._log = counter, counts, log
        self._llama: Llama | None = None
        self._residents: Residents | None = None
        self._stop_load = False
        self._forgotten: deque[str] = deque()

    @property
    def info(self) -> ModelInfo | None:
        """What is loaded, or None."""
        return self._residents.info if self._residents else None

    def abort(self, on: bool) -> None:
        """Raises or lowers the flag that stops a decode or a load."""
        self._stop_load = on
        if llama := self._llama:
            llama.muted = on  # llama.cpp warns of every decode that was stopped
        if residents := self._residents:
            residents.context.abort(on)

    def forget(self, chat: str) -> None:
        """Makes sure that nothing of a chat is kept from now on. Safe from any thread."""
        self._forgotten.append(chat)
        if residents := self._residents:
            residents.cache.sequences.parking.forget(chat)

    def warm_up(self) -> None:
        """Loads the library while the client still checks the file, and what a first job needs while the model loads.

        numpy and jinja2 take 130 ms to import, and llama.cpp lets go of the interpreter while it reads the file.
        """
        self._llama = Llama(self._log)
        threading.Thread(target=_import_heavy, name="imports", daemon=True).start()

    def serve(self, job: Job) -> None:
        """Does one order, answers included.

        Raises:
            EngineError: it cannot be done.
        """
        match job.order:
            case Load():
                self._load(job, job.order)
            case Generate(request):
                self._generate(job, request)
            case Score(request, continuations):
                self._score(job, request, continuations)
            case Peek(request, count):
                self._peek(job, request, count)
            case Perplexity(text, window):
                self._perplexity(job, text, window)
            case Render() | Measure() | Tokenize() | Pieces():
                self._loaded()
                self._counts.put(job)  # it came before the model did

    def _loaded(self) -> Residents:
        if self._residents is None:
            raise GenerationFailed("no model is loaded", "the host was asked to generate before it was asked to load")
        return self._residents

    def _load(self, job: Job, order: Load) -> None:
        if self._residents is not None:
            job.send(Loaded(self._residents.info, 0.0))
            return
        began = time.perf_counter()
        llama = self._llama or Llama(self._log)
        if order.rpc_servers:
            from llmchat_engine.host.rpc import add_servers

            add_servers(llama, order.rpc_servers)
        repack = self._repacks(llama, order)
        model = self._open(llama, job, order, repack)
        try:
            residents = settle(llama, model, order, repack, self._log)
        except EngineError:
            model.close()
            raise
        info = residents.info
        self._counter.equip(Vocab(llama.c, model.vocab.pointer), template_of(model, order.model_key), info.n_ctx)
        self._residents = residents
        self._log(f"loaded {info.name}, {info.n_ctx} tokens of context, {info.threads} threads")
        job.send(Loaded(info, time.perf_counter() - began))

    @staticmethod
    def _repacks(llama: Llama, order: Load) -> bool:
        return repacks(llama.system_info(), order)

    def _open(self, llama: Llama, job: Job, order: Load, repack: bool) -> Model:
        last = 0.0

        def progress(fraction: float) -> bool:
            nonlocal last
            if (now := time.perf_counter()) - last > _PROGRESS_INTERVAL:
                last = now
                job.send(Loading(fraction))
            return not self._stop_load

        model = Model(llama, order.path, gpu_layers=order.gpu_layers, extra_buffers=repack, progress=progress)
        if not model.can_decode:
            model.close()
            raise ModelUnreadable(f"{order.path} cannot write text", "it is an encoder", "choose another with -m")
        return model

    def _generate(self, job: Job, request: Request) -> None:
        residents = self._loaded()
        self._drop_forgotten()
        prompt, thought = residents.begin(request, job.concluded, drawn=not request.beams)
        if prompt.notice:
            job.send(Notice(prompt.notice))
        resolved = sampling.resolve(request.sampling, residents.info.sampling)
        if request.answers > 1 and resolved.temperature == 0:
            job.send(Notice("at temperature 0 every answer is the same"))
        if request.think == "on" and not residents.info.thinks:
            job.send(Notice(DOES_NOT_THINK))
        want = want_of(request, resolved, prompt)
        outlet = Outlet(job.send)
        manner = Manner(
            resolved,
            request.answers,
            request.beams,
            request.length_penalty,
            request.logprobs,
            constraint_of(request),
            job.stopped,
            job.concluded if request.concludes else (),
            thought,
        )
        events = residents.decoder.generate(prompt.ids, manner, want)
        upcoming = None
        try:
            with closing(events):
                for event in events:
                    if isinstance(event, Finished):
                        event = replace(event, recomputed=why_computed_again(request, prompt, event))
                        if not event.answers:  # which one the chat goes on with is not known yet
                            upcoming = next_turn(request, event, residents.info.key, want)
                    outlet.send(event)
        finally:
            if request.private:
                residents.cache.discard()
            residents.idle.after(upcoming)

    def _score(self, job: Job, request: Request, continuations: Sequence[str | Sequence[int]]) -> None:
        residents = self._loaded()
        self._drop_forgotten()
        # Ids are a reply as it was written, with what it was forced to begin with; a text is the answer alone.
        were_drawn = not any(isinstance(text, str) for text in continuations)
        prompt, _ = residents.begin(request, drawn=were_drawn)
        texts = [ids_of(text, residents.model.vocab) for text in continuations]
        scorer = residents.scorer(own_want(request))
        self._tell_all(job, scorer.score(prompt.ids, texts, request.logprobs), request)

    def _peek(self, job: Job, request: Request, count: int) -> None:
        residents = self._loaded()
        self._drop_forgotten()
        prompt, _ = residents.begin(request)
        if prompt.notice:
            job.send(Notice(prompt.notice))
        resolved = sampling.resolve(request.sampling, residents.info.sampling)
        self._tell_all(job, residents.peeker(own_want(request)).peek(prompt.ids, resolved, count), request)

    def _perplexity(self, job: Job, text: str, window: int) -> None:
        residents = self._loaded()
        vocab = residents.model.vocab
        head = (vocab.bos,) if vocab.add_bos else ()
        scorer = residents.scorer(Want(private=True))
        ids = vocab.tokenize(text, special=False)
        self._tell_all(job, scorer.perplexity(ids, window, head), Request((), private=True))

    def _tell_all(self, job: Job, events: Generator[News, None, None], request: Request) -> None:
        """Sends the events of what generates nothing; one that was stopped ends as a cancelled reply does."""
        residents, last = self._loaded(), None
        try:
            with closing(events):
                for event in events:
                    job.send(event)
                    last = event
        finally:
            if request.private:
                residents.cache.discard()
            residents.idle.after(None)
        if not isinstance(last, (Scored, Peeked)):
            job.send(nothing_generated(request))

    def patience(self) -> float | None:
        """Returns the seconds until something is to be done that nobody asked for; None where nothing is."""
        return self._residents.idle.patience() if self._residents else None

    def work(self) -> None:
        """Does what nobody asked for, as far as the abort flag lets it."""
        self._drop_forgotten()
        self._loaded().idle.work()

    def finish(self, seconds: float) -> None:
        """Keeps on disk what is worth it, at the end."""
        if self._residents and not self._residents.idle.finish(seconds):
            self._log("left before all was written to disk")

    def _drop_forgotten(self) -> None:
        while self._forgotten:
            self._loaded().cache.forget(self._forgotten.pop())


class Idling(Protocol):
    """What a thread does between two jobs."""

    def patience(self) -> float | None:
        """Returns the seconds until something is to be done; None where nothing is."""

    def work(self) -> None:
        """Does it; makes way for a job when the abort flag goes up."""


def serve_all(
    jobs: JobQueue, serve: Callable[[Job], None], log: Callable[[str], None], idle: Idling | None = None
) -> None:
    """Serves jobs in this thread until the queue is closed; what fails is told to its client."""
    while not jobs.closed:
        job = jobs.take(idle.patience() if idle else None)
        try:
            if job is not None:
                serve(job)
            elif idle is not None and not jobs.closed:
                idle.work()
        except EngineError as error:
            (job.send if job else lambda failure: log(f"{failure.what}: {failure.why}"))(to_failure(error))
        except Exception:  # the rim of a thread: one client's failure must not take the model from the others
            log(traceback.format_exc())
            if job is not None:
                failure = GenerationFailed("the engine failed on this request", "its log tells", "llmchat ps")
                job.send(to_failure(failure))


def _import_heavy() -> None:
    import numpy  # noqa: F401

    import llmchat_engine.host.measure  # noqa: F401
