"""What the chat screen does about downloads of models: begins them, and tells how they ended.

Functions over the screen. The work is that of pulls.py; knows no page's inside.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from llmchat_tui.pulls import Job, ended_words
from llmchat_tui.screens.panel import live_key

if TYPE_CHECKING:
    from llmchat_tui.screens.chat import ChatScreen
    from llmchat_tui.screens.hub_work import Picked


def pull(screen: ChatScreen, wanted: str) -> None:
    """Downloads a model of the hub beside the chat; what is no reference is searched for."""
    from llmchat_tui.screens.hub_search import HubScreen, Picked
    from llmchat_tui.screens.model_entries import reference_in

    if reference := reference_in(wanted):
        _begin(screen, Picked(reference))
    else:
        screen.app.push_screen(HubScreen(screen.desk.stock, wanted), partial(_begin, screen))


def _begin(screen: ChatScreen, picked: Picked | None) -> None:
    """Begins a download, and says where it can be followed."""
    if picked is None:
        return
    job = screen.desk.pulls.add(picked.reference, picked.repo, picked.variant)
    screen.chat_app.tell(f"pulling {job.name}; {live_key(screen, 'model')} shows how far it is")


def follow(screen: ChatScreen) -> None:
    """Has the end of every download told in the chat."""

    def ended(job: Job) -> None:
        with suppress(RuntimeError):  # the loop has gone: the program is leaving
            screen.app.call_later(_tell, screen, job)

    screen.desk.pulls.ended = ended


def _tell(screen: ChatScreen, job: Job) -> None:
    """Tells how a download ended to somebody who does not see its page."""
    if screen.app.screen is screen:
        usable = job.state == "done" and not (job.repo and job.repo.kind != "gguf")
        uses = f" · {live_key(screen, 'model')} uses it" if usable else ""
        screen.chat_app.tell(f"{ended_words(job)}{uses}", "information" if job.state == "done" else "warning", 8)
