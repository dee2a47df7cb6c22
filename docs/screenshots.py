"""Takes the pictures in docs/screenshots/: drives the real chat with the bundled model, and writes an SVG per screen.

`make screenshots` runs it, in a home of its own that goes away. Speeds in the pictures are those of the machine it ran
on. How a screen becomes an SVG is in picture.py, the page that shows them is screens.md.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, chdir, closing
from dataclasses import replace
from pathlib import Path

from docs.picture import picture
from docs.screenshots_models import a_hub, the_models
from tests.tui.screen.chatting import Chatting
from tests.tui.screen.snapshots_walk import Walk
from textual.message import Message
from textual.widgets import Input

from llmchat_engine import ModelSpec, Sampling, Spec
from llmchat_engine.hosts import running_hosts, stop_host
from llmchat_engine.models.library import LocalModel
from llmchat_tui.app import ChatApp
from llmchat_tui.cli.app import App
from llmchat_tui.config import Config
from llmchat_tui.desk import Desk
from llmchat_tui.errors import ModelChoiceError
from llmchat_tui.history import Conversation, History, StoredMessage
from llmchat_tui.themes import DARK, LIGHT
from llmchat_tui.widgets.draft_view import DraftView
from llmchat_tui.widgets.reply import ReplyView

TARGET = Path(__file__).parent / "screenshots"
QUESTION = "How do I add up the numbers in a list in Python? First list the steps, then show the code."
STORY = "Tell me a long story about a lighthouse."
STOP = ("When you run",)
"""The small model goes on and repeats itself; the picture ends before."""
CONFIG = 'keepalive = "10m"\n\n[sampling]\ntemperature = 0.0\nseed = 7\n'
FILES = ("README.md", "src/parser.py", "src/lexer.py", "notes/rome.md", "notes/rome-hotels.md", "notes/taxes.md")
NOTES = {
    "rome.md": """\
# Rome in two days

## Before you go

The Colosseum opens at 8:30 and takes visitors in groups of 25; book a time of entry, or queue for two hours.
The Roma Pass for 48 hours costs 36.50 euros and is good for one museum and all buses.

## A short history

Rome was founded in 753 BC by Romulus, who ruled for 37 years. Seven kings followed one another, until the Romans
drove out the last of them in 509 BC and made the city a republic.
""",
    "hotels.md": """\
# Hotels

Hotel Aventino: a quiet garden, 140 euros a night, breakfast until 10:30. Its lift is out of order until May.

Casa Trastevere: three rooms over a bakery, 95 euros a night, paid in cash. Ask for the room to the courtyard.
""",
    "scan.pdf": "%PDF-1.4, and nothing more of it",
}
"""Documents; one of them cannot be read."""
ASKED = (
    "What does a night in Casa Trastevere cost? Answer in one sentence.",
    "Which hotel has a garden?",
)
"""Of the documents; the small model is wrong with the first."""
GUIDE = "You are a travel guide who has lived in Rome for years. Answer in at most four sentences."
SUM = "A train has 6 cars with 10 seats each. How many seats does it have?"
EARLIER = (
    (0.02, "Trip to Rome", "What should I see in Rome in two days?", "Start at the Forum early, before the heat."),
    (
        0.04,
        "Parser bug",
        "Why does my parser stop at the second line?",
        "It takes the newline for the end of the file.",
    ),
    (1.1, "Letter to the tax office", "Make this letter shorter.", "Dear Sir or Madam, …"),
    (1.2, "A poem for Ada's birthday", "Four lines about a cat, please.", "A cat once crossed the Forum square …"),
    (3.0, "Bread without kneading", "How long must the dough rest?", "Twelve to eighteen hours."),
    (4.0, "What is a monad?", "Explain it without mathematics.", "A box, and a rule for opening it."),
    (40.0, "Names for a small dog", "Ten names, two syllables each.", "Pico, Luna, Momo, …"),
    (75.0, "Moving the mail server", "In which order do I move it?", "The DNS entries last."),
)
"""Chats of the list: days ago, title, question, answer."""


class Studio(Walk):
    """A walk that writes what it sees."""

    async def take(self, name: str, width: int = 80, height: int = 24) -> None:
        """Writes the screen as it stands, at a size."""
        await self.resize(width, height)
        (TARGET / f"{name}.svg").write_text(await self.look(), encoding="utf-8")

    async def take_page(self, key: str, name: str, width: int = 80, height: int = 24) -> None:
        """Opens a page with its key, takes it, and closes it."""
        await self.resize(width, height)
        await self.open(key)
        await self.take(name, width, height)
        await self.leave()


# --- the scenes, in their order --------------------------------------------------------------------------------------


async def an_answer(studio: Studio) -> None:
    """Takes an empty chat, then one with an answer."""
    run = studio.run
    await studio.take("empty")
    await studio.resize(100, 30)
    await run.send(QUESTION)
    while run.chat.talk.running:  # a minute on a busy machine
        await asyncio.sleep(0.1)
    await studio.take("chat", 100, 30)
    run.app.theme = LIGHT
    await studio.take("chat-light", 100, 30)
    run.app.theme = DARK
    await studio.take("chat-40x10", 40, 10)


async def a_search(studio: Studio) -> None:
    """Takes the list of chats with words that are searched for."""
    await studio.resize(120, 32)
    await studio.search("forum", hits=2)
    await studio.take("search", 120, 32)
    await studio.end_search()


async def a_stop(studio: Studio) -> None:
    """Takes a reply while it is written, and after it was stopped."""
    run = studio.run
    await studio.new_chat()
    await studio.resize(100, 30)
    run.chat.talk.sampling = {"repeat_penalty": 1.2}
    await run.send(STORY)
    await run.until(lambda: (view := run.transcript.last_reply) is not None and len(view.text) > 300, "some words")
    (TARGET / "streaming.svg").write_text(picture(run.app, studio.shown), encoding="utf-8")
    await studio.stop()
    await studio.take("stopped", 100, 30)


async def some_drafts(studio: Studio) -> None:
    """Takes three drafts side by side while they are written, one of them stopped."""
    run = studio.run
    await studio.new_chat()
    await studio.resize(120, 24)
    run.chat.talk.sampling = {"temperature": 0.9, "max_tokens": 120}
    await run.write(STORY)
    await studio.open("f6")
    drafts = run.chat.talk.drafts
    assert drafts is not None
    first, second, third = drafts.each
    await run.until(lambda: len(first.text) > 150, "some words")
    await run.press("right", "x")
    await run.until(lambda: second.state != "growing" and len(third.text) > 250, "the stop, and more words")
    await run.until(lambda: not run.app.screen.query(DraftView)[1].is_behind, "the paint")
    await run.pilot.pause()
    (TARGET / "drafts.svg").write_text(picture(run.app, studio.shown), encoding="utf-8")
    await run.press("escape")
    await run.until(lambda: not run.chat.talk.running, "the end")
    await studio.leave()


async def the_pages(studio: Studio) -> None:
    """Takes what lies over the chat."""
    run = studio.run
    await studio.search("trip", hits=1)
    await run.press("enter")
    await run.until(lambda: run.chat.talk.title == "Trip to Rome" and bool(run.transcript.views), "the other chat")
    await studio.take_page("ctrl+o", "models")
    await studio.take_page("f2", "settings", 100, 30)
    await studio.take_page("f3", "chat-settings", 100, 30)
    await studio.take_page("f1", "help", 120, 32)
    await studio.take_page("ctrl+s", "export")
    await studio.open_command("context")
    await studio.take("context")
    await studio.leave()
    await studio.open_palette()
    await studio.take("palette")
    await studio.leave()


async def completions(studio: Studio) -> None:
    """Takes the list over the prompt."""
    run = studio.run
    for text, name in (("/s", "commands"), ("Shorten @ro", "files")):
        await run.write(text)
        await run.until(lambda: run.chat.composer.completions.is_open, name)
        await studio.take(name)
        await run.write("")


async def the_documents(studio: Studio) -> None:
    """Takes the page of the collections, replies from one of them, and what these stand on."""
    run, updates = studio.run, studio.run.app.desk.updates
    await studio.new_chat()
    await studio.open("ctrl+l")
    await run.press("a")
    field = run.app.screen.query_one(Input)
    await run.until(lambda: field.has_focus, "the field")
    field.value = f"{run.app.desk.environ['HOME']}/notes"
    await run.press("enter")
    while updates.running or "notes" not in updates.lines:  # the embedding model takes its time
        await asyncio.sleep(0.1)
    await studio.take("documents")
    await run.press("enter")
    await run.until(lambda: bool(run.chat.talk.collections), "the chat's collection")
    for number, question in enumerate(ASKED, 1):
        await run.send(question)
        while len(run.replies()) < number or "verdicts" not in run.replies()[-1].settings:
            await asyncio.sleep(0.1)
    run.app.clear_notifications()
    await studio.take("cited", 100, 30)
    reply = run.transcript.views[-1]
    assert isinstance(reply, ReplyView)
    reply.action_sources()
    await run.until(lambda: bool(getattr(run.app.screen, "_places", None)), "the document")
    await studio.take("sources", 100, 30)
    await studio.leave()


async def asking_well(studio: Studio) -> None:
    """Takes the templates, an answer that was thought and voted on, its chains, and its tokens."""
    run = studio.run
    await studio.new_chat()
    await studio.resize(100, 30)
    await studio.open("f7")
    await run.press(*"math")
    await studio.take("templates", 100, 30)
    await run.press("enter")
    await run.until(lambda: run.chat.talk.recipe.template == "math", "the template")
    run.chat.talk.recipe = replace(run.chat.talk.recipe, votes=5)
    run.chat.talk.sampling = {"seed": 3, "max_tokens": 120}
    await run.send(SUM)
    while run.chat.talk.running:
        await asyncio.sleep(0.1)
    run.app.clear_notifications()
    await run.press("ctrl+t")
    await studio.take("voted", 100, 30)
    for key, name in (("v", "chains"), ("t", "tokens")):
        run.transcript.focus_last()
        await studio.open(key)
        await asyncio.sleep(1)  # the tokens are scored anew
        await studio.take(name, 100, 30)
        await studio.leave()


async def no_model(studio: Studio) -> None:
    """Takes the first page of a machine without a model."""
    await studio.run.until(lambda: studio.is_covered, "the welcome")
    await studio.take("welcome")


# --- the wiring ------------------------------------------------------------------------------------------------------


def main() -> int:
    """Takes every picture."""
    TARGET.mkdir(exist_ok=True)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="lc", dir="/tmp"))  # a socket's path is short
        root = Path(folder)
        for name in FILES:
            (root / "project" / name).parent.mkdir(parents=True, exist_ok=True)
            (root / "project" / name).touch()
        for name, text in NOTES.items():
            (root / "you" / "notes").mkdir(parents=True, exist_ok=True)
            (root / "you" / "notes" / name).write_text(text, encoding="utf-8")
        (root / "hub").mkdir()
        hub = stack.enter_context(a_hub(root / "hub"))
        app = App(_environ(root) | {"HF_ENDPOINT": hub.endpoint})
        app.paths.config_dir.mkdir(parents=True)
        app.paths.config_file.write_text(CONFIG, encoding="utf-8")
        try:
            with chdir(root / "project"):
                asyncio.run(_take_all(app, {str(root / "you"): "/home/you", sys.prefix: "/home/you/llmchat/.venv"}))
        finally:
            for host in running_hosts(app.paths.runtime_dir):
                stop_host(host)
    return 0


def _environ(root: Path) -> dict[str, str]:
    known = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    return {**known, "HOME": str(root / "you"), "XDG_RUNTIME_DIR": str(root)}


async def _take_all(app: App, shown: dict[str, str]) -> None:
    with app.history() as history:
        _fill(history)
        async with _opened(_desk(app, history)) as run:
            studio = Studio(run, shown)
            for scene in (an_answer, a_search, a_stop, some_drafts, the_pages, completions, the_documents, asking_well):
                await scene(studio)
            await the_models(studio, studio.take)
        async with _opened(_without_model(_desk(app, history))) as run:
            await no_model(Studio(run, shown))


def _fill(history: History) -> None:
    """Records the earlier chats."""
    for days, title, question, answer in EARLIER:
        at = time.time() - days * 86_400
        said = StoredMessage("q", "", "", "user", question, "complete", at)
        reply = StoredMessage("a", "", "q", "assistant", answer, "complete", at, settings={"model": "SmolLM2-135M"})
        chat = Conversation("", title, GUIDE if "Rome" in title else "", at, at, sampling={"temperature": 0.7})
        history.add(chat, [said, reply])


def _desk(app: App, history: History) -> Desk:
    def read_config() -> Config:
        app.forget_config()
        return app.config

    def make_spec(name: str) -> Spec:
        return app.spec(name, ctx=None, gpu_layers=None, threads=None)

    def sampling(base: Sampling) -> Sampling:
        return replace(base, stop=STOP)

    return Desk(app.paths, app.environ, history, app.new_engine, make_spec, read_config, sampling, app.config)


class _EmptyDesk(Desk):
    """What there is on a machine without a model."""

    def models(self) -> list[LocalModel]:
        return []


def _without_model(desk: Desk) -> Desk:
    def refuse(_name: str) -> Spec:
        raise ModelChoiceError("there is no model on this machine", "none was named and none was found", "")

    return _EmptyDesk(**{**vars(desk), "make_spec": refuse})


@asynccontextmanager
async def _opened(desk: Desk) -> AsyncIterator[Chatting]:
    app, messages = ChatApp(desk), list[Message]()
    with closing(desk.make_engine(ModelSpec(Path("none")))) as engine:
        async with app.run_test(size=(80, 24), message_hook=messages.append) as pilot:
            run = Chatting(app, pilot, engine, messages)
            await run.until(lambda: app.model is not None or app.spec is None, "the model")
            await run.settle()
            yield run
            app.leave(0)
            await run.until(lambda: app._exit, "the end")


if __name__ == "__main__":
    sys.exit(main())
