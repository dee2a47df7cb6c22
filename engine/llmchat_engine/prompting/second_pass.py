"""The short second pass: it goes on behind a model's reasoning, from the same cached prefix, and draws the answer.

Runs on any `Engine`; knows no vote and no screen. What it leaves for others to decide is what becomes of its answer.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

from llmchat_engine.answers import Answer
from llmchat_engine.engine import Engine
from llmchat_engine.errors import ContextFull, RequestInvalid
from llmchat_engine.events import Event, Finished, Queued, Token, Waiting, nothing_generated
from llmchat_engine.prompting.few_shot import ANSWER
from llmchat_engine.types import Message, Request, Sampling, new_request_id

MARK = f"\n{ANSWER}"
"""What worked examples write between their reasoning and their answer."""
THEREFORE = "\n\nTherefore, the answer is:"
"""What asks for an answer where no example has shown a mark (Kojima et al. 2022). Without the colon nine of 28 answers
of SmolLM2 began with one, and one was nothing else."""
ANSWER_TOKENS = 64
"""The longest answer of one line."""
ONE_LINE = 'root ::= " "? [^ \\t\\r\\n] [^\\r\\n]* "\\n"?'
"""An answer that is not empty and ends with its line. A grammar and no stop word: a model that begins with a line break
would be stopped before its first word, and a stop word that cuts a token in half leaves no exact ids."""


class SecondPass:
    """The pass behind one reasoning."""

    def __init__(
        self,
        engine: Engine,
        request: Request,
        model_key: str,
        said: Answer | Finished,
        *,
        wrote_mark: bool = False,
    ) -> None:
        """Prepares it.

        Args:
            engine: who answers.
            request: what was asked; its schema or grammar holds the answer.
            model_key: the model that reasoned.
            said: the reasoning.
            wrote_mark: whether it ended because the model wrote the mark: then its answer may have several lines.
        """
        self.is_held = is_held(request)
        bridge = MARK if wrote_mark or shows_mark(request) else THEREFORE
        known, bridged = exact_ids(said), _ids_of(engine, bridge)
        reasoned = known or _ids_of(engine, said.text)
        self.before = (*reasoned, *bridged)
        """The ids that stand before the answer: what was reasoned, and the bridge."""
        begun = Message("assistant", said.text + bridge, self.before, model_key, said.thought_tokens if known else 0)
        self.request = _continued(request, begun, one_line=not (wrote_mark or self.is_held))
        self.end = nothing_generated(self.request)
        self.had_room = True
        """False where the reasoning left no room for an answer."""
        self._engine, self._unwritten = engine, 0 if wrote_mark else len(bridged)

    def events(self) -> Generator[Event, None, None]:
        """Yields the answer as it comes, without blanks around it; `end` is how it ended."""
        blanks, queued = _Blanks(), Queued(0)
        try:
            with closing(self._engine.generate(self.request)) as events:
                for event in events:
                    if isinstance(event, Token):
                        yield replace(event, text=blanks.trimmed(event.text))
                    elif isinstance(event, Queued):
                        queued = event  # the first pass may be what is ahead: told where it lasts
                    elif isinstance(event, Waiting):
                        if queued.ahead:
                            yield queued
                        queued = Queued(0)
                        yield event
                    elif isinstance(event, Finished):
                        self.end = event
        except ContextFull:
            self.had_room = False

    @property
    def is_complete(self) -> bool:
        """False where a schema or a grammar was to hold the answer, and it ended before that allowed an end."""
        return (self.had_room and self.end.complete) or not self.is_held

    @property
    def thought_tokens(self) -> int:
        """How many of `token_ids` stand before the answer, with what closes a thought that was cut off."""
        return len(self.before) + self.end.thought_tokens

    @property
    def token_ids(self) -> tuple[int, ...]:
        """The ids of the whole reply; none where those of the answer are not known."""
        known = self.end.token_ids or not self.end.reply_tokens
        return (*self.before, *self.end.token_ids) if known else ()

    def added_to(self, first: Finished) -> Finished:
        """Returns the end of a first pass with the counts and seconds of this one; the bridge counts as generated."""
        second = self.end
        written = first.reply_tokens + second.reply_tokens
        inside = first.decode_ms * first.reply_tokens + second.decode_ms * second.reply_tokens
        return replace(
            first,
            prefilled_tokens=first.prefilled_tokens + second.prefilled_tokens,
            reply_tokens=written + self._unwritten,
            prefill_seconds=first.prefill_seconds + second.prefill_seconds,
            decode_seconds=first.decode_seconds + second.decode_seconds,
            decode_ms=inside / written if written else 0.0,
        )


@contextmanager
def kept_between(engine: Engine, request: Request) -> Iterator[Request]:
    """Yields a request whose passes find each other's cache: a private one is a chat that is forgotten at the end."""
    if not request.private:
        yield request
        return
    chat = new_request_id()
    try:
        yield replace(request, private=False, store=False, chat=chat)
    finally:
        engine.forget(chat)


def shows_mark(request: Request) -> bool:
    """Returns whether the examples of a request have shown the mark before an answer."""
    return any(MARK in message.text for message in request.messages)


def is_held(request: Request) -> bool:
    """Returns whether a schema or a grammar says what the answer is to be."""
    return bool(request.schema or request.grammar)


def exact_ids(said: Answer | Finished) -> tuple[int, ...]:
    """Returns the ids of what was said without the one that ended it."""
    return said.token_ids[:-1] if said.reason == "eog" else said.token_ids


def _ids_of(engine: Engine, text: str) -> tuple[int, ...]:
    """Returns the ids of a text; none where they have no meaning: a server goes on from the text itself."""
    try:
        return engine.tokenize(text)
    except RequestInvalid:
        return ()


def _continued(request: Request, begun: Message, *, one_line: bool) -> Request:
    """Returns the request of the answer. The host is told whether the next turn will have the reasoning."""
    return replace(
        request,
        messages=(*request.messages, begun),
        next_messages=request.next_messages or (() if request.keep_thoughts else request.messages),
        sampling=_answering(request.sampling, len(begun.token_ids), one_line),
        grammar=ONE_LINE if one_line else request.grammar,
        think_budget=0,  # a thought that the most tokens have cut off would go on in place of the answer
        answers=1,
        beams=0,
    )


def _answering(asked: Sampling, used: int, one_line: bool) -> Sampling:
    """Returns how the answer is drawn: a line is read off the reasoning, which leaves nothing to chance."""
    if one_line:
        return replace(asked, temperature=0.0, max_tokens=ANSWER_TOKENS)
    left = None if asked.max_tokens is None else max(ANSWER_TOKENS, asked.max_tokens - used)
    return replace(asked, max_tokens=left)


class _Blanks:
    """Takes the blanks around a text away while it comes."""

    def __init__(self) -> None:
        self._began, self._held = False, ""

    def trimmed(self, text: str) -> str:
        """Returns what may be shown now: blanks wait for what comes behind them."""
        text = self._held + text if self._began else text.lstrip()
        self._began = self._began or bool(text)
        shown = text.rstrip()
        self._held = text[len(shown) :]
        return shown
