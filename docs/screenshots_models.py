"""Takes the pictures of the pages about models, against a model hub on the loopback.

What the hub has are the bundled model and what `llmchat models quantize` makes of it, so all sizes are real ones. How a
picture is taken is for screenshots.py to know.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.hub.faults import Fault
from tests.hub.server import FakeHub
from tests.tui.screen.snapshots_walk import Walk
from textual.widgets import Input

from llmchat_engine.models.library import find_models
from llmchat_engine.models.quantizing.quantize import quantize
from llmchat_engine.models.quantizing.types import type_of
from llmchat_tui.screens.hub_search import HubList, HubScreen
from llmchat_tui.screens.hub_variants import VariantsScreen
from llmchat_tui.screens.model_details import ModelDetailsScreen
from llmchat_tui.screens.model_list import ModelList
from llmchat_tui.screens.models import ModelsScreen

REPO = "example/SmolLM2-135M-Instruct-GGUF"
MADE = ("f16", "q8_0", "q6_k", "q4_k_m", "q4_0")
SLOW = 12_000_000
"""Bytes a second: the download is still there when its picture is taken."""
Take = Callable[[str, int, int], Awaitable[None]]


@contextmanager
def a_hub(folder: Path) -> Iterator[FakeHub]:
    """Yields a hub that has the bundled model in several sizes.

    Args:
        folder: where they are made.
    """
    source = find_models(folder)[-1].path
    files = {source.name: source.read_bytes()}
    for word in MADE:
        target = folder / f"SmolLM2-135M-Instruct.{word.upper()}.gguf"
        for _ in quantize(source, target, type_of(word), allow_requantize=True):
            pass
        files[target.name] = target.read_bytes()
        target.unlink()
    with FakeHub() as hub:
        hub.add(REPO, files, downloads=48_210, likes=312)
        hub.add("example/SmolLM2-135M-Base-GGUF", {source.name: files[source.name]}, downloads=1_903, likes=17)
        hub.faults.always = Fault(throttle=SLOW)
        yield hub


async def the_models(walk: Walk, take: Take) -> None:
    """Takes the details of a model, a search of the hub, the variants of a repository, a download."""
    run = walk.run
    await walk.resize(100, 30)
    await walk.open("ctrl+o")
    page = run.app.screen
    assert isinstance(page, ModelsScreen)
    await run.until(lambda: bool(page.facts), "the headers")
    page.query_one(ModelList).focus()
    await run.press("i")
    await run.until(lambda: isinstance(run.app.screen, ModelDetailsScreen), "the details")
    await take("model-details", 100, 30)
    await run.press("escape")
    await run.press("h")
    await run.until(lambda: isinstance(run.app.screen, HubScreen), "the hub")
    run.app.screen.query_one(Input).value = "smollm2"
    run.app.screen.query_one(Input).focus()
    await run.press("enter")
    await run.until(lambda: REPO in run.text(), "what was found")
    await take("hub", 100, 30)
    run.app.screen.query_one(HubList).focus()
    await run.press("enter")
    await run.until(lambda: isinstance(run.app.screen, VariantsScreen), "the variants")
    await run.until(lambda: "best for this machine" in run.text(), "their sizes")
    await take("hub-variants", 100, 30)
    await run.press("enter")
    await run.until(lambda: isinstance(run.app.screen, ModelsScreen), "the list")
    await run.until(lambda: "MB/s" in run.text(), "the download")
    await take("models-pulling", 100, 30)
    await walk.leave()
    run.app.desk.close_pulls(10)
