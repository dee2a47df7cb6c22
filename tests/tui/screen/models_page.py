"""The page of models in tests: two small models, the page over them, and its headers read. Knows no single test."""

from __future__ import annotations

from pathlib import Path

from tests.engine.tiny_gguf import tiny_llama
from tests.tui.screen.model_stage import StockDouble
from tests.tui.screen.screen_stage import Hand, Stage, until

from llmchat_tui.pulls import Pulls
from llmchat_tui.screens.model_list import ModelList
from llmchat_tui.screens.models import ModelsScreen


def two_models(folder: Path) -> StockDouble:
    """Returns a stock of two models: alpha and beta."""
    directory = folder / "models"
    directory.mkdir()
    for name in ("alpha", "beta"):
        tiny_llama(directory / f"{name}.gguf")
    return StockDouble(directory)


def page(stock: StockDouble, current: str = "") -> ModelsScreen:
    return ModelsScreen(stock.find(), current, stock, Pulls(stock))


async def read(hand: Hand, app: Stage) -> ModelsScreen:
    """Waits for the headers; returns the page with the focus in its list."""
    screen = app.screen
    assert isinstance(screen, ModelsScreen)
    await until(hand, lambda: len(screen.facts) == len(screen.models))
    screen.query_one(ModelList).focus()
    await hand.pause()
    return screen
