"""llama.cpp's structs as this house believes them to be: a mismatch is seen here, not as a crash in a field far off."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import Any

import pytest

from llmchat_engine.host import context, model
from llmchat_engine.host.llama import Llama


def _fields(struct: Any) -> set[str]:
    return {field[0] for field in struct._fields_}


def _set_by(source: str) -> set[str]:
    """Returns the names that a source assigns on `params`."""
    targets = re.findall(r"^ *(params\..*) = [^=\n]*$", Path(source).read_text(), re.MULTILINE)
    return {name for line in targets for name in re.findall(r"params\.(\w+)", line)}


def test_the_defaults_of_a_context(llama: Llama) -> None:
    params = llama.c.llama_context_default_params()
    found = (params.n_ctx, params.n_batch, params.n_ubatch, params.n_seq_max, params.type_k, params.type_v)
    assert found == (512, 2048, 512, 1, 1, 1)
    assert params.swa_full
    assert params.offload_kqv
    assert params.flash_attn_type == -1
    assert not params.embeddings
    assert params.n_outputs_max == 0
    assert not params.abort_callback


def test_the_defaults_of_a_model(llama: Llama) -> None:
    params = llama.c.llama_model_default_params()
    assert params.n_gpu_layers == -1
    assert params.load_mode == -1
    assert llama.c.LLAMA_LOAD_MODE_MMAP == 1
    assert params.use_extra_bufts
    assert not params.vocab_only
    assert not params.check_tensors
    assert not params.progress_callback


@pytest.mark.parametrize(
    ("module", "struct", "least"),
    [(context.__file__, "llama_context_params", 9), (model.__file__, "llama_model_params", 4)],
)
def test_every_field_that_is_set_exists(llama: Llama, module: str, struct: str, least: int) -> None:
    names = _set_by(module)
    assert len(names) >= least, names
    assert names <= _fields(getattr(llama.c, struct))


def test_the_batch_has_the_arrays_that_are_filled(llama: Llama) -> None:
    assert {"n_tokens", "token", "pos", "n_seq_id", "seq_id", "logits"} <= _fields(llama.c.llama_batch)
    batch = llama.c.llama_batch_init(8, 0, 1)
    try:
        assert ctypes.sizeof(batch.token._type_) == ctypes.sizeof(batch.pos._type_) == 4
        assert ctypes.sizeof(batch.logits._type_) == 1
        assert batch.token
        assert batch.seq_id
        assert batch.seq_id[0]
    finally:
        llama.c.llama_batch_free(batch)


def test_the_chain_takes_the_stages_that_are_used(llama: Llama) -> None:
    for name in ("penalties", "greedy", "top_k", "top_p", "min_p", "temp", "dist"):
        assert callable(getattr(llama.c, f"llama_sampler_init_{name}"))
    assert len(llama.c.llama_sampler_init_penalties.argtypes) == 5


def test_the_library_says_who_it_is(llama: Llama) -> None:
    assert llama.version()
    assert "CPU" in llama.system_info() or "AVX" in llama.system_info() or "NEON" in llama.system_info()
    assert isinstance(llama.devices(), tuple)
