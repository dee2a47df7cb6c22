"""Finding a host or starting one: races, stale sockets, and hosts that are just leaving."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engine.conftest import StartEngine
from tests.engine.rig import ask, host_pids, until

from llmchat_engine.errors import HostUnreachable, ModelMissing
from llmchat_engine.launch import Places, last_words, socket_name
from llmchat_engine.types import ModelSpec

RACER = """
import sys
from pathlib import Path
from llmchat_engine.client import LocalEngine
from llmchat_engine.launch import Places
from llmchat_engine.types import Message, ModelSpec, Request, Sampling
model, runtime, logs, state = map(Path, sys.argv[1:])
engine = LocalEngine(ModelSpec(model, threads=1), Places(runtime, logs, state), keepalive=0.0)
sys.stdin.readline()
request = Request((Message("user", "hello"),), Sampling(temperature=0.0, max_tokens=3))
*_, last = engine.generate(request)
print(engine.pid, *last.token_ids, flush=True)
sys.stdin.readline()
engine.close()
"""


@pytest.fixture
def racers(places: Places, tiny_chat: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Eight client processes that wait for a line before each of their two steps."""
    paths = [os.fspath(path) for path in (tiny_chat, places.runtime, places.logs, places.state)]
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", RACER, *paths], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            for _ in range(8)
        ]


def say(racer: subprocess.Popen[str]) -> None:
    assert racer.stdin is not None
    racer.stdin.write("\n")
    racer.stdin.flush()


def test_eight_clients_at_once_start_exactly_one_host(racers: list[subprocess.Popen[str]], places: Places) -> None:
    for racer in racers:
        say(racer)
    answers = {racer.stdout.readline() for racer in racers if racer.stdout}
    hosts = host_pids(places.runtime)
    for racer in racers:
        say(racer)
    assert len(hosts) == 1
    assert len(answers) == 1
    assert answers.pop().split()[0] == str(hosts[0])
    assert [racer.wait(10) for racer in racers] == [0] * 8


def stale_socket(path: Path) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(os.fspath(path))


def test_a_stale_socket_is_replaced(start: StartEngine, places: Places, tiny_chat: Path) -> None:
    name = socket_name(ModelSpec(tiny_chat, threads=1))
    stale_socket(places.runtime / f"{name}.sock")
    (places.runtime / f"{name}.pid").write_text(str(os.getpid()))
    engine = start()
    assert ask(engine).reply_tokens > 0
    assert host_pids(places.runtime) == [engine.pid]


def test_a_plain_file_in_the_sockets_place_is_replaced(start: StartEngine, places: Places, tiny_chat: Path) -> None:
    places.runtime.mkdir(mode=0o700)
    (places.runtime / f"{socket_name(ModelSpec(tiny_chat, threads=1))}.sock").write_text("")
    assert ask(start()).reply_tokens > 0


def test_a_host_that_just_leaves_is_replaced(start: StartEngine, places: Places) -> None:
    for _ in range(4):
        engine = start()
        assert ask(engine, max_tokens=1).reply_tokens == 1
        engine.close()
    assert until(lambda: not host_pids(places.runtime))


def test_a_file_that_is_not_there(start: StartEngine, places: Places, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"absent\.gguf"):
        ask(start(tmp_path / "absent.gguf"))
    assert host_pids(places.runtime) == []


def test_a_link_that_bites_its_tail(start: StartEngine, tmp_path: Path) -> None:
    (tmp_path / "loop.gguf").symlink_to(tmp_path / "loop.gguf")
    with pytest.raises(ModelMissing):
        ask(start(tmp_path / "loop.gguf"))


def test_two_names_of_one_file_share_a_host(start: StartEngine, tiny_chat: Path, tmp_path: Path) -> None:
    (tmp_path / "alias.gguf").symlink_to(tiny_chat)
    one, other = start(), start(tmp_path / "alias.gguf")
    ask(one)
    ask(other)
    assert one.pid == other.pid


def test_a_python_that_cannot_be_started(start: StartEngine, places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(HostUnreachable, match="could not be started"):
        ask(start())
    monkeypatch.undo()
    assert ask(start()).reply_tokens > 0


def test_a_runtime_directory_that_is_a_file(start: StartEngine, places: Places) -> None:
    places.runtime.write_text("")
    with pytest.raises(HostUnreachable):
        ask(start())


def test_preparing_starts_a_host_once(start: StartEngine, places: Places) -> None:
    engine = start()
    engine.prepare()
    pid = engine.pid
    engine.prepare()
    ask(engine)
    assert engine.pid == pid
    assert host_pids(places.runtime) == [pid]


def test_preparing_and_going_leaves_nobody(start: StartEngine, places: Places) -> None:
    engine = start(keepalive=60.0)
    engine.prepare()
    engine.close()
    assert until(lambda: not host_pids(places.runtime), 2.0)


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("", "its log is empty"),
        ("2026-11-22T05:34:05 18265 loaded tiny\n", "loaded tiny"),
        (
            "2026-11-22T05:34:05 1 leaving: asked to stop\n2026-11-22T05:34:05 1 llama_decode: ret = 2\n",
            "leaving: asked",
        ),
        ("/x/vendor/llama.cpp/a.cpp:12: GGML_ASSERT(a == b) failed\nmore\n", "llama.cpp/a.cpp:12: GGML_ASSERT(a == b)"),
        ("Fatal Python error: Segmentation fault\n\nThread 0x1:\n  File\n", "Fatal Python error: Segmentation fault"),
        ("Fatal Python error: old\n2026-11-22T05:34:05 1 started\n2026-11-22T05:34:05 1 new\n", "new"),
    ],
)
def test_the_last_words_of_a_log(tmp_path: Path, log: str, words: str) -> None:
    path = tmp_path / "host.log"
    assert last_words(path) == "its log cannot be read"
    path.write_text(log)
    assert last_words(path).startswith(words)
