"""One turn on the command line: its events to a writer and a status line, its end to an outcome.

The front end of `ask` and of the line-by-line chat. Decides nothing about the turn; stopping is all it may do.
"""

from __future__ import annotations

import select
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from llmchat_engine import (
    Answered,
    Engine,
    EngineError,
    Finished,
    Loaded,
    Loading,
    ModelInfo,
    Notice,
    Prefill,
    Queued,
    Restored,
    Token,
    Waiting,
)
from llmchat_engine.prompting.vote import Polled
from llmchat_rag.errors import RagError
from llmchat_tui.cli.answers import Answers
from llmchat_tui.cli.form_check import check_form
from llmchat_tui.cli.interrupts import Interrupts
from llmchat_tui.cli.render import ClosedOutput
from llmchat_tui.cli.thoughts import Thoughts
from llmchat_tui.console import Console
from llmchat_tui.errors import UserError
from llmchat_tui.events import (
    Abstained,
    Checked,
    Ended,
    Grounded,
    LeftOut,
    Reading,
    Retrieved,
    Searching,
    Started,
    Summarising,
    TurnEvent,
)
from llmchat_tui.history import Begun, History
from llmchat_tui.turn import Turn, run
from llmchat_tui.votes import progress_of

if TYPE_CHECKING:
    from llmchat_engine.answers import TokenLogprob
    from llmchat_rag.verify import Verified
    from llmchat_tui.documents import Documents, Retrieval
    from llmchat_tui.sources import KeptSource

ABSTAINED = 10
"""The exit code where the documents hold no answer."""


class Answer(Protocol):
    """Where the text of a reply goes: `render.AnswerWriter`, or `Collected`."""

    def write(self, text: str) -> None:
        """Takes the next piece."""

    def finish(self) -> None:
        """The reply has ended."""


class Collected:
    """An answer that is kept and not shown: for --json, -x and --no-stream."""

    def write(self, text: str) -> None:
        """Takes a piece; the whole text comes with `Ended`."""

    def finish(self) -> None:
        """Nothing was held back."""


@dataclass(slots=True)
class Outcome:
    """How a turn went."""

    begun: Begun | None = None
    finished: Finished | None = None
    model: ModelInfo | None = None
    load_seconds: float = 0.0
    timed_out: bool = False
    notices: tuple[str, ...] = ()
    documents: Documents | None = None
    """Where a turn that asks for documents finds them."""
    retrieval: Retrieval | None = None
    sources: tuple[KeptSource, ...] = ()
    """What the answer was made from; where it abstained, what was nearest."""
    block_tokens: int = 0
    verified: Verified | None = None
    form_fault: str = ""
    """Why the answer has not the form that it was held to."""
    abstained: str = ""
    """The sentence in place of an answer, where the model was not asked."""
    polled: Polled | None = None
    """How a vote went."""
    logprobs: list[TokenLogprob] = field(default_factory=list)
    """Of the tokens, where they were asked for."""

    @property
    def text(self) -> str | None:
        """The whole answer; None where there is none."""
        return self.abstained or (self.finished.text if self.finished and self.model else None)


def talk(
    turn: Turn,
    engine: Engine,
    history: History,
    answer: Answer,
    console: Console,
    interrupts: Interrupts,
    timeout: float = 0.0,
    outcome: Outcome | None = None,
    thoughts: Thoughts | None = None,
) -> Outcome:
    """Runs a turn and shows it as it comes.

    Args:
        turn: The question.
        engine: Who answers.
        history: Where it is kept.
        answer: Where the text of the reply goes.
        console: Where progress and warnings go.
        interrupts: A signal stops the reply; its text is kept.
        timeout: Seconds after which the reply is stopped; 0 is never.
        outcome: Filled in as the turn goes, for a caller who wants what it has of one that failed.
        thoughts: Where what is thought before the answer goes; None tells all of it on stderr.

    Returns:
        The outcome.

    Raises:
        ClosedOutput: nobody reads the answer any more; the model was stopped.
        EngineError: see `turn.run`.
        RagError: see `turn.run`.
        UserError: see `turn.run`.
    """
    outcome, thoughts = outcome or Outcome(), thoughts or Thoughts(console)

    def stop() -> None:
        engine.cancel(turn.request_id)

    events_of = run(turn, engine, history, outcome.documents)
    with interrupts.watch(stop), _time_limit(timeout, stop, outcome), closing(events_of) as events:
        try:
            for event in events:
                if isinstance(answer, Answers):
                    answer.take(event)
                elif isinstance(event, Token) and event.thought:
                    thoughts.write(event.text, event.count)
                elif not isinstance(event, Waiting):
                    thoughts.finish()  # nothing else is written into the middle of one
                _show(event, outcome, answer, console)
                if not isinstance(event, Token):
                    _check_reader()
        except (EngineError, RagError):
            thoughts.finish()
            answer.finish()  # what came before the failure is kept on disk, and shown
            raise
    console.clear_status()
    answer.finish()
    return outcome


def ending_of(outcome: Outcome, interrupts: Interrupts, timeout: float, schema: str = "") -> int:
    """Returns the exit code of a turn that ran: 10 where it abstained.

    Raises:
        UserError: the time was up, or an answer has not the form that was asked for.
    """
    if interrupts.code:
        return interrupts.code
    if outcome.timed_out:
        raise UserError("the time was up", f"the answer was stopped after {timeout:g} s and is kept", "--timeout")
    if outcome.finished:
        check_form(outcome.finished, schema)
    return ABSTAINED if outcome.abstained else 0


def _check_reader() -> None:
    """Looks whether anybody still reads stdout: while nothing is written, nothing else would tell.

    Raises:
        ClosedOutput: the pipe is closed.
    """
    poll = select.poll()
    poll.register(1, 0)
    if any(state & (select.POLLERR | select.POLLNVAL | select.POLLHUP) for _, state in poll.poll(0)):
        raise ClosedOutput


@contextmanager
def _time_limit(seconds: float, stop: Callable[[], None], outcome: Outcome) -> Iterator[None]:
    def expire() -> None:
        outcome.timed_out = True
        stop()

    timer = threading.Timer(seconds, expire) if seconds else None
    if timer:
        timer.daemon = True
        timer.start()
    try:
        yield
    finally:
        if timer:
            timer.cancel()


def _show(event: TurnEvent, outcome: Outcome, answer: Answer, console: Console) -> None:
    match event:
        case Token() if isinstance(answer, Answers):
            console.status(answer.status)
        case Token(text):
            outcome.logprobs += event.logprobs
            if not event.thought:
                console.clear_status()
                answer.write(text)
        case Polled():
            outcome.polled = event
            console.status(progress_of(event))
        case Started(begun):
            outcome.begun = begun
        case Loading(fraction):
            console.status(f"loading the model {fraction:.0%}")
        case Loaded(model, seconds):
            outcome.model, outcome.load_seconds = model, seconds
            if model.n_ctx > model.n_ctx_train:
                console.warn(f"{model.name} was trained on {model.n_ctx_train:,} tokens; past them it may lose its way")
        case Queued(ahead):
            console.status(f"waiting for {ahead} other request{'s' * (ahead > 1)}")
        case Restored(tokens, seconds, _):
            console.status(f"restored {tokens:,} tokens in {seconds * 1000:,.0f} ms")
        case Searching():
            console.status("searching the documents")
        case Retrieved(found):
            outcome.retrieval = found
            if found.verdict == "weak":
                _warn(
                    f"the evidence is weak: the closest passage has a cosine of {found.best_cosine:.2f}",
                    outcome,
                    console,
                )
        case Reading(done, total, tokens, of_tokens):
            now = f" · reading {tokens:,} of {of_tokens:,} tokens" if tokens < of_tokens else ""
            console.status(f"read {done:,} of {total:,} parts of the documents{now}")
        case Grounded(sources, tokens, left_out):
            outcome.sources, outcome.block_tokens = sources, tokens
            if left_out:
                _warn(f"{left_out:,} passages had no room beside the question", outcome, console)
        case Abstained(_, _, sources):
            from llmchat_rag.context import UNKNOWN

            outcome.sources, outcome.abstained = sources, UNKNOWN
        case Checked(_, verified, sources):
            outcome.sources, outcome.verified = sources, verified
        case Summarising(tokens):
            console.status("summarising the oldest messages" + (f", {tokens:,} tokens" if tokens else ""))
        case LeftOut():
            _warn(_left_out(event), outcome, console)
        case Prefill(done, total, cached) if done < total:
            console.status(f"reading {done:,} of {total:,} tokens" + (f", {cached:,} were known" if cached else ""))
        case Notice(text):
            _warn(text, outcome, console)
        case Ended(begun, finished, used, fault):
            outcome.begun, outcome.finished, outcome.form_fault = begun, finished, fault
            if used and "context" in (finished.reason, *(answer.reason for answer in finished.answers)):
                context = f"the context of {used.n_ctx:,} tokens" if used.n_ctx else "the server's context"
                console.warn(f"the answer was cut: {context} is full")
        case Waiting() | Prefill() | Answered():
            pass


def _warn(text: str, outcome: Outcome, console: Console) -> None:
    """Tells that something was lost or replaced, now and in the outcome."""
    console.warn(text)
    outcome.notices = (*outcome.notices, text)


def _left_out(event: LeftOut) -> str:
    """Returns what the model does not see of the chat."""
    messages = "1 older message" if event.messages == 1 else f"{event.messages:,} older messages"
    verb = "is" if event.messages == 1 else "are"
    instead = "; a summary stands in their place" if event.summary else ""
    return f"{messages} ({event.tokens:,} tokens) {verb} not seen by the model any more{instead}"
