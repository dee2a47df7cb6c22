"""The chat over a store of documents, with an encoder that needs no model. Knows no single test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.tui.documented import FILES, make_store
from tests.tui.screen.chatting import Chatting, chatting
from tests.tui.screen.command_hand import command

from llmchat_engine.testing import Script
from llmchat_rag.embed.fake import HashEmbedder
from llmchat_tui.paths import find_paths

WHEN = "When was Rome founded by Romulus?"
YEAR = "Rome was founded in 753 BC [1]."
OFF_TOPIC = "zzz qqq xxx"


def store_in(home: Path, files: Mapping[str, str] = FILES, name: str = "notes") -> None:
    """Puts a collection of these files into the store of a home."""
    make_store(find_paths({"LLMCHAT_HOME": str(home), "HOME": str(home)}).docs_dir.parent, files, name)


@asynccontextmanager
async def documented(home: Path, *scripts: Script | str, **more: Any) -> AsyncIterator[Chatting]:
    """Opens the chat with the encoder that made the store."""
    async with chatting(home, *scripts, **{"open_embedder": lambda _passages: HashEmbedder(), **more}) as run:
        yield run


async def choose(run: Chatting, names: str = "notes") -> None:
    """Gives the chat collections, and waits until it has them."""
    await command(run, f"/docs {names}")
    await run.until(lambda: bool(run.chat.talk.collections), "the collections")
    await run.settle()


async def answered(run: Chatting, question: str = WHEN) -> None:
    """Asks, and waits until the reply was checked."""
    await run.say(question)
    await run.until(lambda: "verdicts" in run.replies()[-1].settings, "the check")
    await run.settle()
