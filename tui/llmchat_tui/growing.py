"""The only owner of a reply's text while it grows: its checkpoints, and its end, which is recorded once.

Knows no engine process and no screen; what a reply's row holds is decided here.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from llmchat_engine import Answered, Event, Finished, Loaded, ModelInfo, Sampling, Token
from llmchat_engine.prompting.vote import Polled
from llmchat_tui.errors import StorageError
from llmchat_tui.events import Ended
from llmchat_tui.history import Begun, History, ReplyEnd, ReplyStatus
from llmchat_tui.overflow import Seen
from llmchat_tui.recipe import recipe_of

if TYPE_CHECKING:
    from llmchat_tui.sources import KeptSource

CHECKPOINT_INTERVAL = 0.4
"""Seconds between two checkpoints of a growing reply. A crash may cost half a second of text; the engine ticks every
tenth of a second even when nothing comes."""
MOST_SOURCES = 40
"""That are kept whether a reply cites them or not; whole documents have thousands."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a reply begins with before the model says a word."""

    text: str = ""
    token_ids: tuple[int, ...] = ()
    """The ids of the text, where a model wrote it; without the one that ended it."""
    model_key: str = ""
    """The model that wrote it."""
    thought: str = ""
    """What was thought before it; its ids are among `token_ids`."""
    thought_tokens: int = 0
    thought_seconds: float = 0.0


@dataclass(slots=True)
class GrowingReply:
    """A reply that has a row on disk and no end yet."""

    begun: Begun
    history: History
    beginning: Beginning = field(default_factory=Beginning)
    settings: dict[str, Any] = field(default_factory=dict)
    """What is known of how it is made, whatever the model says."""
    model: ModelInfo | None = None
    _parts: list[str] = field(init=False)
    _thoughts: list[str] = field(init=False)
    _draft: str = ""
    """What stands in its place where not a word of it comes."""
    _saved_parts: int = 2
    _saved_at: float = field(default_factory=time.monotonic)
    ended: Ended | None = None
    """How the engine ended it; None before, and where it ended in another way."""
    is_withdrawn: bool = False
    """Whether its row was taken back, which is done where nothing was said in it."""
    _ended: bool = False
    _sources: tuple[KeptSource, ...] = ()

    def __post_init__(self) -> None:
        """Begins with what its row holds already."""
        self._parts, self._thoughts = [self.beginning.text], [self.beginning.thought]

    def saw(self, seen: Seen) -> None:
        """Keeps what the model sees of the path: the next turn goes on from there, also if this one is killed."""
        if seen.left_out:
            self.settings |= {"left_out": seen.left_out, "summary": seen.summary}
            with suppress(StorageError):  # `finish` writes it again, and tells if it cannot
                self.history.checkpoint(self.begun.reply_id, self._text, self.settings)

    def cite(self, sources: Sequence[KeptSource]) -> None:
        """Keeps what the numbers in it mean, also if the turn is killed."""
        from llmchat_tui.sources import packed_sources

        self._sources = tuple(sources)
        if len(sources) <= MOST_SOURCES:
            self.settings |= packed_sources(sources)
            with suppress(StorageError):  # `finish` writes it again, and tells if it cannot
                self.history.checkpoint(self.begun.reply_id, self._text, self.settings)

    def drafted(self, text: str, sources: Sequence[KeptSource]) -> None:
        """Keeps what is known before the reply begins: it is the reply where that never comes.

        Args:
            text: so far.
            sources: what the numbers in it mean.
        """
        from llmchat_tui.sources import packed_sources

        self._draft, self._sources = text, tuple(sources)
        self.settings |= packed_sources(self.kept(text))
        with suppress(StorageError):  # a later one writes it again
            self.history.checkpoint(self.begun.reply_id, self._text, self.settings)

    def draft_left(self, finished: Finished) -> str:
        """Returns the draft where the reply was stopped before it had a word."""
        return self._draft if finished.reason == "cancelled" and not finished.text and not self.beginning.text else ""

    def kept(self, text: str) -> tuple[KeptSource, ...]:
        """Returns the sources that are kept with a reply: of whole documents only those that it cites."""
        if len(self._sources) <= MOST_SOURCES:
            return self._sources
        from llmchat_rag.cite import citations, cited

        named = set(cited(citations(text)))
        return tuple(source for source in self._sources if source.n in named)

    def abstain(self, sentence: str, best_cosine: float) -> None:
        """Records the sentence that stands in place of a reply of the model."""
        stats = {"reason": "abstained", "best_cosine": round(best_cosine, 4)}
        self._ended = True
        self.history.finish(self.begun.reply_id, ReplyEnd(sentence, "complete", settings=self.settings, stats=stats))

    def see(self, event: Event) -> None:
        """Takes what concerns the reply, and checkpoints when it is time."""
        self.take(event)
        self.save_when_due()

    def answered(self, event: Answered) -> Answered:
        """Takes the end of one of several replies; returns it with what each begins with."""
        return event

    def take(self, event: Event) -> None:
        """Takes what concerns the reply."""
        if isinstance(event, Token):
            (self._thoughts if event.thought else self._parts).append(event.text)
        elif isinstance(event, Loaded):
            self.model = event.model

    def polled(self, event: Polled) -> None:
        """Keeps the chains of thought that have ended, also if the turn is killed."""
        self.settings["votes"] = packed_vote(event)
        with suppress(StorageError):  # `finish` writes it again, and tells if it cannot
            self.history.checkpoint(self.begun.reply_id, self._text, self.settings)

    def save_when_due(self) -> None:
        """Checkpoints when it is time."""
        now, parts = time.monotonic(), len(self._parts) + len(self._thoughts)
        if parts > self._saved_parts and now - self._saved_at >= CHECKPOINT_INTERVAL:
            self._saved_parts, self._saved_at = parts, now
            thinks = len(self._thoughts) > 1 and len(self._parts) == 1
            # A checkpoint that fails must not end the answer: `finish` writes it whole, and tells if it cannot.
            with suppress(StorageError):
                self.history.checkpoint(self.begun.reply_id, self._text, self._told() if thinks else None)

    def finish(self, finished: Finished) -> Ended:
        """Records a reply that the engine ended."""
        status: ReplyStatus = "stopped" if finished.reason == "cancelled" else "complete"
        text = self.draft_left(finished) or self.beginning.text + finished.text
        whole = replace(finished, text=text, token_ids=self._ids(finished), **self._thought_of(finished))
        if self._sources:
            from llmchat_tui.sources import packed_sources

            self.settings |= packed_sources(self.kept(whole.text))
        fault = self._form_fault(whole)
        end = ReplyEnd(
            text=whole.text,
            status=status,
            token_ids=whole.token_ids,
            model_key=self.model.key if self.model else "",
            settings=self.settings
            | _kept_thought(whole.thought, whole.thought_tokens if whole.token_ids else 0, whole.thought_seconds)
            | (_played(self.model, finished.sampling) if self.model else {}),
            stats=stats_of(finished) | ({"form_fault": fault} if fault else {}),
        )
        self.history.finish(self.begun.reply_id, end)
        self._ended = True
        self.ended = Ended(self.begun, whole, self.model, fault)
        return self.ended

    def end(self, status: ReplyStatus, error: str = "") -> None:
        """Records a reply that ended in any other way, with the text that had come. Does nothing a second time."""
        if not self._ended and not self.is_withdrawn:
            self._ended = True
            end = ReplyEnd(self._text, status, settings=self._told(), error=error)
            self.history.finish(self.begun.reply_id, end)

    @property
    def is_empty(self) -> bool:
        """Whether not a word of it has come, and none was thought."""
        return not self._text and not any(self._thoughts)

    def _form_fault(self, whole: Finished) -> str:
        """Returns why the reply has not the form that its recipe holds it to."""
        schema = recipe_of(self.settings.get("recipe", {})).schema
        if whole.complete and not schema:
            return ""
        from llmchat_tui.schemas.checking import (
            form_fault,  # jsonschema takes 60 ms, which other replies need not wait for
        )

        return form_fault(whole, schema)

    def _told(self) -> dict[str, Any]:
        """Returns the settings with what was thought so far."""
        return self.settings | _kept_thought("".join(self._thoughts), 0, 0.0)

    def _thought_of(self, finished: Finished) -> dict[str, Any]:
        """Returns the thought of the whole reply: a reply that goes on has thought before."""
        before = self.beginning
        if not before.thought:
            return {}
        return {
            "thought": before.thought + finished.thought,
            "thought_tokens": before.thought_tokens + finished.thought_tokens,
            "thought_seconds": before.thought_seconds + finished.thought_seconds,
        }

    @property
    def _text(self) -> str:
        return "".join(self._parts) or self._draft

    def _ids(self, finished: Finished) -> tuple[int, ...]:
        """Returns the ids of the whole reply; none where those of a part are not known."""
        beginning = self.beginning
        if not (beginning.text or beginning.token_ids):
            return finished.token_ids
        written_here = self.model is not None and beginning.model_key == self.model.key and beginning.token_ids
        new_are_known = finished.token_ids or not finished.text
        return (*beginning.token_ids, *finished.token_ids) if written_here and new_are_known else ()


def _kept_thought(text: str, tokens: int, seconds: float) -> dict[str, Any]:
    """Returns what is kept of a thought; nothing where there was none."""
    return {"thought": {"text": text, "tokens": tokens, "seconds": round(seconds, 2)}} if text or tokens else {}


def packed_vote(polled: Polled) -> dict[str, Any]:
    """Returns how a vote went, as JSON values."""
    return {
        "tally": [list(pair) for pair in polled.tally],
        "total": polled.total,
        "chains": [asdict(chain) for chain in polled.chains],
    }


def _played(model: ModelInfo, sampling: Sampling) -> dict[str, Any]:
    """Returns what it takes of the model to play the reply again."""
    return {
        "model": model.name,
        "model_key": model.key,
        "template_key": model.template_key,
        "n_ctx": model.n_ctx,
        "sampling": asdict(sampling),
        "build": model.build,
        **({"remote": model.remote} if model.remote else {}),
    }


def stats_of(finished: Finished) -> dict[str, Any]:
    """Returns what is kept of how a reply went: counts in tokens, times in seconds; only what happened."""
    stats: dict[str, Any] = {
        "reason": finished.reason,
        "prompt_tokens": finished.prompt_tokens,
        "cached_tokens": finished.cached_tokens,
        "prefilled_tokens": finished.prefilled_tokens,
        "reply_tokens": finished.reply_tokens,
        "time_to_first_token": round(finished.time_to_first_token, 4),
        "tokens_per_second": round(finished.tokens_per_second, 2),
    }
    if finished.restored:
        stats |= {
            "restored_tokens": finished.restored.tokens,
            "restored_seconds": round(finished.restored.seconds, 4),
        }
    if finished.shifted_tokens:
        stats["shifted_tokens"] = finished.shifted_tokens
    if finished.recomputed:
        stats["recomputed"] = finished.recomputed
    return stats
