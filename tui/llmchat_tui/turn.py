"""One chat turn, headless, for both front ends: the question to disk, the engine, the reply to disk.

Knows no screen, no flags and no SQL. Whatever ends a turn (the model, the user, a crash, an exception in the consumer)
the reply is recorded with how it ended. Its text while it grows is growing.py's, the model's part of it course.py's.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from llmchat_engine import Engine, EngineError, Sampling
from llmchat_engine.types import new_request_id
from llmchat_rag.errors import RagError
from llmchat_tui.composing import compose
from llmchat_tui.course import Course
from llmchat_tui.events import Started, TurnEvent
from llmchat_tui.growing import Beginning, GrowingReply, stats_of
from llmchat_tui.history import Begun, History, StoredMessage
from llmchat_tui.overflow import Overflow
from llmchat_tui.recipe import PLAIN, Recipe, packed

if TYPE_CHECKING:
    from llmchat_tui.asked import Asked
    from llmchat_tui.documents import Documents
    from llmchat_tui.grounding import Grounding
    from llmchat_tui.sources import KeptSource

__all__ = ["Turn", "compose", "run", "stats_of"]


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
    own_collections: tuple[str, ...] = ()
    """What a new chat keeps as its own collections of documents."""
    asked: Asked | None = None
    """What is wanted of the documents; None answers without them."""
    cited: tuple[KeptSource, ...] = ()
    """The sources of the reply that goes on: its numbers stay what they are, and nothing is searched."""
    raw: bool = False
    recipe: Recipe = PLAIN
    """How the question is asked; a new chat keeps it."""
    sent: str = ""
    """What the model is given in place of the question, where that was decided before; empty asks the recipe."""
    prefill: str = ""
    """What the reply begins with; the model goes on exactly behind it."""
    prefill_ids: tuple[int, ...] = ()
    """The ids of that text where a model wrote it, without the one that ended it."""
    prefill_key: str = ""
    """The model that wrote it."""
    prefill_thought: str = ""
    """What was thought before it."""
    prefill_thought_tokens: int = 0
    """So many of `prefill_ids` are that thought."""
    prefill_thought_seconds: float = 0.0
    """How long that took."""
    logprobs: int | None = None
    """How many likely tokens are told at each place; None tells none."""
    overflow: Overflow = "drop"
    """What becomes of the oldest turns when the context is full."""
    left_out: int = 0
    """So many messages of `earlier` another reply to the same question did not see; this one does not either."""
    summary: str = ""
    """What that one saw in their place."""
    store: bool = True
    """Whether the engine may keep its cache of the chat on disk."""
    private: bool = False
    """Drop the sequence from the engine's cache afterwards."""
    answers: int = 1
    """So many replies that grow side by side; the chat goes on with the first. From documents there is one."""
    beams: int = 0
    """Search with so many hypotheses for the likeliest reply; 0 samples."""
    length_penalty: float = 1.0
    """Beams compare sums of log-probabilities divided by length to this power."""
    request_id: str = field(default_factory=new_request_id)
    """What `Engine.cancel` takes to stop this turn."""

    @property
    def asks(self) -> str:
        """The question as the model is given it."""
        return self.sent or self.recipe.asks(self.question)

    @property
    def goes_on(self) -> bool:
        """Whether the reply has begun, be it with a thought alone."""
        return bool(self.prefill or self.prefill_ids)


def run(
    turn: Turn, engine: Engine, history: History, documents: Documents | None = None
) -> Generator[TurnEvent, None, None]:
    """Runs a turn. Closing the iterator stops the model and records the reply as stopped.

    Args:
        turn: what is asked.
        engine: who answers.
        history: where it is kept.
        documents: where a turn that asks for documents finds them.

    Raises:
        ContextOverflow: older turns must leave the context and `overflow` says to ask; nothing was recorded.
        EngineError: after the partial reply has been recorded as failed; where `overflow` says to ask and not even
            the question alone fits, before anything was recorded.
        RagError: the documents cannot be used; the reply has been recorded as failed.
        StorageError: the question could not be recorded (then nothing was asked), or the reply could not.
    """
    engine.prepare()  # the host starts while the question goes to disk
    grounding = _grounding(turn, engine, documents)
    course = Course(turn, engine, grounding)
    asks = turn.overflow == "ask"
    if asks and turn.earlier:
        with suppress(EngineError):  # it comes again when the question, which is recorded then, is asked
            yield from course.look_ahead()
        course.refuse()
    begun = _record_question(turn, history)
    reply = _growing(turn, begun, history)
    try:
        yield Started(begun)
        looked = asks and (course.has_model or not grounding)
        with closing(_nothing() if looked else course.look_ahead()) as ahead:
            if grounding:
                yield from grounding.search(ahead)
                if grounding.abstains:
                    yield from grounding.abstain(reply)
                    return
            yield from ahead
        yield from course.make_room()
        reply.saw(course.seen)
        yield from course.ground(reply)
        yield from course.answer(reply)
        if grounding and (checked := grounding.check(reply)):
            yield checked
    except (EngineError, RagError) as error:
        reply.end("failed", str(error))
        raise
    finally:
        reply.end("stopped")
        if grounding:  # whoever leaves at the end of the reply does not lose its marks
            with suppress(RagError):
                grounding.check(reply)


def _grounding(turn: Turn, engine: Engine, documents: Documents | None) -> Grounding | None:
    if turn.asked is None:
        return None
    if turn.answers > 1 or turn.recipe.votes or turn.recipe.cot != "off":
        raise ValueError("from documents there is one answer, without a chain of thought")
    if documents is None:
        raise ValueError("a turn that asks for documents was given none")
    from llmchat_tui.grounding import Grounding  # 5 ms, which most questions need not wait for

    return Grounding(turn, turn.asked, engine, documents)


def _nothing() -> Generator[TurnEvent, None, None]:
    yield from ()


def _growing(turn: Turn, begun: Begun, history: History) -> GrowingReply:
    beginning = Beginning(
        turn.prefill,
        turn.prefill_ids,
        turn.prefill_key,
        turn.prefill_thought,
        turn.prefill_thought_tokens,
        turn.prefill_thought_seconds,
    )
    if turn.answers == 1:
        return GrowingReply(begun, history, beginning, _known(turn))
    from llmchat_tui.several import GrowingReplies  # most questions have one answer

    return GrowingReplies(begun, history, beginning, _known(turn), turn.sampling)


def _known(turn: Turn) -> dict[str, Any]:
    """Returns what is known of a reply before the model says a word."""
    known: dict[str, Any] = {"system": turn.system, "raw": turn.raw}
    if turn.asks != turn.question:
        known["sent"] = turn.asks
    if turn.recipe != PLAIN:
        known["recipe"] = packed(turn.recipe)
    return known | {"asked": asdict(turn.asked)} if turn.asked else known


def _record_question(turn: Turn, history: History) -> Begun:
    if turn.question_id:
        return history.begin_reply(turn.question_id, turn.prefill, turn.answers)
    parent = turn.earlier[-1].id if turn.conversation_id and turn.earlier else ""
    return history.begin(
        turn.question,
        conversation_id=turn.conversation_id,
        parent_id=parent,
        system=turn.system,
        title=turn.title,
        sampling=turn.own_sampling,
        collections=turn.own_collections,
        recipe=packed(turn.recipe),
        reply_text=turn.prefill,
        replies=turn.answers,
    )
