"""How the events of a turn look in a transcript: the status line of the newest reply, its text, its end."""

from __future__ import annotations

from collections.abc import Sequence

from llmchat_engine import Finished, Loaded, Loading, ModelInfo, Notice, Prefill, Queued, Restored, Token, Waiting
from llmchat_engine.prompting.vote import Polled
from llmchat_tui.cited import marks_of, source_line
from llmchat_tui.documents_words import searching_line
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
from llmchat_tui.history import ReplyStatus
from llmchat_tui.sources import KeptVerdict
from llmchat_tui.talk import Failed
from llmchat_tui.thoughts import Thought
from llmchat_tui.turn import stats_of
from llmchat_tui.votes import ended_vote, progress_of
from llmchat_tui.widgets.divider import LeftOutMark
from llmchat_tui.widgets.ending import end_line, restored_in
from llmchat_tui.widgets.reply import ReplyView
from llmchat_tui.widgets.transcript import Transcript

STOPS = "   Esc stops"


def begin(transcript: Transcript, model: ModelInfo | None, *, held: bool = False) -> None:
    """Prepares the newest reply for what will come; `held` says whether that follows a JSON schema."""
    if view := transcript.last_reply:
        view.answer.held = held
        if model is not None:
            view.name_model(model.name)
        view.note("starting" + STOPS)


async def paint(transcript: Transcript, event: TurnEvent | Failed, collections: Sequence[str] = ()) -> None:
    """Shows one event in the newest reply, which is the one that the turn writes.

    Args:
        transcript: of the chat.
        event: what happened.
        collections: what the chat asks of the documents.
    """
    view = transcript.last_reply
    if view is None:
        return
    match event:
        case Started(begun):
            _name(transcript, view, begun.question_id, begun.reply_id)
        case Loading(fraction):
            view.note(f"loading the model {fraction:.0%}{STOPS}")
        case Loaded(model, _):
            view.name_model(model.name)
            if view.beside_loading:
                view.note(view.beside_loading)
        case Queued(ahead):
            view.note(f"waiting for {ahead} other request{'s' * (ahead > 1)}{STOPS}")
        case Summarising(tokens):
            view.note(f"summarising what leaves the context{f': {tokens:,} tokens' if tokens else ''}{STOPS}")
        case Searching() | Retrieved() | Reading() | Grounded() | Abstained() | Checked():
            await _paint_documents(transcript, view, event, collections)
        case LeftOut():
            transcript.show_left_out(_mark_of(event))
        case Restored(tokens, seconds, _):
            view.note(restored_in(tokens, seconds) + STOPS)
        case Prefill(done, total, cached) if done < total:
            known = f", {cached:,} were known" if cached else ""
            view.note(f"reading {done:,} of {total:,} tokens{known}{STOPS}")
        case Token(text, count, thought=thought):
            view.add(text, count, thought=thought)
        case Polled():
            view.polled = event
            view.show_votes(progress_of(event))
            view.note(STOPS.strip())  # the prompt has been read
        case Notice(text):
            view.warn(text)
        case Ended(_, finished, _, fault):
            await _end(view, finished, fault)
        case Failed(_, begun) if begun is not None:
            await _fail(view, event)
        case Prefill() | Waiting() | Failed():
            pass


async def _paint_documents(
    transcript: Transcript, view: ReplyView, event: TurnEvent, collections: Sequence[str]
) -> None:
    """Shows what the documents have part in a reply."""
    match event:
        case Searching():
            view.beside_loading = searching_line(collections) + STOPS
            view.note(view.beside_loading)
        case Retrieved(retrieval):
            view.beside_loading = ""
            if retrieval.verdict == "weak":
                view.warn("the documents say little about this")
        case Reading(done, total, tokens, of_tokens):
            now = f", {tokens:,} of {of_tokens:,} tokens" if tokens < of_tokens else ""
            view.note(f"reading whole documents: part {min(done + 1, total):,} of {total:,}{now}{STOPS}")
        case Grounded(sources, tokens, _):
            view.show_sources(source_line(sources))
            view.note(f"{len(sources):,} passage{'s' * (len(sources) != 1)}, {tokens:,} tokens{STOPS}")
        case Abstained():
            await view.finish()
            view.note(*end_line("complete", {"reason": "abstained"}))
        case Checked(begun, verified, sources):
            verdicts = [KeptVerdict(v.start, v.end, v.ids, v.mark, v.why, v.better) for v in verified.sentences]
            if isinstance(told := transcript.view_of(begun.reply_id), ReplyView):  # the next turn may have begun
                told.show_sources(source_line(sources, verdicts))
                await told.show_marks(marks_of(told.text, verdicts))


def _name(transcript: Transcript, view: ReplyView, question_id: str, reply_id: str) -> None:
    """Gives question and reply the ids that they have on disk now."""
    question = transcript.last_question
    view.message_id = reply_id
    if question is None or question.message_id == question_id:
        transcript.record(reply_id)
    else:
        question.message_id = question_id
        transcript.record(question_id, reply_id)
        transcript.show_version(question)
    transcript.show_version(view)


def _mark_of(event: LeftOut) -> LeftOutMark:
    """Returns the mark; the tokens of messages that were left out before are not known."""
    is_first = event.left_out == event.messages
    return LeftOutMark(event.left_out, event.tokens if is_first else 0, event.summary)


async def _end(view: ReplyView, finished: Finished, form_fault: str) -> None:
    await view.finish(finished.text)
    thought = Thought(finished.thought, finished.thought_tokens, finished.thought_seconds, not finished.text)
    await view.end_thought(thought)
    view.show_votes(ended_vote(view.polled))
    status: ReplyStatus = "stopped" if finished.reason == "cancelled" else "complete"
    in_thought = bool(thought) and thought.is_cut
    stats = stats_of(finished) | {"form_fault": form_fault}
    view.note(*end_line(status, stats, warnings=view.warnings, in_thought=in_thought))


async def _fail(view: ReplyView, failed: Failed) -> None:
    await view.finish()
    await view.end_thought()
    view.show_votes(ended_vote(view.polled))
    view.note(*end_line("failed", {}, failed.error.what))
