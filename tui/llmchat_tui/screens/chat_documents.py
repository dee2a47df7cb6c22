"""What the chat screen does about documents: the collections of a chat, kept with it, and the sources of a reply.

Functions over the screen. The store is opened in threads; knows nothing of how it is searched.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from llmchat_rag.errors import RagError
from llmchat_tui.asked import ALL
from llmchat_tui.documents_words import answered_from, chosen_names
from llmchat_tui.errors import UserError
from llmchat_tui.recipe_words import check_beside_documents
from llmchat_tui.sources import KeptSource, sources_of, verdicts_of

if TYPE_CHECKING:
    from llmchat_tui.screens.chat import ChatScreen
    from llmchat_tui.screens.chat_turns import ChatTurns


def docs(screen: ChatScreen, argument: str) -> None:
    """Takes the collections that this chat is answered from: names, `all`, or `off`; opens their page for none."""
    names = chosen_names(argument)
    if names is None:
        open_documents(screen)
    elif names:
        choose(screen, names)
    else:
        give(screen, screen.talk.key, ())


def open_documents(screen: ChatScreen) -> None:
    """Opens the collections of documents."""
    from llmchat_tui.screens.documents import DocumentsScreen

    desk, talk = screen.desk, screen.talk
    desk.updates.ended = partial(_tell_end, screen)
    page = DocumentsScreen(desk.shelf, desk.updates, talk.collections, desk.environ.get("HOME", ""))
    screen.app.push_screen(page, partial(_used, screen, talk.key))


def _tell_end(screen: ChatScreen, name: str) -> None:
    """Tells how an update ended to somebody who does not see its page; called in its thread."""
    updates, app = screen.desk.updates, screen.chat_app
    failed = updates.missing.get(name) or updates.problems.get(name)
    text = f"{name}: {failed or updates.lines.get(name, '')}"

    def tell() -> None:
        if screen.app.screen is screen:
            app.tell(text, "warning" if failed else "information", 8)

    with suppress(RuntimeError):  # the loop has gone: the program is leaving
        app.call_later(tell)


def _used(screen: ChatScreen, key: str, name: str | None) -> None:
    """Has a chat answered from one collection more, or from one less."""
    talk = screen.talks.get(key)
    if talk is None or name is None:
        return
    own = () if ALL in talk.collections else talk.collections
    if name in own:
        give(screen, key, tuple(other for other in own if other != name))
    elif talk is screen.talk:
        try:
            choose(screen, (*own, name))
        except UserError as error:
            screen.chat_app.tell_error(error)


def choose(screen: ChatScreen, names: Sequence[str]) -> None:
    """Gives the shown chat collections, once it is known that they are there, and gets ready to search them.

    Raises:
        UsageError: they do not go with how its questions are asked.
    """
    check_beside_documents(screen.talk.recipe, names, docs_are_new=True)
    key, documents, app = screen.talk.key, screen.desk.documents, screen.chat_app

    def work() -> None:
        try:
            documents.look_up(() if ALL in names else names)
            app.call_later(give, screen, key, tuple(names))
            documents.warm()
        except (RagError, UserError) as error:
            app.call_later(app.tell_error, error)

    screen.run_worker(work, thread=True, group="documents", exit_on_error=False)


def give(screen: ChatScreen, key: str, names: tuple[str, ...]) -> None:
    """Gives a chat its collections, on disk too once it is there."""
    talk = screen.talks.get(key)
    if talk is None:
        return
    talk.collections = names
    try:
        if talk.conversation_id:
            screen.desk.history.configure(talk.conversation_id, collections=names)
    except UserError as error:
        screen.chat_app.tell_error(error)
    screen.chat_app.tell(answered_from(names))
    screen.refresh_lines()


def tell_half_read(screen: ChatScreen | ChatTurns, names: Sequence[str]) -> None:
    """Tells that what nothing was found in is being read only now, where it is."""
    if (name := screen.desk.updates.running) and (ALL in names or name in names):
        screen.chat_app.tell(f"{name} is still being read: what was not read yet cannot be found", "warning", 8)


def show_sources(screen: ChatScreen, message_id: str) -> None:
    """Opens what a reply stands on, or says that it stands on nothing."""
    try:
        message = screen.desk.history.tail(message_id, 1)[0] if message_id else None
    except UserError as error:
        screen.chat_app.tell_error(error)
        return
    sources = sources_of(message.settings) if message else ()
    if message is None or not sources:
        screen.chat_app.tell("this reply stands on no documents", "warning")
        return
    from llmchat_tui.screens.sources import SourcesScreen

    def read(source: KeptSource) -> tuple[str, str]:
        try:
            return screen.desk.documents.read(source)
        except RagError:  # the passage is kept with the reply
            return "", ""

    screen.app.push_screen(SourcesScreen(message.text, sources, verdicts_of(message.settings), read))
