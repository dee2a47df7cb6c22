"""The chat that was opened with --docs or -d: what its new chats are answered from."""

from __future__ import annotations

from pathlib import Path

from tests.tui.screen.chatting import play
from tests.tui.screen.command_hand import command
from tests.tui.screen.documented_chat import YEAR, answered, documented, store_in


def test_new_chats_are_answered_from_what_the_flags_name(home: Path) -> None:
    store_in(home)

    async def scene() -> None:
        async with documented(home, YEAR, wanted_collections=("notes",)) as run:
            assert "docs notes" in run.text()
            await answered(run)
            assert run.history.conversations()[0].collections == ("notes",)
            await command(run, "/new")
            assert run.chat.talk.collections == ("notes",)

    play(scene)
