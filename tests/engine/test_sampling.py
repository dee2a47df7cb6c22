"""Sampling: what is filled in, what is refused, and the order of the native chain."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import pytest

from llmchat_engine.errors import RequestInvalid
from llmchat_engine.sampling import (
    DEFAULTS,
    Stage,
    chain_in_words,
    logit_biases,
    looks_back,
    model_defaults,
    resolve,
    stages,
)
from llmchat_engine.types import Sampling

_OPEN = {"max_tokens", "stop"}


def test_every_field_that_decides_a_token_is_filled_in() -> None:
    found = resolve(Sampling(), DEFAULTS)
    assert {f.name for f in fields(found) if getattr(found, f.name) is None} <= _OPEN
    assert replace(found, seed=None) == DEFAULTS


NAMES = (
    "temperature", "top_k", "top_p", "min_p", "seed", "repeat_penalty", "presence_penalty", "frequency_penalty",
    "max_tokens", "stop",
)  # fmt: skip


def test_what_was_asked_for_wins() -> None:
    asked = Sampling(0.0, 1, 0.5, 0.1, 7, 1.2, 0.3, 0.4, 9, ("x",))
    found = resolve(asked, DEFAULTS)
    assert found == replace(DEFAULTS, **{name: getattr(asked, name) for name in NAMES})


def test_a_seed_is_drawn_anew_for_each_reply() -> None:
    seeds = {resolve(Sampling(), DEFAULTS).seed for _ in range(20)}
    assert len(seeds) == 20
    assert all(seed is not None and 0 <= seed < 2**32 - 1 for seed in seeds)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", -0.1),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("top_k", -1),
        ("top_k", 2**31),
        ("top_p", 1.01),
        ("min_p", -0.01),
        ("seed", -1),
        ("seed", 2**32 - 1),
        ("repeat_penalty", 0.0),
        ("presence_penalty", 101.0),
        ("frequency_penalty", -101.0),
        ("max_tokens", 0),
        ("max_tokens", 2**31),
    ],
)
def test_a_value_out_of_range_is_named(name: str, value: float) -> None:
    with pytest.raises(RequestInvalid, match=name):
        resolve(replace(Sampling(), **{name: value}), DEFAULTS)  # type: ignore[arg-type]


def test_an_empty_stop_word_is_refused() -> None:
    with pytest.raises(RequestInvalid, match="stop word"):
        resolve(Sampling(stop=("a", "")), DEFAULTS)


def test_the_models_own_values_are_taken() -> None:
    metadata = {
        "general.sampling.temp": "0.6",
        "general.sampling.top_k": "20",
        "general.sampling.top_p": "0.9",
        "general.sampling.min_p": "0",
        "general.sampling.penalty_repeat": "1.05",
    }
    wanted = replace(DEFAULTS, temperature=0.6, top_k=20, top_p=0.9, min_p=0.0, repeat_penalty=1.05)
    assert model_defaults(metadata) == wanted


@pytest.mark.parametrize("nonsense", ["", "warm", "nan", "inf", "-1", "1e999", "0x10", "9" * 5000, "\x1b[2J"])
def test_nonsense_in_the_metadata_leaves_our_values(nonsense: str) -> None:
    names = ("temp", "top_k", "top_p", "min_p", "penalty_repeat")
    assert model_defaults({f"general.sampling.{name}": nonsense for name in names}) == DEFAULTS


def test_the_stages_come_in_the_order_of_llama_server() -> None:
    sampling = resolve(Sampling(0.7, 30, 0.9, 0.1, 5, 1.1, 0.2, 0.3), DEFAULTS)
    assert stages(sampling, 512, 100) == (
        ("penalties", (512, 64, 1.1, 0.3, 0.2)),
        ("top_k", (30,)),
        ("top_p", (0.9, 1)),
        ("min_p", (0.1, 1)),
        ("temp", (0.7,)),
        ("dist", (5,)),
    )


def test_temperature_zero_is_greedy_whatever_else_is_set() -> None:
    assert stages(resolve(Sampling(0.0, top_k=3, seed=4), DEFAULTS), 512, 100) == (("greedy", ()),)


def test_penalties_go_before_greedy() -> None:
    names = [name for name, _ in stages(resolve(Sampling(0.0, repeat_penalty=1.3), DEFAULTS), 512, 100)]
    assert names == ["penalties", "greedy"]


def test_penalties_that_do_nothing_are_left_out() -> None:
    names = [name for name, _ in stages(resolve(Sampling(), DEFAULTS), 512, 100)]
    assert names == ["top_k", "top_p", "min_p", "temp", "dist"]


def test_every_stage_in_the_order_of_llama_server() -> None:
    asked = Sampling(
        temperature=0.7, seed=5, repeat_penalty=1.1, typical_p=0.9, top_n_sigma=1.5, xtc_probability=0.5,
        dry_multiplier=0.8, dynatemp_range=0.2, penalty_last_n=-1,
    )  # fmt: skip
    assert stages(resolve(asked, DEFAULTS), 512, 100, {7: -math.inf, 9: 2.0}) == (
        ("logit_bias", (7, -math.inf, 9, 2.0)),
        ("penalties", (512, 100, 1.1, 0.0, 0.0)),
        ("dry", (0.8, 1.75, 2, 100)),
        ("top_n_sigma", (1.5,)),
        ("top_k", (40,)),
        ("typical", (0.9, 1)),
        ("top_p", (0.95, 1)),
        ("min_p", (0.05, 1)),
        ("xtc", (0.5, 0.1, 1, 5)),
        ("temp_ext", (0.7, 0.2, 1.0)),
        ("dist", (5,)),
    )


@pytest.mark.parametrize(
    ("version", "stage"), [(1, ("mirostat", (512, 3, 4.0, 0.2, 100))), (2, ("mirostat_v2", (3, 4.0, 0.2)))]
)
def test_mirostat_takes_the_place_of_the_filters(version: int, stage: Stage) -> None:
    asked = Sampling(
        temperature=0.7, seed=3, mirostat=version, mirostat_tau=4.0, mirostat_eta=0.2, top_k=5, typical_p=0.5
    )
    assert stages(resolve(asked, DEFAULTS), 512, 100) == (("temp", (0.7,)), stage)


@pytest.mark.parametrize(
    ("asked", "tokens"),
    [
        (Sampling(), 0),
        (Sampling(repeat_penalty=1.1), 64),
        (Sampling(repeat_penalty=1.1, penalty_last_n=0, frequency_penalty=1.0), 0),
        (Sampling(repeat_penalty=1.1, penalty_last_n=10), 10),
        (Sampling(presence_penalty=0.5, penalty_last_n=-1), 100),
        (Sampling(dry_multiplier=0.8), 100),
        (Sampling(dry_multiplier=0.8, dry_last_n=7, repeat_penalty=1.2), 64),
    ],
)
def test_how_much_of_the_prompt_a_chain_has_to_see(asked: Sampling, tokens: int) -> None:
    assert looks_back(resolve(asked, DEFAULTS), 100) == tokens


def test_biases_by_id_and_by_text() -> None:
    ids = {"cat": (5,), " a=b": (6, 7)}
    found = logit_biases(["#3=-inf", "cat=2.5", " a=b=-1"], lambda text: ids[text], 10)
    assert found == {3: -math.inf, 5: 2.5, 6: -1.0, 7: -1.0}


@pytest.mark.parametrize("entry", ["cat", "=1", "cat=", "cat=much", "cat=inf", "cat=nan", "#10=1", "cat=1001"])
def test_a_bias_that_is_none_is_refused(entry: str) -> None:
    with pytest.raises(RequestInvalid, match="logit_bias"):
        logit_biases([entry], lambda _: (1,), 10)


def test_the_chain_in_words() -> None:
    told = chain_in_words(Sampling(xtc_probability=0.5, logit_bias=("#3=-inf",)), DEFAULTS)
    assert told == (
        "logit_bias(#3=-inf)", "top_k(40)", "top_p(0.95)", "min_p(0.05)", "xtc(0.5, 0.1)", "temp(0.8)",
        "dist(seed drawn anew)",
    )  # fmt: skip
    assert chain_in_words(Sampling(temperature=0.0, repeat_penalty=1.1), DEFAULTS) == (
        "penalties(64, 1.1, 0, 0)",
        "greedy",
    )
    assert chain_in_words(Sampling(seed=4, mirostat=1), DEFAULTS) == ("temp(0.8)", "mirostat(5, 0.1)")
