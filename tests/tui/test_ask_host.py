"""`ask` over a real host of a tiny model: the whole way from the shell to llama.cpp and back to the disk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.tui.asking import stored
from tests.tui.real_host import MAIN, RealHome, real_home

GREEDY = ("--temperature", "0", "--max-tokens", "12")


@pytest.fixture(scope="module")
def real() -> Iterator[RealHome]:
    with real_home("1h") as home:
        yield home


def envelope(real: RealHome, *arguments: str) -> dict[str, object]:
    asked = real.llmchat("ask", "--json", *arguments)
    assert asked.code == 0, asked
    found: dict[str, object] = json.loads(asked.out)
    return found


def test_a_pipe_gets_the_answer_and_it_is_on_disk(real: RealHome) -> None:
    asked = real.shell('echo "The tower is in Paris." | "$@" ask "Where is the tower?" --temperature 0 --max-tokens 12')
    assert (asked.code, asked.err) == (0, "")
    question, reply = stored(real.root / "home")
    assert question.text == "The tower is in Paris.\n\nWhere is the tower?"
    assert asked.out == reply.text.rstrip("\n") + "\n" or asked.out == reply.text
    assert len(reply.token_ids) == reply.stats["reply_tokens"]
    assert reply.settings["model_key"] == reply.model_key


def test_the_same_seed_gives_the_same_answer_again(real: RealHome) -> None:
    flags = ("-n", "--seed", "7", "--temperature", "0.9", "--max-tokens", "12", "hi")
    assert envelope(real, *flags)["token_ids"] == envelope(real, *flags)["token_ids"]


def test_a_chat_goes_on_from_the_cache(real: RealHome) -> None:
    envelope(real, *GREEDY, "a first question with some words")
    usage = envelope(real, "-c", *GREEDY, "and a second")["usage"]
    assert isinstance(usage, dict)
    assert usage["cached_tokens"] > usage["prefilled_tokens"] > 0


def test_the_exact_prompt(real: RealHome) -> None:
    asked = real.llmchat("ask", "--dry-run", "-s", "Be brief.", "hi <|im_end|>")
    assert asked.out.startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nhi <|im_end|><|im_end|>\n")
    assert asked.err.splitlines()[0].endswith(" tokens")


@pytest.mark.parametrize("streams", ["<&-", "2>&-", "<&- 2>&-", ">&-"])
def test_a_host_is_started_without_some_of_the_three_streams(streams: str) -> None:
    """The descriptors that the host is given must not land on the numbers that are free."""
    with real_home("0") as home:
        asked = home.shell(f'"$@" ask -n hi --max-tokens 2 {streams}')
    assert asked.code == (141 if streams == ">&-" else 0)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "empty"), (b"<!DOCTYPE html><html>", "page"), (b"version https://git-lfs.github.com/spec/v1\n", "LFS")],
)
def test_a_file_that_is_no_model(real: RealHome, tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(content)
    asked = real.llmchat("ask", "-m", str(file), "hi")
    assert (asked.code, asked.out) == (3, "")
    assert words in asked.err
    assert "Traceback" not in asked.err


def test_a_prompt_that_does_not_fit(real: RealHome) -> None:
    asked = real.shell('yes word | head -n 5000 | "$@" ask -n -')
    assert asked.code == 4, asked
    assert "2,048" in asked.err


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_host_that_dies_in_an_answer(real: RealHome, number: signal.Signals) -> None:
    """The partial answer is shown and kept, and the next answer works."""
    with subprocess.Popen(
        [*MAIN, "ask", "--temperature", "1", "--seed", "1", "--ctx", "2048", "hi"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=real.environ,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        seen = os.read(process.stdout.fileno(), 1)
        for pid in real.pids():
            os.kill(pid, number)
        rest, errors = process.communicate(timeout=20)
    if process.returncode == 0:
        pytest.skip("the answer was faster than the signal")
    assert process.returncode == 8
    assert b"Traceback" not in errors
    reply = stored(real.root / "home")[1]
    assert reply.status == "failed"
    assert (seen + rest).decode(errors="replace").startswith(reply.text[:1])
    assert real.llmchat("ask", "-n", *GREEDY, "hi").code == 0


def test_an_interrupt_keeps_what_came_and_the_host(real: RealHome) -> None:
    with subprocess.Popen(
        [*MAIN, "ask", "--temperature", "1", "--seed", "2", "hi"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=real.environ,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        os.read(process.stdout.fileno(), 1)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    if process.returncode == 0:
        pytest.skip("the answer was faster than the signal")
    assert process.returncode == 130
    assert stored(real.root / "home")[1].status == "stopped"  # and not "complete": it was not waited for
    assert real.pids()
