"""Chats in a real host: what the next turn finds ready, what another host finds on disk, and what is never kept."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.engine.conftest import close_places, open_places
from tests.engine.rig import GREEDY, end_of, until
from tests.engine.tiny_gguf import tiny_llama

from llmchat_engine.client import LocalEngine
from llmchat_engine.events import Finished
from llmchat_engine.hosts import running_hosts, stop_host
from llmchat_engine.launch import Places
from llmchat_engine.types import Message, ModelSpec, Request, Sampling

STRIPS_THOUGHTS = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{% if message['role'] == 'assistant' and '</think>' in message['content'] and not loop.last %}"
    "{{ message['content'].split('</think>')[-1].lstrip('\\n') }}"
    "{% else %}{{ message['content'] }}{% endif %}"
    "{{ '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
LONG = " ".join(f"part {number} of the question" for number in range(60))
SHORT = replace(GREEDY, max_tokens=6)
Start = Callable[..., LocalEngine]


@pytest.fixture
def kept(verdicts: Path, tmp_path: Path) -> Iterator[Places]:
    """Places where chats are kept on disk."""
    places = replace(open_places(verdicts), kv=tmp_path / "kv")
    yield places
    for host in running_hosts(places.runtime):
        stop_host(host)
    close_places(places)


@pytest.fixture
def begin(kept: Places, tiny_chat: Path) -> Iterator[Start]:
    """Starts engines whose hosts stay until they are stopped."""
    engines: list[LocalEngine] = []

    def make(path: Path = tiny_chat) -> LocalEngine:
        engines.append(LocalEngine(ModelSpec(path, threads=1), kept, keepalive=60.0))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


def ask(*messages: Message, chat: str = "one", store: bool = True, private: bool = False) -> Request:
    return Request(messages, SHORT, chat=chat, store=store, private=private)


def answered(engine: LocalEngine, request: Request) -> tuple[Message, ...]:
    """Returns the path with the reply behind it."""
    finished = end_of(engine.generate(request))
    return (*request.messages, Message("assistant", finished.text, finished.token_ids, key_of(engine)))


def key_of(engine: LocalEngine) -> str:
    (loaded,) = engine.load()
    return loaded.model.key  # type: ignore[union-attr]


def stop_all(places: Places) -> None:
    for host in running_hosts(places.runtime):
        assert not stop_host(host), "it had to be killed"


def files_in(places: Places) -> list[Path]:
    assert places.kv is not None
    return sorted(places.kv.rglob("*.kv"))


def in_the_end(engine: LocalEngine, request: Request) -> Finished:
    return end_of(engine.generate(request))


def test_the_next_turn_finds_all_but_the_question(begin: Start) -> None:
    engine = begin()
    path = answered(engine, ask(Message("user", LONG)))
    time.sleep(0.1)  # while the user reads
    after = in_the_end(engine, ask(*path, Message("user", "and then?")))
    question = len(engine.tokenize("and then?"))
    assert after.prompt_tokens - after.cached_tokens <= question + len(engine.tokenize("<|im_end|>assistant")) + 8
    assert after.recomputed == ""


def test_a_thought_leaves_the_context_while_the_user_reads(begin: Start, models: Path) -> None:
    engine = begin(tiny_llama(models / "thinker.gguf", template=STRIPS_THOUGHTS))
    thought = Message("assistant", "<think>" + LONG + "</think>\nso it is")
    path = (Message("user", "what is it?"), thought)
    finished = in_the_end(engine, ask(*path))
    whole = Message("assistant", thought.text + finished.text)
    following = ask(path[0], whole, Message("user", "and then?"))
    assert until(lambda: engine.measure(following).total, 1.0)
    time.sleep(0.2)
    after = in_the_end(engine, following)
    assert after.prompt_tokens < 100
    assert after.prefilled_tokens <= len(engine.tokenize("and then?")) + 16
    assert after.recomputed == ""


@pytest.mark.parametrize("ending", ["stopped", "killed after a while"])
def test_another_host_goes_on_from_the_disk_with_the_same_tokens(begin: Start, kept: Places, ending: str) -> None:
    engine = begin()
    path = answered(engine, ask(Message("user", LONG)))
    if ending == "stopped":
        again = in_the_end(engine, ask(*path, Message("user", "and then?")))
        stop_all(kept)
    else:
        assert until(lambda: files_in(kept), 10.0)
        again = in_the_end(engine, ask(*path, Message("user", "and then?")))
        (host,) = running_hosts(kept.runtime)
        os.kill(host.pid, signal.SIGKILL)
    engine = begin()
    after = in_the_end(engine, ask(*path, Message("user", "and then?")))
    assert after.restored is not None
    assert after.restored.origin == "disk"
    assert after.restored.tokens >= 250
    assert after.token_ids == again.token_ids


def test_a_forgotten_chat_leaves_nothing(begin: Start, kept: Places) -> None:
    engine = begin()
    answered(engine, ask(Message("user", LONG), chat="one"))
    path = answered(engine, ask(Message("user", "0 " + LONG), chat="two"))
    engine.forget("one")
    stop_all(kept)
    assert len(files_in(kept)) == 1
    engine = begin()
    assert in_the_end(engine, ask(Message("user", LONG), chat="three", store=False)).cached_tokens < 20
    assert in_the_end(engine, ask(*path, Message("user", "so?"), chat="two")).restored
    engine.forget("two")
    assert not files_in(kept)
    stop_all(kept)
    assert len(files_in(kept)) == 0


def test_a_chat_that_was_scored_is_kept_all_the_same(begin: Start, kept: Places) -> None:
    engine = begin()
    path = answered(engine, ask(Message("user", LONG)))
    *_, _ = engine.score(ask(*path, Message("user", "so?")), ("yes", "no"))
    stop_all(kept)
    assert files_in(kept)


@pytest.mark.parametrize("answers", [1, 3])
def test_of_several_answers_any_can_be_gone_on_with_at_once(begin: Start, answers: int) -> None:
    """What the next turn begins with is not computed for them; of the one that is chosen its footer is missing."""
    engine = begin()
    drawn = Sampling(temperature=0.9, seed=3, max_tokens=40)
    request = replace(ask(Message("user", LONG)), sampling=drawn, answers=answers)
    *_, last = engine.generate(request)
    assert isinstance(last, Finished)
    chosen = last.answers[-1] if last.answers else last
    path = (*request.messages, Message("assistant", chosen.text, chosen.token_ids, key_of(engine)))
    after = in_the_end(engine, ask(*path, Message("user", "and then?")))
    assert after.prefilled_tokens < 40 < after.cached_tokens


@pytest.mark.parametrize("asked", [ask(Message("user", LONG), store=False), ask(Message("user", LONG), private=True)])
def test_what_may_not_be_kept_is_not(begin: Start, kept: Places, asked: Request) -> None:
    answered(begin(), asked)
    stop_all(kept)
    assert not files_in(kept)


def test_chats_take_turns_without_reading_anything_twice(begin: Start) -> None:
    engine = begin()
    one = answered(engine, ask(Message("user", LONG), chat="one"))
    two = answered(engine, ask(Message("user", "0 " + LONG), chat="two"))
    back = in_the_end(engine, ask(*one, Message("user", "so?"), chat="one"))
    assert back.restored is not None
    assert back.restored.origin == "memory"
    assert back.prefilled_tokens < 30
    assert in_the_end(engine, ask(*two, Message("user", "so?"), chat="two")).prefilled_tokens < 30


def test_a_known_persona_starts_warm_in_a_new_chat(begin: Start, kept: Places) -> None:
    engine = begin()
    persona = Message("system", LONG)
    first = replace(ask(persona, Message("user", "hello"), chat="one"), shared=1)
    answered(engine, first)
    assert until(lambda: files_in(kept), 10.0)
    stop_all(kept)
    engine = begin()
    other = replace(
        ask(persona, Message("user", "something else"), chat="two"), shared=1, sampling=Sampling(max_tokens=6)
    )
    new = in_the_end(engine, other)
    assert new.restored is not None
    assert new.prefilled_tokens < 40
