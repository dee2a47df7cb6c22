"""Hosts that die or hang: the client says how, lives on, and its next request works.

The harness ends a streaming host in four ways at random moments; LLMCHAT_CRASH_ROUNDS sets how often (20).
"""

from __future__ import annotations

import os
import random
import signal
import threading
from pathlib import Path

import pytest
from tests.engine.conftest import StartEngine
from tests.engine.rig import SEED, ask, freeze, host_pids, lasting_question, until
from tests.engine.tiny_gguf import tiny_llama

from llmchat_engine.errors import EngineDied
from llmchat_engine.events import Token
from llmchat_engine.launch import Places

ROUNDS = int(os.environ.get("LLMCHAT_CRASH_ROUNDS", "20"))
SIGNALS = (signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL, signal.SIGSTOP)


@pytest.mark.timeout(30 + 4 * ROUNDS)
def test_no_end_of_a_host_is_the_end_of_its_client(start: StartEngine, places: Places, slow_chat: Path) -> None:
    print(f"LLMCHAT_TEST_SEED={SEED}")
    dice = random.Random(SEED)
    engine = start(slow_chat, give_up_after=1.0)
    wanted = ask(engine, "which are these?").token_ids
    for number in range(ROUNDS):
        kind = SIGNALS[number % 4]
        blow = threading.Timer(dice.uniform(0.0, 0.2), os.kill, (engine.pid, kind))
        blow.start()
        with pytest.raises(EngineDied, match="hangs" if kind == signal.SIGSTOP else kind.name) as died:
            list(engine.generate(lasting_question(None)))
        assert died.value.hint, number
        blow.join()
        assert ask(engine, "which are these?").token_ids == wanted
        assert host_pids(places.runtime) == [engine.pid]


def test_the_log_tells_where_it_crashed(start: StartEngine, slow_chat: Path) -> None:
    engine = start(slow_chat)
    events = engine.generate(lasting_question(None))
    assert any(isinstance(event, Token) for event in events)
    os.kill(engine.pid, signal.SIGSEGV)
    with pytest.raises(EngineDied, match=r"SIGSEGV.*Segmentation fault"):
        list(events)


def test_a_client_that_is_not_the_parent_hears_the_log(start: StartEngine, slow_chat: Path) -> None:
    parent, guest = start(slow_chat), start(slow_chat)
    ask(parent)
    events = guest.generate(lasting_question(None))
    assert any(isinstance(event, Token) for event in events)
    os.kill(guest.pid, signal.SIGABRT)
    # The dump of threads that run can itself end in the other signal.
    with pytest.raises(EngineDied, match=r"Fatal Python error: (Aborted|Segmentation fault)"):
        list(events)
    assert ask(guest).reply_tokens > 0
    assert ask(parent).reply_tokens > 0
    assert parent.pid == guest.pid


def test_a_host_that_died_between_two_requests_is_replaced(start: StartEngine) -> None:
    engine = start()
    before = ask(engine)
    pid = engine.pid
    os.kill(pid, signal.SIGKILL)
    assert until(lambda: not engine._connection or not engine._connection.alive)
    assert ask(engine).token_ids == before.token_ids
    assert engine.pid != pid


@pytest.mark.parametrize("call", ["render", "tokenize"])
def test_other_calls_notice_a_dead_host(start: StartEngine, call: str) -> None:
    engine = start()
    before = engine.tokenize("hello")
    os.kill(engine.pid, signal.SIGKILL)
    assert until(lambda: not engine._connection or not engine._connection.alive)
    if call == "render":
        assert engine.render(lasting_question()).token_ids
    else:
        assert engine.tokenize("hello") == before


def test_a_hung_host_is_noticed_by_other_calls(start: StartEngine) -> None:
    engine = start(give_up_after=0.4)
    engine.tokenize("hello")
    freeze(engine.pid)
    with pytest.raises(EngineDied, match="hangs"):
        engine.tokenize("hello")
    assert engine.tokenize("hello")


def test_a_host_that_hangs_is_replaced_for_those_who_come(start: StartEngine, places: Places) -> None:
    first, second = start(), start(give_up_after=0.4)
    ask(first)
    hung = first.pid
    freeze(hung)
    assert ask(second).reply_tokens > 0
    assert second.pid != hung
    assert until(lambda: host_pids(places.runtime) == [second.pid])


def test_a_model_file_that_is_cut_while_in_use(start: StartEngine, models: Path) -> None:
    path = tiny_llama(models / "cut.gguf", n_ctx_train=8192, layers=12, width=256, seed=3)
    engine = start(path)
    events = engine.generate(lasting_question(None))
    assert any(isinstance(event, Token) for event in events)
    os.truncate(path, 4096)
    with pytest.raises(EngineDied, match="the model file changed while it was in use"):
        list(events)
