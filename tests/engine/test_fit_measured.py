"""The estimate of memory against what real hosts hold with their whole context in use, on two models.

`python -m tests.benchmarks.fit` measures ten.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.benchmarks.fit_cases import Case, watch
from tests.engine.shaped_gguf import Shape, write_shape

from llmchat_engine.launch import Places
from llmchat_engine.models.fit.need import memory_needed
from llmchat_engine.models.fit.repack import cpu_features, repacked_bytes
from llmchat_engine.models.gguf import read_header

LIMIT = 0.25
"""Of the estimate. Of models this small the process is a third, and another Python or libc has another one."""
CASES = (
    Case(
        "repacked", Shape(layers=6, width=1024, heads=16, kv_heads=4, feed_forward=4096, kind="Q4_0", vocab=2048), 2304
    ),
    Case("half precision", Shape(layers=4, width=512, heads=16, kv_heads=16, kind="F16", vocab=20_000), 2304, "q8_0"),
)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what the most was that a process held")
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_estimate_is_near_what_a_host_holds(tmp_path: Path, places: Places, case: Case) -> None:
    path = write_shape(tmp_path / "m.gguf", case.shape)
    header = read_header(path)
    seen = watch(path, case, places, threads=2)
    copies = repacked_bytes(header, cpu_features()) if seen.repacked else 0
    need = memory_needed(header, case.n_ctx, case.cache, case.cache, repacked=copies)
    print(f"{need.total / seen.peak:.3f} of {seen.peak >> 20} MiB")
    assert need.total == pytest.approx(seen.peak, rel=LIMIT)
