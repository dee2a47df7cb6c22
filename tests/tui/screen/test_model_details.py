"""The page with all that is known of a model: the same facts as the card, its template, harmless at every size."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.engine.tiny_gguf import CHATML, tiny_llama
from tests.tui.screen.screen_stage import EVIL, SIZES, Hand, Stage, assert_harmless, painted, play, until, words
from textual.containers import VerticalScroll
from textual.widgets import TextArea

from llmchat_engine import ModelMissing
from llmchat_engine.models.gguf import read_header
from llmchat_tui.model_card import Card, Named, card_of
from llmchat_tui.screens.info import InfoScreen
from llmchat_tui.screens.model_details import ModelDetailsScreen, card_text


def card(tmp_path: Path, name: str = "tiny", template: str | None = CHATML) -> Card:
    path = tiny_llama(tmp_path / "tiny.gguf", template=template)
    return card_of(path, read_header(path), None, None, Named(name, "models", ("little",)))


@pytest.mark.parametrize("size", SIZES)
def test_every_fact_can_be_read_at_every_size(tmp_path: Path, size: tuple[int, int]) -> None:
    shown, seen = card(tmp_path, EVIL), list[str]()

    async def steps(hand: Hand, app: Stage) -> None:
        await until(hand, lambda: "quantisation" in words(app) or "file" in words(app))
        await hand.settle()
        scroll = app.screen.query_one(VerticalScroll)
        scroll.focus()
        seen.append(painted(app))
        while scroll.scroll_offset.y < scroll.max_scroll_y:
            await hand.press("down")
            seen.append(painted(app))
            assert_harmless(app)

    play(ModelDetailsScreen(EVIL, lambda: shown), steps, size)
    everything = "".join("".join(seen).split())
    for section in shown.sections:
        for line in section.lines:
            if line.label != "file":  # the path of this test is wrapped, a row at a time
                assert "".join(line.value.split()) in everything, line


def test_the_template_has_a_page_of_its_own(tmp_path: Path) -> None:
    template = "{{ 'a\x1b[31m' }}" + "x" * 9000
    shown = card(tmp_path, template=template)

    async def steps(hand: Hand, app: Stage) -> None:
        await until(hand, lambda: "t chat template" in words(app))
        await hand.press("t")
        await until(hand, lambda: isinstance(app.screen, InfoScreen))
        await until(hand, lambda: app.screen.query_one(TextArea).text.count("x") == 9000)
        assert_harmless(app)
        await hand.press("escape", "y")

    app = play(ModelDetailsScreen("tiny", lambda: shown), steps)
    assert [copied.text for copied in app.copied] == [card_text(shown)]
    assert "  layers: 2" in card_text(shown)


def test_without_a_template_there_is_no_key_for_it(tmp_path: Path) -> None:
    shown = card(tmp_path, template=None)

    async def steps(hand: Hand, app: Stage) -> None:
        await until(hand, lambda: "y copy all" in words(app))
        assert "chat template" not in words(app).split("y copy all")[-1]
        await hand.press("t")
        assert isinstance(app.screen, ModelDetailsScreen)

    play(ModelDetailsScreen("tiny", lambda: shown), steps)


def test_a_file_that_has_gone_is_told() -> None:
    def gone() -> Card:
        raise ModelMissing("there is no model x", "it was there")

    async def steps(hand: Hand, app: Stage) -> None:
        await until(hand, lambda: "there is no model x — it was there" in words(app))
        await hand.press("t", "y", "escape")

    app = play(ModelDetailsScreen("x", gone), steps)
    assert (app.results, app.copied) == ([None], [])
