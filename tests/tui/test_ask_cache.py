"""`llmchat ask` and the model's memory: how it is loaded, what is kept of a chat, what happens when it is full."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.tui.asking import Opened, ask, environment, stored, words
from tests.tui.stored import add_turn

from llmchat_engine import Event, Finished, Message, Prefill, Request, Restored
from llmchat_engine.client import LocalEngine
from llmchat_engine.launch import Places
from llmchat_engine.testing import FAKE_MODEL, FakeEngine, Script
from llmchat_tui.cli.app import App
from llmchat_tui.history import History

SMALL = replace(FAKE_MODEL, n_ctx=800)
"""A context that ten turns of `long_chat` do not fit into with room for a reply."""


def engine_of(*texts: str) -> FakeEngine:
    return FakeEngine([Script(text) for text in texts])


def test_how_the_model_keeps_its_memory(home: Path) -> None:
    opened = Opened()
    flags = ("--batch", "64", "--cache-type-k", "q8_0", "--cache-type-v", "q4_0")
    assert ask(home, *flags, "hi", engine=opened).code == 0
    environ = environment(home, LLMCHAT_BATCH="128", LLMCHAT_CACHE_TYPE_K="q4_0", LLMCHAT_CACHE_TYPE_V="q8_0")
    assert ask(home, "hi", engine=opened, environ=environ).code == 0
    assert ask(home, "hi", engine=opened).code == 0
    assert [(spec.batch, spec.cache_type_k, spec.cache_type_v) for spec, _ in opened.specs] == [
        (64, "q8_0", "q4_0"), (128, "q4_0", "q8_0"), (512, "f16", "f16"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "flags",
    [
        ("--batch", "31"),
        ("--batch", "4097"),
        ("--cache-type-k", "q5_1"),
        ("--cache-type-v", ""),
        ("--overflow", "ask"),
        ("--overflow", "cut"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_used_is_refused(home: Path, flags: tuple[str, str]) -> None:
    opened = Opened()
    asked = ask(home, *flags, "hi", engine=opened)
    assert (asked.code, asked.out, opened.specs) == (2, "", [])
    assert flags[0] in asked.err


def test_help_tells_what_a_quantised_cache_costs(home: Path) -> None:
    told = " ".join(ask(home, "--help").out.split())
    assert "flash attention" in told
    assert "halves the speed" in told


@pytest.mark.parametrize(
    ("flags", "setting", "kept"),
    [((), "", True), (("--no-kv-cache",), "", False), (("-n",), "", False), ((), "false", False), ((), "true", True)],
)
def test_what_may_be_written_to_disk(home: Path, flags: tuple[str, ...], setting: str, kept: bool) -> None:
    engine = FakeEngine()
    assert ask(home, *flags, "hi", engine=engine, environ=environment(home, LLMCHAT_KV_CACHE=setting)).code == 0
    assert engine.requests[0].store is kept


def places_of(home: Path, **more: str) -> Places:
    app = App(environ=environment(home, **more))
    engine = app.new_engine(app.spec(""))
    assert isinstance(engine, LocalEngine)
    return engine._places


def test_where_the_engine_keeps_chats(home: Path) -> None:
    places = places_of(home, LLMCHAT_KV_CACHE_GIB="0.5")
    assert (places.kv, places.kv_budget) == (home / "cache" / "kv", 1 << 29)
    assert (home / "cache" / "kv").stat().st_mode & 0o777 == 0o700
    assert places_of(home).kv_budget == 0
    assert places_of(home, LLMCHAT_KV_CACHE="false").kv is None


def test_a_cache_that_cannot_be_made_ends_no_question(home: Path) -> None:
    home.mkdir()
    (home / "cache").write_text("in the way")
    assert places_of(home).kv == home / "cache" / "kv"


@pytest.mark.parametrize("flags", [("-c",), ("--cid", "one")])
def test_the_engine_knows_a_chat_by_its_id(home: Path, flags: tuple[str, ...]) -> None:
    engine = FakeEngine()
    ask(home, "one", engine=engine)
    ask(home, *flags, "two", engine=engine)
    ask(home, "-n", *flags, "three", engine=engine)
    chat = stored(home)[0].conversation_id
    assert [request.chat for request in engine.requests] == [chat, chat, ""]


def test_the_answer_begins_as_it_was_told(home: Path) -> None:
    engine = engine_of(" one two.")
    asked = ask(home, "--prefill", "Sure:", "hi", engine=engine)
    assert (asked.code, asked.out, asked.err) == (0, "Sure: one two.\n", "")
    assert engine.requests[0].messages == (Message("user", "hi"), Message("assistant", "Sure:"))
    assert stored(home)[1].text == "Sure: one two."


@pytest.mark.parametrize("flags", [("--no-stream",), ("-n",), ("--raw",)])
def test_the_whole_answer_is_printed(home: Path, flags: tuple[str, ...]) -> None:
    assert ask(home, *flags, "--prefill", "Sure:", "hi", engine=engine_of(" one.")).out == "Sure: one.\n"


def test_a_prefill_can_open_a_code_block(home: Path) -> None:
    asked = ask(home, "-x", "--prefill", "```py\n", "hi", engine=engine_of("x = 1\n```\n"))
    assert (asked.code, asked.out, asked.err) == (0, "x = 1\n", "")


def test_json_has_the_whole_answer(home: Path) -> None:
    found = json.loads(ask(home, "--json", "--prefill", "Sure:", "hi", engine=engine_of(" one.")).out)
    assert found["reply"] == "Sure: one."


def test_what_came_behind_a_prefill_before_a_crash_is_shown(home: Path) -> None:
    asked = ask(home, "--prefill", "Sure:", "hi", engine=FakeEngine([Script(" one two three", crash_after=1)]))
    assert (asked.code, asked.out) == (8, "Sure: one\n")
    assert stored(home)[1].text == "Sure: one"


def test_dry_run_shows_the_prefill(home: Path) -> None:
    asked = ask(home, "--dry-run", "--prefill", "Sure:", "hi")
    assert asked.out == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nSure:\n"


def long_chat(history: History) -> None:
    """Adds a chat of ten turns with 60 words each."""
    chat = add_turn(history, words(30), words(30))
    for _ in range(9):
        add_turn(history, words(30), words(30), chat)


@pytest.mark.parametrize("setting", ["ask", "drop"])
def test_a_chat_that_is_too_long_loses_its_oldest_turns_and_says_so(home: Path, history: History, setting: str) -> None:
    long_chat(history)
    engine = FakeEngine(model=SMALL)
    asked = ask(home, "-q", "-c", "and now?", engine=engine, environ=environment(home, LLMCHAT_OVERFLOW=setting))
    assert (asked.code, asked.out) == (0, "Hello there.\n")
    (line,) = asked.err.splitlines()
    assert line.startswith("llmchat: warning: ")
    assert line.endswith(" tokens) are not seen by the model any more")
    assert len(engine.requests[0].messages) < 21
    assert engine.requests[0].messages[-1].text == "and now?"


def test_the_flag_goes_over_the_setting(home: Path, history: History) -> None:
    long_chat(history)
    environ = environment(home, LLMCHAT_OVERFLOW="stop")
    assert ask(home, "-c", "a", engine=FakeEngine(model=SMALL), environ=environ).code == 4
    assert ask(home, "-c", "--overflow", "drop", "a", engine=FakeEngine(model=SMALL), environ=environ).code == 0


def test_a_chat_that_is_too_long_can_stop(home: Path, history: History) -> None:
    long_chat(history)
    asked = ask(home, "-c", "--overflow", "stop", "and now?", engine=FakeEngine(model=SMALL))
    assert (asked.code, asked.out) == (4, "")
    assert "--overflow drop" in asked.err


def test_a_summary_can_stand_for_the_oldest_turns(home: Path, history: History) -> None:
    long_chat(history)
    engine = FakeEngine([Script("They counted."), Script("Done.")], model=SMALL)
    asked = ask(home, "-c", "--overflow", "summarize", "and now?", engine=engine)
    assert (asked.code, asked.out) == (0, "Done.\n")
    assert "a summary stands in their place" in asked.err
    assert "They counted." in engine.requests[1].messages[0].text


def test_dry_run_shows_what_the_model_still_sees(home: Path, history: History) -> None:
    long_chat(history)
    engine = FakeEngine(model=SMALL)
    ask(home, "-c", "and now?", engine=engine)
    shown = ask(home, "-c", "--dry-run", "and then?", engine=engine).out
    assert shown.count("<|im_start|>") == len(engine.requests[0].messages) + 2


def test_what_was_left_out_is_among_the_warnings_of_json(home: Path, history: History) -> None:
    long_chat(history)
    found = json.loads(ask(home, "--json", "-c", "a", engine=FakeEngine(model=SMALL)).out)
    assert ["not seen by the model" in warning for warning in found["warnings"]] == [True]


@dataclass
class Restoring(FakeEngine):
    """An engine that gets its cache back from disk, moves a part of it and computes another anew."""

    def generate(self, request: Request) -> Generator[Event, None, None]:
        restored = Restored(812, 0.0114, "disk")
        for event in FakeEngine.generate(self, request):
            if isinstance(event, Prefill):
                yield restored
            if isinstance(event, Finished):
                event = replace(event, restored=restored, shifted_tokens=30, recomputed="the system prompt changed")
            yield event


def test_what_was_saved_is_told(home: Path) -> None:
    line = ask(home, "-u", "hi", engine=Restoring()).err
    for told in ("restored 812 tokens from disk in 11 ms", "moved up 30 tokens", "recomputed the system prompt"):
        assert told in line
    block = ask(home, "--verbose", "hi", engine=Restoring()).err
    assert {"restored", "moved up", "recomputed"} <= {row[:12].strip() for row in block.splitlines()}
    found = json.loads(ask(home, "--json", "hi", engine=Restoring()).out)
    usage = found["usage"]
    assert (usage["restored_tokens"], usage["restored_from"], usage["shifted_tokens"]) == (812, "disk", 30)
    assert (usage["recomputed"], found["timing"]["restore_seconds"]) == ("the system prompt changed", 0.0114)
