"""Several replies to one question that grow side by side, each in a row of its own.

Each is a `GrowingReply`; what is told goes to the one that it is about. Knows no engine process and no screen.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

from llmchat_engine import Answered, Event, Finished, Loaded, Request, Sampling, Token
from llmchat_engine.events import nothing_generated
from llmchat_tui.drafts import part_of
from llmchat_tui.errors import StorageError
from llmchat_tui.events import Ended
from llmchat_tui.growing import Beginning, GrowingReply, stats_of
from llmchat_tui.history import Begun, History, ReplyStatus
from llmchat_tui.overflow import Seen


class GrowingReplies(GrowingReply):
    """What a turn takes for one growing reply, and is several; they have no documents."""

    def __init__(
        self, begun: Begun, history: History, beginning: Beginning, settings: dict[str, Any], sampling: Sampling
    ) -> None:
        """Begins all of them.

        Args:
            begun: their rows.
            history: where they are kept.
            beginning: what each begins with.
            settings: what is known of how they are made.
            sampling: what was asked for; the model's own part of it comes with the end of all.
        """
        super().__init__(begun, history, beginning, settings)
        self._sampling = sampling
        self._each = [
            GrowingReply(replace(begun, reply_id=reply_id, others=()), history, beginning, dict(settings))
            for reply_id in begun.reply_ids
        ]

    def saw(self, seen: Seen) -> None:
        """Keeps what the model sees of the path, with each of them."""
        for part in self._each:
            part.saw(seen)

    def see(self, event: Event) -> None:
        """Takes what concerns one of them, or all."""
        if isinstance(event, Loaded):
            self.model = event.model  # of those that have ended too
        for number, part in enumerate(self._each):
            if not isinstance(event, Token) or event.answer == number:
                part.take(event)
            part.save_when_due()

    def finish(self, finished: Finished) -> Ended:
        """Records how each ended; nothing is left of those that were stopped before they had a word."""
        parts = [self._finish(number, part_of(finished, number)) for number in range(len(self._each))]
        self._withdraw()
        answers = tuple(
            replace(answer, text=part.text, token_ids=part.token_ids)
            for answer, part in zip(finished.answers, parts, strict=False)
        )
        whole = replace(finished, text=parts[0].text, token_ids=parts[0].token_ids, answers=answers)
        others = tuple("" if reply.is_withdrawn else reply.begun.reply_id for reply in self._each[1:])
        self.ended = Ended(replace(self.begun, others=others), whole, self.model)
        return self.ended

    def end(self, status: ReplyStatus, error: str = "") -> None:
        """Records those that have not ended, with the text that had come."""
        self._withdraw()
        for part in self._each:
            part.end(status, error)

    def answered(self, event: Answered) -> Answered:
        """Records the end of one at once: what happens to the others does not reach it. Returns it as a whole."""
        answer, part = event.answer, self._each[event.index]
        sampling = self._sampling if answer.seed is None else replace(self._sampling, seed=answer.seed)
        alone = replace(
            nothing_generated(Request((), sampling)),
            reason=answer.reason,
            text=answer.text,
            token_ids=answer.token_ids,
            reply_tokens=answer.tokens,
            thought=answer.thought,
            thought_tokens=answer.thought_tokens,
        )
        text = part.beginning.text + answer.text
        if text:
            part.model = self.model
            with suppress(StorageError):  # `finish` tries again, and tells if it cannot
                part.finish(alone)
        return replace(event, answer=replace(answer, text=text))

    def _finish(self, number: int, finished: Finished) -> Finished:
        """Records one that has not ended; of one that has, what is known only now. Returns it as a whole."""
        part = self._each[number]
        part.model = self.model
        if part.ended is None and number and finished.reason == "cancelled" and part.is_empty:
            return finished
        if part.ended is None:
            return part.finish(finished).finished
        with suppress(StorageError):  # text and ids are kept, only numbers are missing
            patch = {"sampling": asdict(finished.sampling)}
            self.history.annotate(part.begun.reply_id, patch, stats_of(finished))
        return replace(finished, text=part.ended.finished.text, token_ids=part.ended.finished.token_ids)

    def _withdraw(self) -> None:
        """Takes back those that did not end and in which nothing was said; the first stays, as the question's reply."""
        empty = [part for part in self._each[1:] if part.is_empty and not part.is_withdrawn and part.ended is None]
        if not empty:
            return
        with suppress(StorageError):  # then they stay, as empty ones
            self.history.withdraw([part.begun.reply_id for part in empty])
            for part in empty:
                part.is_withdrawn = True
