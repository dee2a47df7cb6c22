"""What a host process may see and leave behind: environment, log, file modes, limits, private requests."""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.engine.conftest import StartEngine
from tests.engine.rig import ask, end_of, question

from llmchat_engine import launch
from llmchat_engine.errors import ContextFull, HostUnreachable
from llmchat_engine.launch import Places
from llmchat_engine.types import Message, Request, Sampling

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
SECRET = "hf_verysecretvalue"
NAMES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "DB_PASSWORD", "HTTPS_PROXY")


@needs_proc
def test_secrets_of_the_environment_do_not_reach_the_host(start: StartEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, SECRET)
    monkeypatch.setenv("LC_TEST_HARMLESS", "1")
    engine = start()
    ask(engine)
    environment = Path(f"/proc/{engine.pid}/environ").read_bytes()
    assert SECRET.encode() not in environment
    assert b"LC_TEST_HARMLESS=1" in environment
    assert b"PATH=" in environment


@needs_proc
def test_the_host_goes_first_when_memory_runs_out_and_leaves_no_core(start: StartEngine) -> None:
    engine = start()
    ask(engine)
    assert Path(f"/proc/{engine.pid}/oom_score_adj").read_text().strip() == "500"
    limits = Path(f"/proc/{engine.pid}/limits").read_text()
    (core,) = (line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"]


@needs_proc
def test_the_host_is_free_of_the_terminal_and_the_directory(start: StartEngine) -> None:
    engine = start()
    ask(engine)
    assert os.getsid(engine.pid) == engine.pid
    assert os.readlink(f"/proc/{engine.pid}/cwd") == "/"
    assert os.readlink(f"/proc/{engine.pid}/fd/0") == "/dev/null"
    opened = [os.readlink(f"/proc/{engine.pid}/fd/{name}") for name in os.listdir(f"/proc/{engine.pid}/fd")]
    assert not [path for path in opened if path.endswith("launch.lock")]


def test_sockets_and_logs_are_the_users_own(start: StartEngine, places: Places) -> None:
    before = os.umask(0)
    try:
        ask(start())
    finally:
        os.umask(before)
    modes = {path.name.partition(".")[2]: stat.S_IMODE(path.stat().st_mode) for path in places.runtime.iterdir()}
    assert (modes["sock"], modes["lock"]) == (0o600, 0o600)
    assert modes["pid"] & 0o022 == 0
    assert stat.S_IMODE(places.runtime.stat().st_mode) == 0o700
    assert stat.S_IMODE(places.logs.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in places.logs.iterdir()] == [0o600]


def test_the_log_holds_no_word_of_a_chat(start: StartEngine, places: Places) -> None:
    engine = start()
    words = ("zanzibar", "quagmire")
    path = (Message("system", words[0]), Message("user", words[1]))
    reply = end_of(engine.generate(Request(path, Sampling(temperature=0.0, max_tokens=30)))).text
    engine.cancel(question("x").id)
    engine.render(Request(path))
    engine.tokenize(" ".join(words))
    with pytest.raises(ContextFull):
        ask(engine, words[1] * 3000)
    engine.close()
    log = "".join(file.read_text() for file in places.logs.iterdir())
    assert "loaded tiny-chat" in log
    assert not [word for word in (*words, reply) if word in log]


def test_the_log_is_bounded(start: StartEngine, places: Places) -> None:
    first = start()
    ask(first)
    (log,) = places.logs.iterdir()
    first.close()
    with log.open("a") as file:
        file.write("x" * launch._LOG_LIMIT)
    second = start(give_up_after=10.0)
    ask(second)
    sizes = {path.suffix: path.stat().st_size for path in places.logs.iterdir()}
    assert sizes[".log"] < 4096
    assert set(sizes) == {".log", ".old"}


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701])
def test_a_directory_that_others_can_enter_is_refused(start: StartEngine, places: Places, mode: int) -> None:
    places.runtime.mkdir()
    places.runtime.chmod(mode)
    with pytest.raises(HostUnreachable, match="not a private directory"):
        ask(start())
    assert [path.name for path in places.runtime.iterdir()] == []


def test_a_link_in_place_of_the_directory_is_refused(start: StartEngine, places: Places, tmp_path: Path) -> None:
    places.runtime.symlink_to(tmp_path)
    with pytest.raises(HostUnreachable, match="not a private directory"):
        ask(start())
    assert not list(tmp_path.glob("*.sock"))


def test_a_directory_of_another_user_is_refused(
    start: StartEngine, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    places.runtime.mkdir(mode=0o700)
    monkeypatch.setattr(os, "getuid", lambda: os.geteuid() + 1)
    with pytest.raises(HostUnreachable, match="not a private directory"):
        ask(start())


def test_a_host_of_another_user_is_not_spoken_to(
    start: StartEngine, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = start()
    ask(engine)
    monkeypatch.setattr(launch, "is_own_user", lambda _: False)
    with pytest.raises(HostUnreachable, match="another user"):
        ask(start())


def test_a_private_request_leaves_nothing_in_the_cache(start: StartEngine) -> None:
    engine = start()
    asked = Request((Message("user", "a secret of some length"),), Sampling(max_tokens=5))
    for request, cached in ((asked, False), (asked, True), (replace(asked, private=True), True), (asked, False)):
        request = replace(request, id=os.urandom(4).hex())
        assert (end_of(engine.generate(request)).cached_tokens > 0) is cached


def test_a_private_request_that_is_closed_leaves_nothing_either(start: StartEngine) -> None:
    engine = start()
    asked = Request((Message("user", "a secret of some length"),), Sampling(max_tokens=500), private=True)
    events = engine.generate(asked)
    for event in events:
        if type(event).__name__ == "Token":
            break
    events.close()
    again = Request(asked.messages, Sampling(max_tokens=5))
    assert end_of(engine.generate(again)).cached_tokens == 0
