"""Every flag of `llmchat ask`, in this process with a scripted engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.tui.asking import Opened, ask, environment, stored
from tests.tui.stored import add_turn

from llmchat_engine import Message
from llmchat_engine.testing import FakeEngine, Script
from llmchat_tui.cli.ask import ask as ask_command
from llmchat_tui.history import History

CODE = "Look:\n```py\nx = 1\n```\nand\n```\ny = 2\n```\n"


def engine_of(text: str) -> FakeEngine:
    return FakeEngine([Script(text)])


@pytest.mark.parametrize("flag", ["-n", "--no-log"])
def test_no_log_leaves_no_file(home: Path, flag: str) -> None:
    engine = FakeEngine()
    assert ask(home, flag, "hi", engine=engine).code == 0
    assert not (home / "chats.db").exists()
    assert list(home.rglob("*")) == []
    assert engine.requests[0].private


@pytest.mark.parametrize("flag", ["-m", "--model"])
def test_model(home: Path, flag: str) -> None:
    opened = Opened()
    other = home.parent / "other.gguf"
    other.touch()
    assert ask(home, flag, str(other), "hi", engine=opened).code == 0
    assert opened.specs[0][0].path == other


def test_how_the_model_is_loaded(home: Path) -> None:
    opened = Opened()
    flags = ("--ctx", "512", "--gpu-layers", "3", "--threads", "2", "--keepalive", "1m30s")
    assert ask(home, *flags, "hi", engine=opened).code == 0
    ((spec, keepalive),) = opened.specs
    assert (spec.n_ctx, spec.gpu_layers, spec.threads, keepalive) == (512, 3, 2, 90.0)
    environ = environment(home, LLMCHAT_CTX="256", LLMCHAT_KEEPALIVE="0", LLMCHAT_THREADS="1")
    assert ask(home, "hi", engine=opened, environ=environ).code == 0
    spec, keepalive = opened.specs[1]
    assert (spec.n_ctx, spec.gpu_layers, spec.threads, keepalive) == (256, -1, 1, 0.0)


@pytest.mark.parametrize("flag", ["-s", "--system"])
def test_system(home: Path, flag: str) -> None:
    engine = FakeEngine()
    ask(home, flag, "Be brief.", "hi", engine=engine)
    assert engine.requests[0].messages[0] == Message("system", "Be brief.")


@pytest.mark.parametrize("flag", ["--sf", "--system-file"])
def test_system_file(home: Path, flag: str, tmp_path: Path) -> None:
    file = tmp_path / "system.txt"
    file.write_text("Be brief.\n")
    engine = FakeEngine()
    ask(home, flag, str(file), "hi", engine=engine)
    assert engine.requests[0].messages[0] == Message("system", "Be brief.")


@pytest.mark.parametrize(
    ("name", "code"), [("missing", 2), ("/dev/zero", 9), (".", 2), ("binary", 9)], ids=lambda value: str(value)
)
def test_a_system_file_that_cannot_be_used(home: Path, name: str, code: int, tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\0\0")
    asked = ask(home, "--sf", str(tmp_path / name), "hi")
    assert (asked.code, asked.out) == (code, "")


def test_the_system_prompt_comes_from_the_flag_the_chat_or_the_settings(home: Path) -> None:
    engine = FakeEngine()
    environ = environment(home, LLMCHAT_SYSTEM="From the settings.")
    ask(home, "one", engine=engine, environ=environ)
    ask(home, "-s", "From the flag.", "two", engine=engine, environ=environ)
    ask(home, "-c", "three", engine=engine, environ=environ)
    ask(home, "-c", "-s", "Another.", "four", engine=engine, environ=environ)
    ask(home, "-s", "", "five", engine=engine, environ=environ)
    first = [request.messages[0] for request in engine.requests]
    assert [message.text for message in first] == [
        "From the settings.", "From the flag.", "From the flag.", "Another.", "five",
    ]  # fmt: skip


@pytest.mark.parametrize("flag", ["-c", "--continue"])
def test_continue_goes_on_with_the_newest_chat(home: Path, flag: str) -> None:
    engine = FakeEngine([Script("Paris."), Script("330 m.")])
    ask(home, "Where?", engine=engine)
    ask(home, flag, "How high?", engine=engine)
    assert [message.text for message in engine.requests[1].messages] == ["Where?", "Paris.", "How high?"]
    assert engine.requests[1].messages[1].token_ids == (0,)
    assert [message.text for message in stored(home)] == ["Where?", "Paris.", "How high?", "330 m."]


def test_continue_without_a_chat(home: Path) -> None:
    asked = ask(home, "-c", "hi")
    assert (asked.code, "no chat to go on with" in asked.err) == (1, True)


@pytest.mark.parametrize("flag", ["--cid", "--conversation"])
def test_a_chat_by_name(home: Path, history: History, flag: str) -> None:
    chat = add_turn(history, "About towers", "Yes?")
    add_turn(history, "Poem", "Roses")
    engine = FakeEngine()
    for name in (chat, chat[:12], "About towers"):
        assert ask(home, flag, name, "hi", engine=engine).code == 0
    assert [message.text for message in engine.requests[0].messages] == ["About towers", "Yes?", "hi"]
    assert len(history.messages(chat)) == 8
    assert ask(home, flag, "nothing of the kind", "hi").code == 1


@pytest.mark.parametrize("flags", [("-c",), ("--cid", "Poem")])
def test_no_log_reads_a_chat_and_writes_nothing(home: Path, history: History, flags: tuple[str, ...]) -> None:
    add_turn(history, "Poem", "Roses")
    before = [history.messages(chat.id) for chat in history.conversations()]
    engine = FakeEngine()
    assert ask(home, "-n", *flags, "hi", engine=engine).code == 0
    assert [message.text for message in engine.requests[0].messages] == ["Poem", "Roses", "hi"]
    assert [history.messages(chat.id) for chat in history.conversations()] == before


@pytest.mark.parametrize("flag", ["-f", "--file", "--fragment"])
def test_file(home: Path, flag: str, tmp_path: Path) -> None:
    file = tmp_path / "notes.md"
    file.write_text("The tower is in Paris.")
    engine = FakeEngine()
    ask(home, flag, str(file), "Where?", engine=engine, stdin=b"piped")
    (message,) = engine.requests[0].messages
    assert message.text == f"--- {file} ---\nThe tower is in Paris.\n\npiped\n\nWhere?"


@pytest.mark.parametrize(
    ("flag", "out"), [("-x", "x = 1\n"), ("--extract", "x = 1\n"), ("--xl", "y = 2\n"), ("--extract-last", "y = 2\n")]
)
def test_extract(home: Path, flag: str, out: str) -> None:
    asked = ask(home, flag, "hi", engine=engine_of(CODE))
    assert (asked.code, asked.out, asked.err) == (0, out, "")
    assert stored(home)[1].text == CODE


def test_extract_where_there_is_no_code(home: Path) -> None:
    asked = ask(home, "-x", "hi", engine=engine_of("No code."))
    assert (asked.code, asked.out) == (0, "No code.\n")
    assert "no fenced code block" in asked.err


@pytest.mark.parametrize("flag", ["-u", "--usage"])
def test_usage_is_told_off_a_terminal_too(home: Path, flag: str) -> None:
    asked = ask(home, flag, "hi", engine=engine_of("a b c"))
    assert asked.out == "a b c\n"
    assert "3 reply tokens" in asked.err
    assert len(asked.err.splitlines()) == 1


def test_verbose(home: Path) -> None:
    asked = ask(home, "--verbose", "-u", "hi", engine=engine_of("a b c"))
    assert asked.out == "a b c\n"
    assert {"model", "prompt", "reply", "ended by", "chosen by"} <= {
        line[:12].strip() for line in asked.err.splitlines()
    }


def test_warnings_are_told_always_and_quiet_too(home: Path) -> None:
    engine = FakeEngine([Script("Hello.", notice="no template, ChatML is used")])
    for flags in ((), ("-q",), ("--quiet",)):
        asked = ask(home, *flags, "hi", stdin=b"caf\xe9", engine=engine)
        lines = asked.err.splitlines()
        assert (asked.code, asked.out) == (0, "Hello.\n")
        assert lines == [
            "llmchat: warning: stdin is not UTF-8 text everywhere: 1 characters were replaced",
            "llmchat: warning: no template, ChatML is used",
        ]


def test_sampling_flags(home: Path) -> None:
    engine = FakeEngine()
    flags = "--temperature 0.5 --top-k 3 --top-p 0.5 --min-p 0.1 --seed 7 --max-tokens 9 --stop END --stop FIN"
    ask(home, *flags.split(), "hi", engine=engine)
    sampling = engine.requests[0].sampling
    assert (sampling.temperature, sampling.top_k, sampling.top_p, sampling.min_p) == (0.5, 3, 0.5, 0.1)
    assert (sampling.seed, sampling.max_tokens, sampling.stop) == (7, 9, ("END", "FIN"))
    ask(home, "--temp", "0", "hi", engine=engine)
    assert engine.requests[1].sampling.temperature == 0


def test_max_tokens_ends_the_answer(home: Path) -> None:
    assert ask(home, "--max-tokens", "2", "hi", engine=engine_of("a b c d")).out == "a b\n"


@pytest.mark.parametrize("flag", ["-o", "--option"])
def test_option(home: Path, flag: str) -> None:
    engine = FakeEngine()
    ask(home, flag, "repeat_penalty", "1.1", flag, "top-k", "5", "--top-k", "6", "hi", engine=engine)
    assert (engine.requests[0].sampling.repeat_penalty, engine.requests[0].sampling.top_k) == (1.1, 6)


def test_flags_go_over_the_environment_over_the_file(home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text("[sampling]\ntemperature = 0.1\ntop_k = 1\nseed = 1\n")
    engine = FakeEngine()
    environ = environment(home, LLMCHAT_TOP_K="2", LLMCHAT_SEED="2")
    ask(home, "--seed", "3", "hi", engine=engine, environ=environ)
    sampling = engine.requests[0].sampling
    assert (sampling.temperature, sampling.top_k, sampling.seed) == (0.1, 2, 3)


def test_raw(home: Path) -> None:
    engine = FakeEngine()
    ask(home, "--raw", "Once upon", engine=engine)
    assert engine.requests[0].raw


def test_markdown_is_rendered_in_a_pipe_only_when_asked(home: Path) -> None:
    engine = engine_of("# Title\n\n**bold**\n")
    assert ask(home, "hi", engine=engine).out == "# Title\n\n**bold**\n"
    assert ask(home, "--no-md", "hi", engine=engine).out == "# Title\n\n**bold**\n"
    rendered = ask(home, "--md", "hi", engine=engine)
    assert "bold" in rendered.out
    assert "**" not in rendered.out
    assert "\x1b" not in rendered.out


def test_color(home: Path) -> None:
    engine = engine_of("**bold**")
    for flags, more, colored in (
        (("--color", "always"), {}, True),
        (("--color", "always"), {"NO_COLOR": "1"}, True),
        (("--color", "never"), {"FORCE_COLOR": "1"}, False),
        (("--color", "auto"), {"FORCE_COLOR": "1"}, True),
        ((), {"FORCE_COLOR": "1"}, True),
        ((), {"FORCE_COLOR": "0"}, False),
        ((), {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ((), {"FORCE_COLOR": "1", "TERM": "dumb"}, False),
        ((), {"LLMCHAT_COLOR": "always"}, True),
        ((), {}, False),
    ):
        asked = ask(home, "--md", "-u", *flags, "hi", engine=engine, environ=environment(home, **more))
        assert ("\x1b" in asked.out) == ("\x1b" in asked.err) == colored, (flags, more)


def test_no_stream(home: Path) -> None:
    asked = ask(home, "--no-stream", "hi", engine=engine_of("a b c\n"))
    assert (asked.code, asked.out) == (0, "a b c\n")


def test_no_stream_prints_nothing_of_an_answer_that_failed(home: Path) -> None:
    asked = ask(home, "--no-stream", "hi", engine=FakeEngine([Script("a b c", crash_after=2)]))
    assert (asked.code, asked.out) == (8, "")
    assert stored(home)[1].text == "a b"


def test_json(home: Path) -> None:
    asked = ask(home, "--json", "hi", stdin=b"caf\xe9", engine=engine_of("a \x1b b"))
    (line,) = asked.out.splitlines()
    found = json.loads(line)
    assert (found["reply"], found["prompt"], found["stop_reason"]) == ("a \x1b b", "caf\ufffd\n\nhi", "eog")
    assert len(found["warnings"]) == 1
    assert "\x1b" not in asked.out


def test_dry_run_asks_nothing_and_writes_nothing(home: Path, tmp_path: Path) -> None:
    engine = FakeEngine()
    asked = ask(home, "--dry-run", "-s", "Be brief.", "hi", engine=engine)
    assert asked.out == "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n"
    chain = "top_k(40) → top_p(0.95) → min_p(0.05) → temp(0.8) → dist(seed drawn anew)"
    assert asked.err == f"5 tokens\nchosen by: {chain}\n"
    assert (asked.code, engine.requests, home.exists()) == (0, [], False)


def test_dry_run_shows_every_sampler_in_its_place(home: Path) -> None:
    flags = ("-o", "mirostat", "2", "-o", "logit_bias", "#7=-inf", "-o", "dry_multiplier", "0.8", "--seed", "4")
    told = ask(home, "--dry-run", *flags, "hi").err.splitlines()[1]
    assert told == "chosen by: logit_bias(#7=-inf) → dry(0.8, 1.75, 2, -1) → temp(0.8) → mirostat_v2(5, 0.1)"
    (home.parent / "g.gbnf").write_text('root ::= "a"')
    held = ask(home, "--dry-run", "--temperature", "0", "--grammar", str(home.parent / "g.gbnf"), "hi").err
    assert held.splitlines()[1] == "chosen by: greedy, again among what the grammar allows where it refuses"
    assert ask(home, "--dry-run", "--beams", "4", "hi").err.endswith("chosen by: 4 beams, length penalty 1\n")


def test_every_flag_is_tested_here() -> None:
    """A flag that no test of `ask` names has no test."""
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("test_ask*.py"))
    names = [name for parameter in ask_command.params for name in (*parameter.opts, *parameter.secondary_opts)]
    flags = [name for name in names if name.startswith("-")]
    assert len(flags) > 30
    assert [flag for flag in flags if f'"{flag}"' not in text and f"{flag} " not in text] == []
