"""What a turn does with the documents: search, gate, the block in its room, whole documents by parts, the check.

Asks the engine only about parts of whole documents and for counts; writes only the verdicts.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from llmchat_engine import ContextFull, Engine, Finished, Message, ModelInfo, Prefill, Queued, Request, Token, Waiting
from llmchat_engine.events import nothing_generated
from llmchat_tui.composing import part_request, part_tokens
from llmchat_tui.counting import context_of, token_count
from llmchat_tui.errors import NotFound, StorageError
from llmchat_tui.events import Abstained, Checked, Grounded, Reading, Retrieved, Searching, TurnEvent
from llmchat_tui.loops import out_of_circles
from llmchat_tui.overflow import reserve_of
from llmchat_tui.searching import Search
from llmchat_tui.sources import kept_source, kept_sources, packed_verdicts
from llmchat_tui.thoughts import without_thoughts

if TYPE_CHECKING:
    from llmchat_rag.context import ContextBlock, Source
    from llmchat_rag.map_reduce import Step
    from llmchat_tui.documents import Asked, Documents, Retrieval
    from llmchat_tui.growing import GrowingReply
    from llmchat_tui.turn import Turn

MOST_OF_CONTEXT = 0.45
"""The part of the context that a block may take."""
MOST_TOKENS = 2500
"""A longer block makes a small model lose the question, and takes long to read."""
LEAST_TOKENS = 400
"""Two passages: turns leave a full context before a block gets smaller than this."""
PART_TOKENS = 4096
"""Of a whole document that are read at once, with what is asked of them."""
_EARLIER = 3
"""Questions before the one that is asked, as far back as one can lean."""


class Grounding:
    """The documents' part of one turn."""

    def __init__(self, turn: Turn, asked: Asked, engine: Engine, documents: Documents) -> None:
        self._turn, self._asked, self._engine, self._documents = turn, asked, engine, documents
        self._retrieval: Retrieval | None = None
        self._model: ModelInfo | None = None
        self._sources: tuple[Source, ...] = ()
        self._checked = False
        self.block = ""
        """What stands before the question, in its message."""
        self.prompt = ""
        """What is asked in place of the path and the question, where that is about whole documents."""
        self.fence: tuple[str, ...] = ()
        """How the documents begin and end: an answer that writes one of them has ended."""
        self.stopped: Finished | None = None
        """The end of the turn, where it was stopped while parts were read."""

    @property
    def begins(self) -> tuple[Message, ...]:
        """What stands before the documents where they are asked about as a whole: the chat is not told again."""
        return (Message("system", self._turn.system),) if self._turn.system else ()

    @property
    def grammar(self) -> str:
        """What holds the reply to citations of the passages it is given; empty where that is not wanted."""
        return self._citing(self._sources, goes_on=self._turn.goes_on)

    @property
    def abstains(self) -> bool:
        """Whether the question is not worth the model's time; a reply that has begun goes on."""
        return bool(self._retrieval and self._retrieval.verdict == "abstain" and not self._turn.goes_on)

    def search(self, meanwhile: Generator[TurnEvent, None, None]) -> Generator[TurnEvent, None, None]:
        """Searches, and yields what happens meanwhile.

        Raises:
            RagError: the documents cannot be searched.
        """
        turn = self._turn
        if turn.cited:
            self._retrieval = self._documents.recalled(turn.cited)
            return
        earlier = [message.text for message in turn.earlier if message.role == "user"][-_EARLIER:]
        yield Searching()
        search = Search(self._documents, turn.question, self._asked, earlier, whole=not turn.raw)
        while not search.wait(0):
            event = next(meanwhile, None)
            if event is not None:
                yield event
            elif not search.wait():
                yield Waiting()
        self._retrieval = search.result()
        yield Retrieved(self._retrieval)

    def abstain(self, reply: GrowingReply) -> Generator[TurnEvent, None, None]:
        """Records the sentence for "not in the documents", and says it."""
        from llmchat_rag.context import UNKNOWN

        found = self._retrieval
        assert found is not None
        reply.abstain(UNKNOWN, found.best_cosine)
        nearest = tuple(kept_source(number, passage) for number, passage in enumerate(found.hits, 1))
        yield Token(UNKNOWN, 0)
        yield Abstained(reply.begun, found.best_cosine, nearest)

    def least(self, model: ModelInfo, alone: int) -> int:
        """Returns the tokens that are kept free for the block before turns leave.

        Args:
            model: the model.
            alone: the tokens of the prompt without the turns that can leave.
        """
        n_ctx = context_of(model.n_ctx)
        reserve = reserve_of(self._turn.sampling.max_tokens, n_ctx)
        return max(0, min(LEAST_TOKENS, int(MOST_OF_CONTEXT * n_ctx), n_ctx - reserve - alone))

    def fill(self, reply: GrowingReply, model: ModelInfo, request: Request) -> Generator[TurnEvent, None, None]:
        """Makes what the model is given of the documents.

        Args:
            reply: keeps the sources.
            model: the model.
            request: what it would be asked without them.

        Raises:
            ContextFull: there is no room for a passage.
            EngineError: nothing can be counted, or a part was not answered.
            RagError: the store cannot be read any more.
        """
        found, self._model = self._retrieval, model
        if found is None or not found.hits:
            return
        if found.whole is not None:
            yield from self._read_whole(reply, model, request, found)
            return
        block = self._block(found, model, request)
        self.block, self.fence = block.text, block.fence
        yield self._cite(reply, block.sources, block.tokens, block.left_out)

    def recall(self, model: ModelInfo, request: Request) -> None:
        """Makes the block again that a reply with the turn's sources was given; keeps nothing.

        Args:
            model: the model.
            request: what it would be asked without them.

        Raises:
            ContextFull: there is no room for a passage.
            EngineError: nothing can be counted.
        """
        self._model = model
        self.block = self._block(self._documents.recalled(self._turn.cited), model, request).text

    def _block(self, found: Retrieval, model: ModelInfo, request: Request) -> ContextBlock:
        """Returns what stands before the question, in the room that is left beside the path."""
        prompt = self._engine.measure(request).total
        n_ctx = context_of(model.n_ctx)
        room = n_ctx - prompt - reserve_of(request.sampling.max_tokens, n_ctx)
        budget = min(int(MOST_OF_CONTEXT * n_ctx), MOST_TOKENS, room)
        block = self._documents.block(found, self._count, budget)
        if not block.sources:
            raise ContextFull(prompt + LEAST_TOKENS, n_ctx, model.n_ctx_train)
        return block

    def check(self, reply: GrowingReply) -> Checked | None:
        """Compares a reply that ended with what it cites, and keeps the verdicts; does nothing a second time.

        Raises:
            RagError: the encoder cannot be used.
        """
        ended = reply.ended
        if self._checked or ended is None or ended.finished.reason == "cancelled" or not self._sources:
            return None
        self._checked = True
        kept = reply.kept(ended.finished.text)
        numbers = {source.n for source in kept}
        sources = [source for source in self._sources if source.number in numbers]
        verified = self._documents.check(without_thoughts(ended.finished.text), sources)
        # The answer is shown and on disk: that its marks cannot be kept is no failure of the turn.
        with suppress(StorageError, NotFound):
            reply.history.annotate(reply.begun.reply_id, packed_verdicts(verified))
        return Checked(reply.begun, verified, kept)

    def _read_whole(
        self, reply: GrowingReply, model: ModelInfo, request: Request, found: Retrieval
    ) -> Generator[TurnEvent, None, None]:
        """Has the model read all passages part by part; what puts the answers together becomes the prompt."""
        from llmchat_rag.map_reduce import map_reduce

        frame = self._engine.measure(Request((*self.begins, Message("user", "")))).total
        n_ctx = context_of(model.n_ctx)
        reply_tokens = max(reserve_of(request.sampling.max_tokens, n_ctx), part_tokens(n_ctx))
        room = n_ctx - frame - reply_tokens
        if room < LEAST_TOKENS:  # its passages would be cut to a few words each
            raise ContextFull(frame + reply_tokens + LEAST_TOKENS, n_ctx, model.n_ctx_train)
        steps = map_reduce(self._turn.question, found.hits, count=self._count, budget=min(room, PART_TOKENS))
        step = next(steps, None)
        notes: list[str] = []
        read: list[Source] = []
        while step is not None and not step.last:
            answer = yield from self._answer_part(step, n_ctx)
            if self.stopped:
                return
            if step.part and answer:
                notes, read = [*notes, answer], [*read, *step.sources]
                reply.drafted("\n\n".join(notes), kept_sources(read))
            step = steps.send(answer)
        if step is None:
            return
        yield Reading(step.done, step.total)
        self.prompt, self.fence = step.prompt, step.fence
        yield self._cite(reply, step.sources, self._count(step.prompt))

    def _answer_part(self, step: Step, n_ctx: int) -> Generator[TurnEvent, None, str]:
        """Returns the model's answer about a part."""
        request = part_request(step.prompt, n_ctx, self._turn.request_id, step.fence)
        request = replace(request, grammar=self._citing(step.sources))
        yield Reading(step.done, step.total)
        with closing(out_of_circles(self._engine, request)) as events:
            for event in events:
                if isinstance(event, (Waiting, Queued)):
                    yield event
                elif isinstance(event, Prefill):
                    yield Reading(step.done, step.total, event.done, event.total)
                elif isinstance(event, Finished):
                    if event.reason == "cancelled":
                        self.stopped = nothing_generated(request)
                    return without_thoughts(event.text).strip()
        return ""

    def _cite(self, reply: GrowingReply, sources: tuple[Source, ...], tokens: int, left_out: int = 0) -> Grounded:
        self._sources = sources
        kept = kept_sources(sources)
        reply.cite(kept)
        return Grounded(kept, tokens, left_out)

    def _citing(self, sources: Sequence[Source], *, goes_on: bool = False) -> str:
        if not self._asked.cite or not sources:
            return ""
        from llmchat_rag.citing import citing_grammar
        from llmchat_rag.context import UNKNOWN

        return citing_grammar((source.number for source in sources), UNKNOWN, goes_on=goes_on)

    def _count(self, text: str) -> int:
        return token_count(self._engine, self._model, text) if self._model else len(self._engine.tokenize(text))
