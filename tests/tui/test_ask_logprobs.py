"""`ask --logprobs` and `--top-logprobs`: how likely each token was, on stderr or in the envelope."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.tui.asking import Opened, ask
from tests.tui.real_host import RealHome, real_home

from llmchat_engine.testing import FakeEngine, Script


@pytest.fixture(scope="module")
def real() -> Iterator[RealHome]:
    with real_home("1h") as home:
        yield home


@pytest.mark.parametrize(
    ("flags", "told"),
    [((), None), (("--logprobs",), 0), (("--top-logprobs", "3"), 3), (("--logprobs", "--top-logprobs", "2"), 2)],
)
def test_how_many_are_told(home: Path, flags: tuple[str, ...], told: int | None) -> None:
    engine = FakeEngine([Script("One two.")])
    asked = ask(home, *flags, "hi", engine=engine)
    assert (asked.code, asked.out, engine.requests[0].logprobs) == (0, "One two.\n", told)
    assert len(asked.err.splitlines()) == (0 if told is None else 2)


def test_the_envelope_has_one_for_each_token(home: Path) -> None:
    engine = FakeEngine([Script("One two.", thought="Hm.")])
    found = json.loads(ask(home, "--json", "--logprobs", "hi", engine=engine).out)
    assert [token["text"] for token in found["logprobs"]] == ["Hm.", "One", " two."]
    assert len(found["token_ids"]) == 3
    assert json.loads(ask(home, "--json", "hi").out)["logprobs"] is None


@pytest.mark.parametrize("flags", [("--answers", "2"), ("--beams", "2"), ("--votes", "3")])
def test_what_excludes_them(home: Path, flags: tuple[str, str]) -> None:
    opened = Opened()
    asked = ask(home, "--logprobs", *flags, "hi", engine=opened)
    assert (asked.code, opened.specs) == (2, [])
    assert f"--logprobs and {flags[0]} exclude each other" in asked.err


def test_a_real_engine_tells_the_likeliest(real: RealHome) -> None:
    flags = ("--json", "--temperature", "0", "--max-tokens", "4", "--top-logprobs", "2")
    found = json.loads(real.llmchat("ask", *flags, "hi").out)
    assert [token["id"] for token in found["logprobs"]] == found["token_ids"]
    assert {(token["rank"], len(token["top"])) for token in found["logprobs"]} == {(1, 2)}
    assert all(token["top"][0]["id"] == token["id"] for token in found["logprobs"])
