"""The page of models beyond choosing one: servers, trials, verifying, removing, what can be pulled."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from tests.engine.tiny_gguf import tiny_llama
from tests.tui.screen.model_stage import FOUND, GB, REPO, SMALL, StockDouble
from tests.tui.screen.models_page import page, read, two_models
from tests.tui.screen.screen_stage import Hand, Stage, play, until, words

from llmchat_engine.models.hub.types import Reference
from llmchat_engine.models.hub.verify import Verdict
from llmchat_engine.models.library import LocalModel
from llmchat_engine.models.progress import Progress
from llmchat_engine.models.trials import Trial
from llmchat_tui.config import load_config
from llmchat_tui.model_tables import Remote
from llmchat_tui.pulls import Job, Pulls
from llmchat_tui.screens.hub_search import HubScreen
from llmchat_tui.screens.hub_variants import VariantsScreen
from llmchat_tui.screens.model_details import ModelDetailsScreen
from llmchat_tui.screens.model_entries import Download, Offer, Search, Server, entries_of, reference_in, same
from llmchat_tui.screens.model_list import ModelFilter, ModelList
from llmchat_tui.screens.model_rows import Columns, head_line, remote_row
from llmchat_tui.screens.models import ModelChosen, ModelsScreen

HALF = Progress("downloading", 6 * GB // 5, SMALL.size, "bytes", 38e6, SMALL.path)
REFERENCE = Reference(REPO.name, "Q4_K_M")


@pytest.fixture
def stock(tmp_path: Path) -> StockDouble:
    return two_models(tmp_path)


# --- servers ---------------------------------------------------------------------------------------------------------


def test_a_server_of_the_config_is_chosen_by_its_name(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[remotes.box]\nbase_url = "http://gpu.example.org:8000/v1"\n')
    stock = StockDouble(tmp_path, load_config(config, {}))

    async def steps(hand: Hand, app: Stage) -> None:
        await read(hand, app)
        assert "openai:box" in words(app)
        assert "gpu.example.org:8000" in words(app)
        await hand.press("d")

    assert play(ModelsScreen([], "", stock, Pulls(stock)), steps).results == [ModelChosen("openai:box", True)]


@pytest.mark.parametrize(
    ("address", "place", "leaves"),
    [
        ("http://127.0.0.1:8000/v1", "127.0.0.1:8000", False),
        ("http://localhost/v1", "localhost", False),
        ("https://user:secret@gpu.example.org/v1", "gpu.example.org", True),
        ("http://[::1/v1", "?", True),
    ],
)
def test_a_server_says_where_it_is_and_whether_text_leaves(address: str, place: str, leaves: bool) -> None:
    row = remote_row("openai:box", Remote(base_url=address), Columns(100, 20, 20), current=False).plain
    assert place in row
    assert "secret" not in row
    assert ("leaves this machine" in row) is leaves


# --- trials, verifying, removing -------------------------------------------------------------------------------------


def test_what_was_never_loaded_is_tried_one_at_a_time_and_told(stock: StockDouble) -> None:
    stock.trials["beta.gguf"] = Trial(False, "llama.cpp crashes on this file (SIGABRT)")

    async def steps(hand: Hand, app: Stage) -> None:
        await read(hand, app)
        await until(hand, lambda: "does not load: llama.cpp crashes" in words(app))
        assert stock.asked == ["try alpha.gguf", "try beta.gguf"]
        await hand.press("down", "enter")
        assert "beta cannot be used: does not load" in words(app)

    assert play(page(stock), steps).results == []


def test_where_memory_ran_out_a_model_can_be_used_all_the_same(stock: StockDouble) -> None:
    stock.trials["alpha.gguf"] = Trial(False, "it was not tried: 4 MiB are free", lasting=False)

    async def steps(hand: Hand, app: Stage) -> None:
        await read(hand, app)
        await until(hand, lambda: "it was not tried: 4 MiB are free" in words(app))
        await hand.press("enter")

    assert play(page(stock), steps).results == [ModelChosen(str(stock.models_dir / "alpha.gguf"), False)]


def test_a_slow_trial_keeps_nobody(stock: StockDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    held = threading.Event()
    monkeypatch.setattr(stock, "try_model", lambda _path: (held.wait(20), Trial(True))[1])

    async def steps(hand: Hand, app: Stage) -> None:
        await read(hand, app)
        await hand.press("escape")

    try:
        assert play(page(stock), steps).results == [None]
    finally:
        held.set()


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (Verdict(True, "it has the sha256 that was pulled", "a"), "intact: it has the sha256"),
        (Verdict(False, "its sha256 is another one", "b"), "damaged: its sha256 is another one"),
    ],
)
def test_verifying_goes_on_beside_the_list(stock: StockDouble, verdict: Verdict, said: str) -> None:
    stock.verdict = verdict
    stock.gate.clear()

    async def steps(hand: Hand, app: Stage) -> None:
        await read(hand, app)
        await hand.press("v")
        await until(hand, lambda: "verifying" in words(app) and "1.0 of 2.0 GB" in words(app))
        await hand.press("down")
        stock.gate.set()
        await until(hand, lambda: said in words(app))

    play(page(stock), steps)


def test_a_model_is_removed_when_it_is_said_twice(stock: StockDouble) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        screen = await read(hand, app)
        await hand.press("x")
        assert "x once more removes alpha" in words(app)
        await hand.press("down", "up", "x")
        assert "remove alpha.gguf" not in stock.asked
        await hand.press("x")
        await until(hand, lambda: [model.name for model in screen.models] == ["beta"])
        assert "alpha" not in words(app)

    play(page(stock), steps)
    assert not (stock.models_dir / "alpha.gguf").exists()


def test_what_is_in_use_or_belongs_to_another_program_stays(stock: StockDouble, tmp_path: Path) -> None:
    other = LocalModel("llama3.2:3b", tiny_llama(tmp_path / "blob.gguf"), "ollama", 5)
    models = [*stock.find(), other]
    screen = ModelsScreen(models, str(stock.models_dir / "alpha.gguf"), stock, Pulls(stock))

    async def steps(hand: Hand, app: Stage) -> None:
        await read(hand, app)
        await hand.press("x")
        assert "alpha is in use" in words(app)
        await hand.press("end", "up", "x")
        assert "belongs to Ollama: ollama rm llama3.2:3b" in words(app)
        await hand.press("x")

    play(screen, steps)
    assert not [asked for asked in stock.asked if asked.startswith("remove")]


def test_details_open_over_the_list(stock: StockDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock, "machine", lambda: None)

    async def steps(hand: Hand, app: Stage) -> None:
        app.screen.query_one(ModelList).focus()
        await hand.press("i")
        await until(hand, lambda: isinstance(app.screen, ModelDetailsScreen))
        await until(hand, lambda: "architecture" in words(app))
        await hand.press("escape")
        assert isinstance(app.screen, ModelsScreen)

    play(page(stock), steps)


# --- the hub ---------------------------------------------------------------------------------------------------------


def test_words_typed_on_the_list_arrive_whole(stock: StockDouble) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        screen = await read(hand, app)
        await hand.press(*"beta")
        assert screen.query_one(ModelFilter).value == "beta"
        await hand.press("down", "slash", *"al")
        assert screen.query_one(ModelFilter).value == "al"

    play(page(stock), steps)


def test_the_way_to_the_hub_says_whom_it_asks(stock: StockDouble) -> None:
    stock.environ = {**stock.environ, "HF_ENDPOINT": "https://hub.example.org"}

    async def steps(hand: Hand, app: Stage) -> None:
        await read(hand, app)
        assert "search the hub asks hub.example.org" in words(app)

    play(page(stock), steps)


def test_words_without_a_model_lead_to_the_hub(stock: StockDouble) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        await read(hand, app)
        app.screen.query_one(ModelFilter).focus()
        await hand.press(*"gemma", "enter")
        await until(hand, lambda: isinstance(app.screen, HubScreen))
        await until(hand, lambda: FOUND.repo in words(app))
        assert "search gemma" in stock.asked
        await hand.press("enter")
        await until(hand, lambda: isinstance(app.screen, VariantsScreen))
        await until(hand, lambda: "best for this machine" in words(app))
        await hand.press("enter")
        await until(hand, lambda: isinstance(app.screen, ModelsScreen))
        await until(hand, lambda: f"pull {REPO.name} Q4_K_M" in stock.asked)

    play(page(stock), steps)


def test_nothing_is_asked_before_the_hub_is_opened(stock: StockDouble) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        await read(hand, app)
        app.screen.query_one(ModelFilter).focus()
        await hand.press(*"gemma 3", "down", "up")
        assert [asked for asked in stock.asked if not asked.startswith("try")] == []
        app.screen.query_one(ModelList).focus()
        await hand.press("h")
        await until(hand, lambda: isinstance(app.screen, HubScreen))

    play(page(stock), steps)


# --- pure ------------------------------------------------------------------------------------------------------------


def test_what_the_list_has_rows_for(stock: StockDouble) -> None:
    models, remotes = stock.find(), {"box": Remote(base_url="http://x/v1")}
    jobs = [Job(REFERENCE), Job(Reference("a/b"), "done")]
    kinds = [type(entry) for entry in entries_of(models, remotes, jobs, "")]
    assert kinds == [LocalModel, LocalModel, Server, Download, Search]
    assert [type(entry) for entry in entries_of(models, remotes, [], "ALPH")] == [LocalModel, Search]
    assert [type(entry) for entry in entries_of(models, {}, [], "user/repo:Q4_0")] == [Offer, LocalModel, LocalModel]
    assert Search("x") in entries_of(models, {}, [], "x")
    assert same(Search("a"), Search("b"))
    assert not same(models[0], models[1])


def test_what_names_something_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / "here").touch()
    assert reference_in("user/repo:int4") == Reference("user/repo", "Q4_K_M")
    assert reference_in("https://huggingface.co/user/repo") == Reference("user/repo")
    assert reference_in("user/repo/x-Q8_0.gguf") == Reference("user/repo", file="x-Q8_0.gguf")
    for text in ("", "qwen", "/user/repo", "./user/repo", "~/user", "user/here", "a b/c", "x\0/y", "openai:name"):
        assert reference_in(text) is None, text


def test_the_machine_in_a_line() -> None:
    from tests.tui.screen.model_stage import MACHINE

    assert head_line(None, 0) == ""
    assert head_line(MACHINE, 16 * GB) == "RAM 16.0 GB free 10.0 GB · GPU none"
    assert head_line(MACHINE, 0) == "RAM free 10.0 GB · GPU none"
