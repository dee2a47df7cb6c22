"""The way of a turn to its reply: does the chat fit, what becomes of it where it does not, and the engine's answer.

Asks the engine and yields what it tells; writes only through the reply it is given. The arithmetic is overflow.py's.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from llmchat_engine import (
    Answered,
    ContextFull,
    Engine,
    EngineError,
    Event,
    Finished,
    Loaded,
    Loading,
    Message,
    ModelInfo,
    Queued,
    Request,
    Sampling,
    Token,
    Waiting,
)
from llmchat_engine.events import Measured, nothing_generated
from llmchat_engine.prompting.chain_of_thought import reason
from llmchat_engine.prompting.few_shot import TEXT_STOP
from llmchat_engine.prompting.vote import Polled, vote
from llmchat_tui.composing import compose, examples, is_sent, summary_request
from llmchat_tui.events import LeftOut, Summarising, TurnEvent
from llmchat_tui.history import Begun, StoredMessage
from llmchat_tui.loops import out_of_circles
from llmchat_tui.overflow import (
    ChatFull,
    ContextOverflow,
    Plan,
    Seen,
    most_tokens,
    plan,
    reserve_of,
    seen_of,
    summary_room,
)

if TYPE_CHECKING:
    from llmchat_tui.grounding import Grounding
    from llmchat_tui.growing import GrowingReply
    from llmchat_tui.turn import Turn


class Course:
    """The way of one turn to its reply: what the model sees, whether that fits, and what becomes of it."""

    def __init__(self, turn: Turn, engine: Engine, grounding: Grounding | None = None) -> None:
        self._turn, self._engine, self._grounding = turn, engine, grounding
        self.seen = seen_of(turn.earlier, Seen(turn.left_out, turn.summary))
        self._model: ModelInfo | None = None
        self._plan: Plan | None = None
        self._stopped: Finished | None = None

    def look_ahead(self) -> Generator[TurnEvent, None, None]:
        """Waits for the model, and counts where the chat might not fit; a chat that begins has nothing to leave out.

        Documents wait for the model too: it counts what they take.
        """
        if not self._turn.earlier and not self._grounding:
            return
        request = self.request(Begun("", "", ""))
        with closing(self._engine.generate(request)) as events:  # closed at `Loaded`, before anything is run
            for event in events:
                if isinstance(event, Finished):
                    self._stopped = event
                    return
                yield event
                if isinstance(event, Loaded):
                    self._model = event.model
                    break
        if self._model and self._might_overflow(request, self._model):
            with suppress(EngineError):  # what cannot be counted is asked as it is, and fails with its own words
                self._plan = self._planned(self._engine.measure(request))

    def refuse(self) -> None:
        """Raises where the turn cannot go on without a choice of the user.

        Raises:
            ContextOverflow: older turns must leave.
            ContextFull: that would not help.
        """
        if self._plan:
            self._check_fit(self._plan)
            raise ContextOverflow(self._plan)

    def make_room(self) -> Generator[TurnEvent, None, None]:
        """Leaves out what has to leave, or puts a summary in its place.

        Raises:
            ContextFull: that would not help, or nothing shall leave.
        """
        found = self._plan
        if found is None:
            return
        self._check_fit(found)
        if self._turn.overflow == "stop":
            raise ChatFull(found)
        gone = self._turn.earlier[self.seen.left_out : found.left_out]
        summary = ""
        if self._summarises and found.prompt + summary_room(found.n_ctx) < found.n_ctx:
            summary = yield from self._summarise(gone, found.n_ctx)
            if self._stopped:
                return
        self.seen = Seen(found.left_out, summary or self.seen.summary)
        yield LeftOut(len(gone), found.frees, summary=bool(summary), left_out=found.left_out)

    def ground(self, reply: GrowingReply) -> Generator[TurnEvent, None, None]:
        """Puts what was found in the documents before the question.

        Raises:
            ContextFull: there is no room for it.
            RagError: the documents cannot be read.
        """
        if self._grounding and self._model and not self._stopped:
            yield from self._grounding.fill(reply, self._model, self.request(reply.begun))
            self._stopped = self._grounding.stopped

    def answer(self, reply: GrowingReply) -> Generator[TurnEvent, None, None]:
        """Has the model answer, and records its end."""
        reply.model = self._model
        prefill = self._turn.prefill
        with closing(self._events(reply.begun)) as events:
            for event in events:
                if prefill and isinstance(event, (Token, Finished)):  # no status of a front end comes behind it
                    yield from (Token(prefill, 0, number) for number in range(self._turn.answers))
                    prefill = ""
                if isinstance(event, Finished):
                    if draft := reply.draft_left(event):
                        yield Token(draft, 0)
                    yield reply.finish(event)
                elif isinstance(event, Answered):
                    yield reply.answered(event)
                elif isinstance(event, Polled):
                    reply.polled(event)
                    yield event
                else:
                    reply.see(event)
                    yield event

    def _events(self, begun: Begun) -> Generator[Event | Polled, None, None]:
        """Yields what the engine tells of the reply; that the model is loaded only once."""
        if self._stopped:
            yield self._stopped
            return
        with closing(self._asked(self.request(begun))) as events:
            for event in events:
                if self._model is None or not isinstance(event, (Loading, Loaded)):
                    yield event

    def _asked(self, request: Request) -> Generator[Event | Polled, None, None]:
        """Asks the model as the recipe says; a reply that goes on has its reasons behind it."""
        recipe = self._turn.recipe
        if recipe.votes and not self._turn.goes_on:
            return vote(self._engine, request, recipe.votes)
        if recipe.cot != "off" and not self._turn.goes_on and self._turn.answers == 1:
            return reason(self._engine, request)
        has_end = not self._grounding or self._grounding.grammar  # sentences that cite are few and short
        return self._engine.generate(request) if has_end else out_of_circles(self._engine, request)

    def request(self, begun: Begun) -> Request:
        """Returns what the engine is asked: the path with what was made room for, and how to answer."""
        turn, seen = self._turn, self.seen
        messages = path = self._path()
        recipe = replace(turn.recipe, schema="", grammar="") if turn.prefill else turn.recipe  # they would begin anew
        if self._grounding and self._grounding.prompt:
            messages = (*self._grounding.begins, Message("user", self._grounding.prompt), *self._begun())
        elif self._grounding and self._grounding.block:
            messages = self._path(self._grounding.block)
        return Request(
            messages,
            self._sampling,
            raw=turn.raw,
            private=turn.private,
            chat="" if turn.private else begun.conversation_id,
            store=turn.store and not turn.private,
            shared=0 if seen.summary else self._first,  # a summary begins no other chat
            shift=seen.left_out > 0,
            now=begun.created_at,
            answers=turn.answers,
            beams=turn.beams,
            length_penalty=turn.length_penalty,
            logprobs=turn.logprobs,
            grammar=recipe.grammar or (self._grounding.grammar if self._grounding else ""),
            schema=recipe.schema,
            think=turn.recipe.think,
            think_budget=turn.recipe.think_budget,
            keep_thoughts=turn.recipe.keep_thoughts,
            next_messages=() if messages is path else path,
            id=turn.request_id,
        )

    def _path(self, documents: str = "") -> tuple[Message, ...]:
        """Returns the path that the model is given, with the documents before the newest question."""
        turn, seen = self._turn, self.seen
        messages = compose(
            turn.system,
            turn.earlier,
            turn.asks,
            left_out=seen.left_out,
            summary=seen.summary,
            documents=documents,
            recipe=turn.recipe,
            raw=turn.raw,
        )
        return (*messages, *self._begun())

    @property
    def _first(self) -> int:
        """How many messages stand before the chat: the system prompt, or a summary in it, and the examples."""
        turn = self._turn
        return int(bool(turn.system or self.seen.summary)) + len(examples(turn.recipe, turn.raw))

    def _begun(self) -> tuple[Message, ...]:
        """Returns what the reply begins with, as the message that it goes on."""
        turn = self._turn
        if not turn.goes_on:
            return ()
        return (Message("assistant", turn.prefill, turn.prefill_ids, turn.prefill_key, turn.prefill_thought_tokens),)

    @property
    def _sampling(self) -> Sampling:
        """The turn's; from documents the likeliest words are taken, where nothing else was asked for.

        A reply that writes their fence has ended: what comes behind it is no answer.
        """
        sampling, grounding = self._turn.sampling, self._grounding
        if self._turn.raw and self._turn.recipe.shots:
            sampling = replace(sampling, stop=(*sampling.stop, *TEXT_STOP))
        if grounding is None:
            return sampling
        temperature = 0.0 if sampling.temperature is None else sampling.temperature
        return replace(sampling, temperature=temperature, stop=(*sampling.stop, *grounding.fence))

    def _might_overflow(self, request: Request, model: ModelInfo) -> bool:
        """Returns whether counting is worth its milliseconds; the other half of the context is for the template."""
        if not model.n_ctx:  # a server that does not tell how much it holds says so itself when it is too much
            return False
        if self._grounding and self._turn.earlier:
            return True
        return self.seen.left_out > 0 or most_tokens(request.messages, model.key) > model.n_ctx // 2

    def _planned(self, measured: Measured) -> Plan | None:
        """Returns which turns must leave, from the tokens of each message."""
        turn, seen = self._turn, self.seen
        if not measured.n_ctx:
            return None
        counts = iter(measured.messages[self._first :])
        turns: list[int] = []
        for stored in turn.earlier[seen.left_out :]:
            tokens = next(counts) if is_sent(stored) else 0
            if stored.role == "user":
                turns.append(tokens)
            else:
                turns[-1] += tokens
        least = 0
        if self._grounding and self._model:
            least = self._grounding.least(self._model, measured.total - sum(turns))
        return plan(
            turns,
            sum(counts) + measured.after + least,
            measured.total + least,
            n_ctx=measured.n_ctx,
            reserve=reserve_of(turn.sampling.max_tokens, measured.n_ctx),
            left_out=seen.left_out,
            extra=summary_room(measured.n_ctx) if self._summarises else 0,
        )

    def _check_fit(self, found: Plan) -> None:
        if not found.fits:
            raise ContextFull(found.prompt, found.n_ctx, self._model.n_ctx_train if self._model else 0)

    @property
    def has_model(self) -> bool:
        """Whether the model was loaded."""
        return self._model is not None

    @property
    def _summarises(self) -> bool:
        """Whether a summary is wanted and can be had: a model without a chat template follows no instruction."""
        return self._turn.overflow == "summarize" and not self._turn.raw

    def _summarise(self, gone: Sequence[StoredMessage], n_ctx: int) -> Generator[TurnEvent, None, str]:
        """Has the model summarise turns; returns nothing where they are too long even for that."""
        request = summary_request(gone, self.seen.summary, n_ctx, self._turn.request_id)
        tokens = 0
        yield Summarising()
        with suppress(ContextFull), closing(self._engine.generate(request)) as events:
            for event in events:
                if isinstance(event, Token):
                    tokens += event.count
                    yield Summarising(tokens)
                elif isinstance(event, (Waiting, Queued)):
                    yield event
                elif isinstance(event, Finished) and event.reason != "cancelled":
                    return event.text.strip()
                elif isinstance(event, Finished):
                    self._stopped = nothing_generated(request)
        return ""
