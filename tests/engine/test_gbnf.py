"""The checker of grammars: what llama.cpp reads passes, what would fail, hang or crash is refused with its place.

2,000 mutations with LLMCHAT_TEST_MUTATIONS=2000.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engine.gbnf_samples import ARITHMETIC, BAD, CHESS, GOOD, JSON
from tests.engine.rig import SEED
from tests.engine.tiny_gguf import tiny_llama

from llmchat_engine.errors import RequestInvalid
from llmchat_engine.grammar import check_grammar
from llmchat_engine.grammar.gbnf import parse
from llmchat_engine.host.llama import Llama
from llmchat_engine.host.model import Model

MUTATIONS = int(os.environ.get("LLMCHAT_TEST_MUTATIONS", "200"))


@pytest.fixture(scope="module")
def model(llama: Llama, models: Path) -> Iterator[Model]:
    model = Model(llama, str(tiny_llama(models / "gbnf.gguf")))
    yield model
    model.close()


def llama_reads(llama: Llama, model: Model, text: str) -> bool:
    """Returns whether llama.cpp makes a sampler of the grammar."""
    pointer = llama.c.llama_sampler_init_grammar(model.vocab.pointer, text.encode(), b"root")
    if pointer:
        llama.c.llama_sampler_free(pointer)
    return bool(pointer)


def reason(text: str) -> str:
    """Returns why a grammar is refused; empty where it is not."""
    try:
        check_grammar(text)
    except RequestInvalid as error:
        return error.why
    return ""


@pytest.mark.parametrize("text", GOOD)
def test_what_llama_reads_passes(llama: Llama, model: Model, text: str) -> None:
    assert reason(text) == ""
    assert llama_reads(llama, model, text)


@pytest.mark.parametrize(("text", "line", "column", "why"), BAD)
def test_a_bad_one_is_refused_with_its_place(text: str, line: int, column: int, why: str) -> None:
    began = time.thread_time()
    found = reason(text)
    assert found.startswith(f"line {line}, column {column}: ")
    assert why in found
    assert time.thread_time() - began < 3.0


def test_repetitions_stand_for_what_llama_makes_of_them() -> None:
    rules = parse('root ::= "a"{2,4} "b"* "c"+ "d"?').rules
    assert [[len(sequence) for sequence in rule] for rule in rules] == [
        [2 + 1 + 1 + 2 + 1],  # a a root_2, root_3, c root_4, root_5
        [1, 0],
        [2, 0],
        [2, 0],
        [2, 0],
        [1, 0],
    ]


def mutated(text: str, chance: random.Random) -> str:
    """Returns a grammar with a few characters taken out, put in or doubled."""
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(text))
        cut = at + chance.randint(0, 4)
        kind = chance.randrange(3)
        if kind == 0:
            text = text[:at] + text[cut:]
        elif kind == 1:
            text = text[:at] + chance.choice('"[]()|*+?{}-^\\.#:=\n 0aé,') + text[at:]
        else:
            text = text[:cut] + text[at:]
    return text


def test_what_passes_here_is_read_by_llama_and_what_llama_refuses_is_refused_here(llama: Llama, model: Model) -> None:
    chance = random.Random(SEED)
    stricter = re.compile("twice|empty|backwards|2,000|tokens|never ends|ways at once|begin with itself|too many|U\\+")
    passed = 0
    for _ in range(MUTATIONS):
        text = mutated(chance.choice((JSON, ARITHMETIC, CHESS)), chance)
        why = reason(text)
        if why and stricter.search(why):
            continue
        passed += not why
        assert llama_reads(llama, model, text) == (not why), f"{text}\n{why}"
    assert MUTATIONS * 0.1 < passed < MUTATIONS * 0.9
