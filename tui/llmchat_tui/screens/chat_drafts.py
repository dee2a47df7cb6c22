"""What the chat screen does with drafts: asking for several, the page that shows them, going on with one.

Functions over the screen. Knows neither how they grow nor how the page looks.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from llmchat_tui.commands import UnknownCommand, parse
from llmchat_tui.drafts import FEWEST, MOST, USUAL, Draft
from llmchat_tui.errors import UsageError, UserError
from llmchat_tui.events import Ended, TurnEvent
from llmchat_tui.history import title_of
from llmchat_tui.messages import DraftsWanted
from llmchat_tui.screens.attempts import Attempt
from llmchat_tui.screens.chat_room import joined
from llmchat_tui.talk import Failed, Talk
from llmchat_tui.thoughts import Thought
from llmchat_tui.widgets.message import MessageView
from llmchat_tui.widgets.reply import ReplyView

if TYPE_CHECKING:
    from llmchat_tui.screens.chat import ChatScreen
    from llmchat_tui.screens.chat_branches import ChatBranches
    from llmchat_tui.screens.chat_turns import ChatTurns


def command(screen: ChatScreen, argument: str) -> None:
    """Takes `/drafts`, with a number, a question, or both.

    Raises:
        UsageError: the number is too small or too large, or there can be none now.
    """
    word, _, rest = argument.partition(" ")
    count, question = (int(word), rest.strip()) if word.isdecimal() else (USUAL, argument)
    if not FEWEST <= count <= MOST:
        raise UsageError(f"there cannot be {count} drafts", f"{FEWEST} to {MOST} can", f"/drafts {USUAL} {question}")
    if question and (why := _refusal(screen)):
        raise UsageError("this cannot be answered in drafts", why)
    screen.post_message(DraftsWanted(count, question))


async def begin(screen: ChatBranches, count: int, question: str) -> None:
    """Asks for drafts, or shows those that grow.

    Args:
        screen: the chat.
        count: so many.
        question: what to ask; empty for what stands in the prompt, else for the question of the focused or the last
            message.
    """
    talk, prompt, focused = screen.talk, screen.composer.prompt, screen.focused
    if talk.running and talk.drafts and talk.drafts.reply_ids:
        open_page(screen)
        return
    message_id = focused.message_id if isinstance(focused, MessageView) else ""
    typed = "" if question or message_id else prompt.draft
    why = _refusal(screen) or _no_message(typed)
    if why:
        screen.chat_app.tell(why, "warning")
    elif typed.strip():
        await screen.send(talk, typed, typed=True, answers=count)
    elif question and not await screen.send(talk, question, answers=count):
        prompt.load_draft(joined(question, prompt.draft))
    elif not question:
        found = screen.question_of(message_id or talk.leaf_id)
        if found is None:
            screen.chat_app.tell("there is no question yet; write one, or /drafts 3 QUESTION", "warning")
        else:
            await screen.try_again(Attempt("again", found.text, found, count))


def as_chosen(talk: Talk, event: TurnEvent | Failed) -> TurnEvent | Failed | None:
    """Returns what is to be shown of an event among the messages, where one of several drafts stands."""
    return event if talk.drafts is None or isinstance(event, Failed) else talk.drafts.as_chosen(event)


async def ended(screen: ChatTurns, talk: Talk, event: Ended | Failed) -> None:
    """Shows the message that is left of drafts as it stands on disk, where it says more than the last event."""
    transcript = screen.transcript_of(talk.key)
    if isinstance(event, Failed):
        if transcript and event.begun:
            screen.chat_app.tell_error(event.error)
            await transcript.show(talk.leaf_id)
    elif transcript and transcript.last_reply:
        transcript.show_version(transcript.last_reply)  # of empty ones nothing is left


def open_page(screen: ChatTurns) -> None:
    """Opens the drafts of the shown chat, unless another page is open."""
    from llmchat_tui.screens.drafts import DraftsScreen

    talk, question = screen.talk, screen.transcript.last_question
    if talk.drafts and screen.app.screen is screen:
        page = DraftsScreen(
            title_of(question.text if question else talk.title),
            talk.drafts,
            partial(screen.talks.stop, talk),
            partial(screen.talks.conclude, talk),
        )
        screen.app.push_screen(page, partial(_chosen, screen, talk))


async def _chosen(screen: ChatTurns, talk: Talk, number: int | None) -> None:
    """Goes on with a draft; with the first where none was chosen."""
    drafts, transcript = talk.drafts, screen.transcript_of(talk.key)
    if number is None or drafts is None or transcript is None:
        return
    before, is_growing = drafts.chosen, talk.running is not None
    try:
        screen.talks.choose_draft(talk, number)
    except UserError as error:
        screen.chat_app.tell_error(error)
        return
    if number == before:
        return
    if is_growing:
        await transcript.put_in_place(_growing_view(screen, talk, number))
    else:
        await transcript.show(talk.leaf_id)
    screen.refresh_lines()


def _growing_view(screen: ChatTurns, talk: Talk, number: int) -> ReplyView:
    """Returns the view of a draft that goes on growing among the messages."""
    drafts, model = talk.drafts, screen.chat_app.model
    draft = drafts.each[number] if drafts else Draft(number)
    thought = Thought(draft.thought, draft.thought_tokens, draft.seconds if draft.thinks else 0.0)
    return ReplyView(draft.text, talk.leaf_id, model=model.name if model else "", growing=True, thought=thought)


def _refusal(screen: ChatTurns) -> str:
    """Returns why there can be no drafts now; empty where there can."""
    if screen.talk.running:
        return "a reply is being written; Esc stops it"
    if screen.talk.collections:
        return "from documents there is one answer; /docs off asks none"
    if screen.talk.recipe.votes:
        return "votes come to one answer; /votes off has drafts again"
    if screen.editing and screen.editing.role == "assistant":
        return "a reply goes on once; Enter sends it"
    return ""


def _no_message(text: str) -> str:
    """Returns why a text in the prompt cannot be asked; empty where it can."""
    try:
        is_command = parse(text) is not None
    except UnknownCommand as error:
        return str(error)
    return "a command has no drafts; Enter runs it" if is_command else ""
