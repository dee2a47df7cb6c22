"""The pictures of the pages about models: downloads in the list, details, the page of the hub, the variants.

Knows no file of a picture.
"""

from __future__ import annotations

import threading
from typing import Any

import pytest
from tests.tui.screen.model_stage import FOUND, MACHINE, REPO, SMALL, StockDouble
from tests.tui.screen.snapshots_walk import Walk
from textual.screen import Screen

from llmchat_engine.models.hub.types import Reference, Variant
from llmchat_engine.models.progress import Progress
from llmchat_engine.models.trials import Trial
from llmchat_tui.model_card import Card, Line, Section
from llmchat_tui.pulls import Job, Pulls
from llmchat_tui.screens.hub_search import HubScreen
from llmchat_tui.screens.hub_variants import VariantsScreen
from llmchat_tui.screens.model_details import ModelDetailsScreen
from llmchat_tui.screens.model_list import ModelList
from llmchat_tui.screens.models import ModelsScreen
from llmchat_tui.stock import Stock

CARD = Card(
    "fake-1B",
    (
        Section("model", (Line("file", "/nowhere/models/fake-1B.gguf"), Line("licence", "apache-2.0"))),
        Section("shape", (Line("architecture", "llama"), Line("layers", "16"), Line("KV heads", "8"))),
        Section("memory", (Line("2,048 tokens", "1.1 GB · fits · about 38 tok/s"),)),
    ),
    "{{ messages }}",
    {},
)
LOW = 20
"""Rows under which a page does not show all that it has."""
HALF = Progress("downloading", 1_600_000_000, SMALL.size, "bytes", 38e6, SMALL.path)


def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives the stock of every desk a machine that is the same everywhere; nothing is tried."""
    monkeypatch.setattr(Stock, "machine", lambda _stock: MACHINE)
    monkeypatch.setattr(Stock, "known_trial", lambda *_: Trial(True))


async def the_models(walk: Walk, album: dict[str, str]) -> None:
    """Takes downloads in every state, what is known of a model, the hub's suggestions, a search, variants."""
    run = walk.run
    stock = StockDouble(run.app.desk.paths.models_dir)
    models = run.app.desk.models()[:2]
    page = ModelsScreen(models, str(models[0].path), stock, _Still(stock))
    await _open(walk, page, "meta/Llama-4-GGUF is gated", "RAM 16.0 GB")
    await run.until(lambda: len(page.facts) == 2, "the headers")
    page.query_one(ModelList).focus()
    page.query_one(ModelList).highlighted = 2
    album["models-pulling"] = await walk.look()
    await walk.leave()
    await _open(walk, ModelDetailsScreen("fake-1B", lambda: CARD), "apache-2.0")
    album["model-details"] = await walk.look()
    await walk.leave()
    await _open(walk, HubScreen(stock), "quick answers")
    album["hub"] = await walk.look()
    await walk.leave()
    await _open(walk, HubScreen(stock, "gemma"), FOUND.repo)
    album["hub-found"] = await walk.look()
    await walk.leave()
    await _open(walk, VariantsScreen(stock, Reference(REPO.name)), "licence gemma")
    album["hub-variants"] = await walk.look()
    await walk.leave()


async def _open(walk: Walk, page: Screen[Any], *told: str) -> None:
    """Opens a page, and waits until something stands on it; texts may be beyond the bottom of a low one."""
    await walk.run.settle()
    walk.run.app.push_screen(page)
    await walk.run.until(lambda: walk.is_covered, "the page")
    low = walk.run.app.size.height < LOW
    await walk.run.until(lambda: low or all(text in walk.run.text() for text in told), f"{told}")
    await walk.run.until(lambda: all(thread.name != "hub" for thread in threading.enumerate()), "the hub's answers")
    await walk.run.settle()


class _Still(Pulls):
    """Downloads that stand still, one in each state that takes long."""

    def __init__(self, stock: StockDouble) -> None:
        super().__init__(stock)
        variant = Variant("Q4_K_M", (SMALL,))
        refused = "meta/Llama-4-GGUF is gated — its terms have to be accepted first"
        jobs = (
            Job(Reference(REPO.name, "Q4_K_M"), "runs", REPO, variant, HALF),
            Job(Reference("Qwen/Qwen3-1.7B-GGUF", "Q8_0")),
            Job(Reference("Qwen/Qwen3-8B-GGUF", "Q8_0"), "stopped", progress=HALF),
            Job(Reference("meta/Llama-4-GGUF", "Q4_0"), "failed", problem=refused, hint="hf auth login"),
        )
        self._jobs = {job.key: job for job in jobs}
