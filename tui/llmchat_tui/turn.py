"""One chat turn, headless, for both front ends: the question to disk, the engine, the reply to disk.

The only owner of a reply's text while it grows. Knows no screen, no flags and no SQL. Whatever ends a turn (the model,
the user, a crash, an exception in the consumer) the reply is recorded with how it ended.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from llmchat_engine import Engine, EngineError, Event, Finished, Loaded, Message, ModelInfo, Request, Sampling, Token
from llmchat_engine.types import new_request_id
from llmchat_tui.errors import StorageError
from llmchat_tui.events import Ended, Started, TurnEvent
from llmchat_tui.history import Begun, History, ReplyEnd, ReplyStatus, StoredMessage

CHECKPOINT_INTERVAL = 0.4
"""Seconds between two checkpoints of a growing reply. A crash may cost half a second of text; the engine ticks every
tenth of a second even when nothing comes."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A question, and what it follows."""

    question: str
    earlier: tuple[StoredMessage, ...] = ()
    """The path of messages that the question follows, oldest first."""
    conversation_id: str = ""
    """The chat to record it in, behind the last of `earlier`; empty begins a new chat."""
    question_id: str = ""
    """A question that is on disk already and gets one more reply; empty records `question` as a new one."""
    title: str = ""
    """Of a new chat; empty takes the first line of the question."""
    system: str = ""
    sampling: Sampling = field(default_factory=Sampling)
    own_sampling: Mapping[str, Any] = field(default_factory=dict)
    """What a new chat keeps as its own sampling, by name."""
    raw: bool = False
    private: bool = False
    """Drop the sequence from the engine's cache afterwards."""
    request_id: str = field(default_factory=new_request_id)
    """What `Engine.cancel` takes to stop this turn."""


def run(turn: Turn, engine: Engine, history: History) -> Generator[TurnEvent, None, None]:
    """Runs a turn. Closing the iterator stops the model and records the reply as stopped.

    Raises:
        EngineError: after the partial reply has been recorded as failed.
        StorageError: the question could not be recorded (then nothing was asked), or the reply could not.
    """
    engine.prepare()  # the host starts while the question goes to disk
    begun = _record_question(turn, history)
    messages = compose(turn.system, turn.earlier, turn.question)
    request = Request(messages, turn.sampling, raw=turn.raw, private=turn.private, id=turn.request_id)
    reply = _GrowingReply(turn, begun, history)
    try:
        yield Started(begun)
        with closing(engine.generate(request)) as events:
            for event in events:
                if isinstance(event, Finished):
                    yield reply.finish(event)
                else:
                    reply.see(event)
                    yield event
    except EngineError as error:
        reply.end("failed", str(error))
        raise
    finally:
        reply.end("stopped")


def _record_question(turn: Turn, history: History) -> Begun:
    if turn.question_id:
        return history.begin_reply(turn.question_id)
    parent = turn.earlier[-1].id if turn.conversation_id and turn.earlier else ""
    return history.begin(
        turn.question,
        conversation_id=turn.conversation_id,
        parent_id=parent,
        system=turn.system,
        title=turn.title,
        sampling=turn.own_sampling,
    )


def compose(system: str, earlier: Sequence[StoredMessage], question: str) -> tuple[Message, ...]:
    """Returns the path of messages that the model is given; replies carry their own ids."""
    first = (Message("system", system),) if system else ()
    path = (
        Message(stored.role, stored.text, stored.token_ids, stored.model_key)
        for stored in earlier
        if stored.role == "user" or stored.text
    )
    return (*first, *path, Message("user", question))


class _GrowingReply:
    """The text of a reply, its checkpoints and its end, which is recorded once."""

    def __init__(self, turn: Turn, begun: Begun, history: History) -> None:
        self._turn, self._begun, self._history = turn, begun, history
        self._parts: list[str] = []
        self._saved_parts = 0
        self._saved_at = time.monotonic()
        self._model: ModelInfo | None = None
        self._ended = False

    def see(self, event: Event) -> None:
        """Takes what concerns the reply, and checkpoints when it is time."""
        if isinstance(event, Token):
            self._parts.append(event.text)
        elif isinstance(event, Loaded):
            self._model = event.model
        now = time.monotonic()
        if len(self._parts) > self._saved_parts and now - self._saved_at >= CHECKPOINT_INTERVAL:
            self._saved_parts, self._saved_at = len(self._parts), now
            # A checkpoint that fails must not end the answer: `finish` writes it whole, and tells if it cannot.
            with suppress(StorageError):
                self._history.checkpoint(self._begun.reply_id, "".join(self._parts))

    def finish(self, finished: Finished) -> Ended:
        """Records a reply that the engine ended."""
        status: ReplyStatus = "stopped" if finished.reason == "cancelled" else "complete"
        end = ReplyEnd(
            text=finished.text,
            status=status,
            token_ids=finished.token_ids,
            model_key=self._model.key if self._model else "",
            settings=_settings(self._turn, self._model, finished) if self._model else {},
            stats=stats_of(finished),
        )
        self._history.finish(self._begun.reply_id, end)
        self._ended = True
        return Ended(self._begun, finished, self._model)

    def end(self, status: ReplyStatus, error: str = "") -> None:
        """Records a reply that ended in any other way, with the text that had come. Does nothing a second time."""
        if not self._ended:
            self._ended = True
            self._history.finish(self._begun.reply_id, ReplyEnd("".join(self._parts), status, error=error))


def _settings(turn: Turn, model: ModelInfo, finished: Finished) -> dict[str, Any]:
    """Returns what it takes to play the reply again."""
    return {
        "system": turn.system,
        "raw": turn.raw,
        "model": model.name,
        "model_key": model.key,
        "template_key": model.template_key,
        "n_ctx": model.n_ctx,
        "sampling": asdict(finished.sampling),
        "build": model.build,
    }


def stats_of(finished: Finished) -> dict[str, Any]:
    """Returns what is kept of how a reply went: counts in tokens, times in seconds."""
    return {
        "reason": finished.reason,
        "prompt_tokens": finished.prompt_tokens,
        "cached_tokens": finished.cached_tokens,
        "prefilled_tokens": finished.prefilled_tokens,
        "reply_tokens": finished.reply_tokens,
        "time_to_first_token": round(finished.time_to_first_token, 4),
        "tokens_per_second": round(finished.tokens_per_second, 2),
    }
