"""What llama.cpp ends its process on: one small file per assertion, refused with a sentence before it gets that far.

Every file here was first a mutated model that a trial died of.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.engine.test_gguf_rules import ARR, BOOL, I32, STR, U32, Array, Draft

from llmchat_engine.errors import ModelUnreadable
from llmchat_engine.models.gguf import read_header, skim_header

Spoil = Callable[[Draft], None]


def keys(**values: int | str | Array) -> Spoil:
    """Returns what sets keys of the architecture; two underscores stand for a dot."""

    def spoil(draft: Draft) -> None:
        for name, value in values.items():
            kind = STR if isinstance(value, str) else ARR if isinstance(value, Array) else U32
            draft.set(f"llama.{name.replace('__', '.')}", kind, value)

    return spoil


def kind(number: int, name: bytes = b"output_norm.weight") -> Spoil:
    """Returns what gives the second tensor another type and name."""

    def spoil(draft: Draft) -> None:
        draft.rows[1] = draft.rows[1]._replace(kind=number, name=name)

    return spoil


def window(size: int, pattern: int | Array | None = None) -> Spoil:
    """Returns what sets a sliding window and the layers that have it."""

    def spoil(draft: Draft) -> None:
        draft.set("llama.attention.sliding_window", U32, size)
        if pattern is not None:
            draft.set("llama.attention.sliding_window_pattern", U32 if isinstance(pattern, int) else ARR, pattern)

    return spoil


def shifted(draft: Draft) -> None:
    """Lets the tensors begin at a multiple of 8 that is none of 32."""
    draft.set("general.alignment", U32, 8)
    draft.alignment = 8
    while len(draft.header()) % 32 in (0, *range(25, 32)):
        draft.keys.append((b"x%d" % len(draft.keys), U32, 0))


def wordpiece(draft: Draft) -> None:
    draft.set("tokenizer.ggml.model", STR, "bert")


SPOILT: dict[str, tuple[Spoil, str]] = {
    "unaligned": (shifted, "its tensors begin at byte .*, llama.cpp needs a multiple of 32"),
    "nextn": (keys(nextn_predict_layers=2), "nextn_predict_layers is 2, allowed are 0 to 1"),
    "odd positions": (keys(rope__dimension_count=3), "dimension_count is 3, positions take pairs"),
    "unknown scaling": (keys(rope__scaling__type="x"), "scales positions in a way that llama.cpp does not know: x"),
    "window nowhere": (
        window(8, Array(BOOL, [0])),
        "sliding_window is set, and no layer has one",
    ),
    "window every first": (window(8, 1), "sliding_window is set, and no layer has one"),
    "too many experts": (keys(expert_count=1025, expert_used_count=2), "expert_count is 1,025"),
    "more experts used": (keys(expert_count=4, expert_used_count=5), "5 of 4 experts are used"),
    "more in one layer": (keys(expert_count=4, expert_used_count=Array(U32, [5])), "5 of 4 experts are used"),
    "no expert used": (keys(expert_count=4), "0 of 4 experts are used"),
    "used without experts": (keys(expert_used_count=1), "1 of 0 experts are used"),
    "groups without experts": (keys(expert_group_count=1), "expert_group_count is 1, allowed are 0 to 0"),
    "as many groups": (keys(expert_count=4, expert_used_count=2, expert_group_count=4), "group_count is 4, allowed"),
    "odd groups": (
        keys(expert_count=4, expert_used_count=2, expert_group_count=3, expert_group_used_count=1),
        "4 experts cannot be shared by 3 groups",
    ),
    "no group used": (
        keys(expert_count=4, expert_used_count=2, expert_group_count=2),
        "expert_group_used_count is 0, allowed are 1 to 1",
    ),
    "all groups used": (
        keys(expert_count=4, expert_used_count=2, expert_group_count=2, expert_group_used_count=2),
        "expert_group_used_count is 2, allowed are 1 to 1",
    ),
    "wordpiece": (wordpiece, "its vocabulary is that of an embedding model"),
    "norm of whole numbers": (kind(26), "the tensor output_norm.weight is of the type I32, which no weights are"),
    "matrix of bytes": (kind(24, b"blk.0.ssm_out.weight"), "blk.0.ssm_out.weight is of the type I8"),
}


@pytest.mark.parametrize("name", SPOILT)
@pytest.mark.parametrize("read", [read_header, skim_header])
def test_each_assertion_has_its_sentence(tmp_path: Path, name: str, read: Callable[[Path], object]) -> None:
    spoil, sentence = SPOILT[name]
    draft = Draft()
    spoil(draft)
    with pytest.raises(ModelUnreadable, match=sentence):
        read(draft.write(tmp_path / "a.gguf"))


GOOD: dict[str, Spoil] = {
    "experts": keys(expert_count=4, expert_used_count=2),
    "experts by layer": keys(expert_count=4, expert_used_count=Array(I32, [4])),
    "groups": keys(expert_count=4, expert_used_count=2, expert_group_count=2, expert_group_used_count=1),
    "one group": keys(expert_count=4, expert_used_count=2, expert_group_count=1),
    "window": window(8, Array(BOOL, [1])),
    "pattern without a window": window(0, Array(BOOL, [0])),
    "window without a pattern": window(8),
    "yarn": keys(rope__scaling__type="yarn"),
    "nextn": keys(nextn_predict_layers=1),
    "a table of whole numbers": kind(26, b"blk.0.ffn_gate_tid2eid.weight"),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_models_really_have_is_let_through(tmp_path: Path, name: str) -> None:
    draft = Draft()
    GOOD[name](draft)
    read_header(draft.write(tmp_path / "a.gguf"))


def test_one_expert_of_hunyuan_is_none(tmp_path: Path) -> None:
    draft = Draft()
    draft.keys = [(key.replace(b"llama.", b"hunyuan-dense."), kind, value) for key, kind, value in draft.keys]
    draft.set("general.architecture", STR, "hunyuan-dense")
    draft.set("hunyuan-dense.expert_count", U32, 1)
    read_header(draft.write(tmp_path / "a.gguf"))
