"""The page of models beyond choosing one: servers, downloads, trials, verifying, removing, what can be pulled."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from tests.engine.tiny_gguf import tiny_llama
from tests.tui.screen.model_stage import FOUND, GB, REPO, SMALL, StockDouble
from tests.tui.screen.screen_stage import EVIL, SIZES, Hand, Stage, assert_harmless, play, until, words
from textual.widgets import Input

from llmchat_engine import HubForbidden
from llmchat_engine.models.hub.types import Reference, Variant
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
from llmchat_tui.screens.pull_rows import pull_row

HALF = Progress("downloading", 6 * GB // 5, SMALL.size, "bytes", 38e6, SMALL.path)
REFERENCE = Reference(REPO.name, "Q4_K_M")


@pytest.fixture
def stock(tmp_path: Path) -> StockDouble:
    """Two models: alpha and beta."""
    directory = tmp_path / "models"
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


# --- downloads -------------------------------------------------------------------------------------------------------


def test_a_reference_that_is_typed_is_pulled_and_appears_as_a_model(stock: StockDouble) -> None:
    stock.steps = [HALF]
    stock.gate.clear()
    screen = page(stock)

    async def steps(hand: Hand, app: Stage) -> None:
        await read(hand, app)
        screen.query_one(ModelFilter).focus()
        screen.query_one(Input).value = f"{REPO.name}:q4_k_m"
        await hand.pause()
        assert f"pull {REPO.name}:q4_k_m" in words(app)
        await hand.press("enter")
        stock.gate.set()
        await until(hand, lambda: any(model.repo == REPO.name for model in screen.models))
        await until(hand, lambda: "pulling" not in words(app))

    app = play(screen, steps)
    assert f"pull {REPO.name} Q4_K_M" in stock.asked
    assert app.results == []


def test_a_download_is_shown_stopped_gone_on_with_and_dropped(stock: StockDouble) -> None:
    stock.steps = [HALF]
    screen = page(stock)
    pulls = screen.pulls

    async def steps(hand: Hand, app: Stage) -> None:
        await read(hand, app)
        stock.gate.clear()
        pulls.add(REFERENCE, REPO, Variant("Q4_K_M", (SMALL,)))
        await until(hand, lambda: "1.2 of 2.5 GB · 38 MB/s · 34 s left" in words(app))
        screen.query_one(ModelList).highlighted = screen._entries.index(Download(Job(REFERENCE).key))
        await until(hand, lambda: "x stop" in words(app) and "x remove" not in words(app))
        await hand.press("x")
        await until(hand, lambda: "1.2 of 2.5 GB · r goes on" in words(app))
        await until(hand, lambda: "x remove" in words(app) and "x stop" not in words(app))
        await hand.press("r")
        await until(hand, lambda: "pulling" in words(app))
        await hand.press("x")
        await until(hand, lambda: "stopped" in words(app))
        await hand.press("x")
        await until(hand, lambda: "gemma" not in words(app))

    play(screen, steps)
    stock.gate.set()
    pulls.close(20)


def test_a_download_goes_on_when_the_page_is_closed(stock: StockDouble) -> None:
    stock.gate.clear()
    screen = page(stock)

    async def steps(hand: Hand, app: Stage) -> None:
        await read(hand, app)
        screen.pulls.add(REFERENCE)
        stock_asked = stock.gate
        await hand.press("escape")
        stock_asked.set()
        await until(hand, lambda: not screen.pulls.unfinished)

    assert play(screen, steps).results == [None]
    assert [job.state for job in screen.pulls.jobs] == ["done"]
    screen.pulls.close(20)


def test_keys_are_quick_while_a_download_tells_all_the_time(stock: StockDouble) -> None:
    """The page hears of it four times a second, however often the hub tells."""
    stock.steps = [HALF] * 20_000
    screen = page(stock)
    told: list[int] = []

    async def steps(hand: Hand, app: Stage) -> None:
        await read(hand, app)
        screen.pulls.follow(lambda: told.append(1))
        screen.pulls.add(REFERENCE, REPO, Variant("Q4_K_M", (SMALL,)))
        await hand.press(*["down", "up"] * 5)
        await until(hand, lambda: not screen.pulls.unfinished)

    play(screen, steps)
    assert len(told) < 200
    screen.pulls.close(20)


@pytest.mark.parametrize("size", SIZES)
def test_what_the_hub_says_of_a_download_is_harmless(stock: StockDouble, size: tuple[int, int]) -> None:
    stock.fault = HubForbidden(EVIL, EVIL, EVIL)
    screen = page(stock)

    async def steps(hand: Hand, app: Stage) -> None:
        await read(hand, app)
        screen.pulls.add(Reference("user/evil", "Q4_0"))
        await until(hand, lambda: not screen.pulls.unfinished)
        await hand.press("end", "up")
        await until(hand, lambda: "failed" in words(app))
        assert_harmless(app)
        assert "[red]d[/red]" in words(app)

    play(screen, steps, size)
    screen.pulls.close(20)


def test_rows_of_downloads_in_every_state() -> None:
    told = {
        "waits": "waiting",
        "runs": "asking the hub",
        "tries": "loading it once",
        "failed": "it broke",
        "stopped": "r goes on",
    }
    for state, part in told.items():
        job = Job(REFERENCE, state, problem="it broke")  # type: ignore[arg-type]
        for width in (30, 72, 110):
            row = pull_row(job, width, "r").plain
            assert part in row.replace("\n ", "")
            assert max(map(len, row.split("\n"))) <= width


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
