"""How long a host lives: keepalive, quitting, clients that are killed; and what `ps` and `stop` see of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.engine.conftest import StartEngine
from tests.engine.rig import ask, end_of, freeze, host_pids, lasting_question, only_host, until
from tests.engine.tiny_gguf import tiny_llama

from llmchat_engine import hosts
from llmchat_engine.errors import EngineDied, ModelUnreadable
from llmchat_engine.events import Token
from llmchat_engine.hosts import running_hosts, stop_host
from llmchat_engine.launch import Places
from llmchat_engine.types import Message, ModelSpec, Request, Sampling

CLIENT = """
import sys
from pathlib import Path
from llmchat_engine.client import LocalEngine
from llmchat_engine.launch import Places
from llmchat_engine.events import Token
from llmchat_engine.types import Message, ModelSpec, Request, Sampling
model, runtime, logs, state, keepalive = sys.argv[1:]
places = Places(Path(runtime), Path(logs), Path(state))
engine = LocalEngine(ModelSpec(Path(model), threads=1), places, keepalive=float(keepalive))
request = Request((Message("user", "tell me all of it"),), Sampling(temperature=0.0, max_tokens=5000))
for event in engine.generate(request):
    if isinstance(event, Token):
        print(engine.pid, flush=True)
"""


def client_command(model: Path, places: Places, keepalive: float) -> list[str]:
    """Returns the command of a client process that streams a long reply and prints the host's pid at each token."""
    paths = map(os.fspath, (model, places.runtime, places.logs, places.state))
    return [sys.executable, "-c", CLIENT, *paths, str(keepalive)]


def gone_within(pid: int, places: Places, seconds: float) -> bool:
    return until(lambda: pid not in host_pids(places.runtime), seconds)


def test_without_a_keepalive_it_leaves_with_its_last_client(start: StartEngine, places: Places) -> None:
    first, second = start(), start()
    ask(first)
    ask(second)
    assert first.pid == second.pid
    pid = first.pid
    first.close()
    ask(second)
    assert second.pid == pid
    second.close()
    assert gone_within(pid, places, 1.0)
    assert list(places.runtime.glob("*.sock")) == list(places.runtime.glob("*.pid")) == []


def test_a_short_keepalive_is_kept(start: StartEngine, places: Places) -> None:
    engine = start(keepalive=0.4)
    ask(engine)
    pid = engine.pid
    engine.close()
    left = time.monotonic()
    status = only_host(places.runtime).status
    assert status is not None
    assert 0 < status.leaves_in <= 0.4
    assert gone_within(pid, places, 2.0)
    assert time.monotonic() - left > 0.3


def test_a_client_that_comes_back_in_time_finds_the_same_host_and_its_cache(start: StartEngine, places: Places) -> None:
    # Drawn without a seed: a greedy question alone is computed as on an empty cache.
    asked = Request((Message("user", "a question of some length"),), Sampling(max_tokens=5))
    first = start(keepalive=30.0)
    tokens = end_of(first.generate(asked)).prompt_tokens
    pid = first.pid
    first.close()
    second = start(keepalive=0.0)
    assert end_of(second.generate(asked)).cached_tokens == tokens - 1
    assert second.pid == pid


@pytest.mark.parametrize("keepalive", [-1.0, 1e12])
def test_a_host_can_be_told_to_stay(start: StartEngine, places: Places, keepalive: float) -> None:
    engine = start(keepalive=keepalive)
    ask(engine)
    pid = engine.pid
    engine.close()
    assert not gone_within(pid, places, 0.2)
    host = only_host(places.runtime)
    assert host.status is not None
    assert (host.status.keepalive, host.status.clients) == (keepalive, 0)
    assert not stop_host(host)


def test_the_last_clients_keepalive_counts(start: StartEngine, places: Places) -> None:
    staying, leaving = start(keepalive=60.0), start(keepalive=0.0)
    ask(staying)
    ask(leaving)
    pid = staying.pid
    leaving.close()
    staying.close()
    assert gone_within(pid, places, 1.0)


def test_a_file_that_is_no_model_leaves_no_host(start: StartEngine, places: Places, tmp_path: Path) -> None:
    path = tmp_path / "page.gguf"
    path.write_text("<html>not found</html>")
    engine = start(path, keepalive=60.0)
    with pytest.raises(ModelUnreadable):
        ask(engine)
    engine.close()
    assert until(lambda: not host_pids(places.runtime), 2.0)


def test_stopping_a_host_ends_its_clients_requests(start: StartEngine, places: Places, slow_chat: Path) -> None:
    engine = start(slow_chat, keepalive=60.0)
    events = engine.generate(lasting_question(None))
    assert any(isinstance(event, Token) for event in events)
    began = time.monotonic()
    assert not stop_host(only_host(places.runtime))
    assert time.monotonic() - began < 2.5
    with pytest.raises(EngineDied, match="asked to stop"):
        list(events)
    assert running_hosts(places.runtime) == []


def test_a_stopped_process_is_listed_without_status_and_killed(
    start: StartEngine, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "_ANSWER_TIME", 0.3)
    engine = start(keepalive=60.0)
    ask(engine)
    freeze(engine.pid)
    host = only_host(places.runtime)
    assert (host.pid, host.status) == (engine.pid, None)
    assert stop_host(host)
    assert host_pids(places.runtime) == []
    assert running_hosts(places.runtime) == []


def test_dead_sockets_are_swept(start: StartEngine, places: Places) -> None:
    engine = start()
    ask(engine)
    os.kill(engine.pid, signal.SIGKILL)
    assert until(lambda: running_hosts(places.runtime) == [])
    assert list(places.runtime.glob("*.sock")) == list(places.runtime.glob("*.pid")) == []


def test_no_directory_means_no_hosts(places: Places) -> None:
    assert running_hosts(places.runtime) == []


@pytest.mark.parametrize("keepalive", [0.0, 0.5])
def test_a_client_that_is_killed_leaves_no_work_and_no_orphan(
    places: Places, slow_chat: Path, keepalive: float
) -> None:
    with subprocess.Popen(client_command(slow_chat, places, keepalive), stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        pid = int(client.stdout.readline())
        client.kill()
    if keepalive:
        assert until(lambda: (status := only_host(places.runtime).status) is not None and not status.busy, 0.45)
    assert gone_within(pid, places, keepalive + 1.0)


def test_another_file_under_the_same_name_is_another_host(start: StartEngine, places: Places, models: Path) -> None:
    path = tiny_llama(models / "replaced.gguf", seed=1)
    first = start(path)
    one = ask(first, max_tokens=30)
    tiny_llama(models / "new.gguf", seed=2).replace(path)
    second = start(path)
    other = ask(second, max_tokens=30)
    assert first.pid != second.pid
    assert one.token_ids != other.token_ids
    assert ask(first, max_tokens=30).token_ids == one.token_ids


def test_other_options_are_another_host(start: StartEngine, tiny_chat: Path) -> None:
    one, other = start(), start(n_ctx=512)
    ask(one)
    ask(other)
    assert one.pid != other.pid
    assert ModelSpec(tiny_chat) != ModelSpec(tiny_chat, n_ctx=512)
