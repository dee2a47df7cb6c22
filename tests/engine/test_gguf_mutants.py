"""Mutated models: each ends in a sentence of ours, a sentence of llama.cpp's or a load, and this program lives on.

100 of them; 3,000 with LLMCHAT_TEST_MUTATIONS=3000. The table that is printed tells how they ended.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pytest
from gguf import GGMLQuantizationType
from gguf.quants import quantize
from tests.engine.gguf_mutations import mutate
from tests.engine.gguf_parts import ARR, STR, Array, Gguf, copied, put_together, take_apart
from tests.engine.rig import SEED
from tests.engine.tiny_gguf import tiny_gemma3_swa, tiny_lfm2, tiny_llama, tiny_mamba

from llmchat_engine.errors import ModelError
from llmchat_engine.models.gguf import read_header
from llmchat_engine.models.trials import Ended, TrialTask, judge, task_of, try_model

ROOT = Path(__file__).parents[2]
COUNT = int(os.environ.get("LLMCHAT_TEST_MUTATIONS", "100"))
JOBS = max(2, min(8, (os.cpu_count() or 2)))
BATCH = 400
SECONDS = 60.0
"""For a model of 100 kB; a hang is far beyond it on any machine."""
CLEAR = ("refused by us", "refused by llama.cpp", "loaded", "crashed in the trial", "out of memory")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One file and what was done to it."""

    path: Path
    changes: str


def quantised(gguf: Gguf, kind: GGMLQuantizationType) -> Gguf:
    """Returns the model with its matrices in a quantised type."""
    out = bytearray()
    for row in gguf.rows:
        count = int(np.prod(row.dims))
        values = np.frombuffer(bytes(gguf.data[row.offset : row.offset + 4 * count]), np.float32)
        row.offset = len(out)
        if len(row.dims) == 2 and row.dims[0] % 32 == 0:
            row.kind, packed = int(kind), quantize(values.reshape(row.dims[::-1]), kind).tobytes()
        else:
            packed = values.tobytes()
        out += packed + bytes(-len(packed) % 32)
    gguf.data = out
    return gguf


def with_merges(gguf: Gguf) -> Gguf:
    """Returns the model with a BPE vocabulary in the place of its own."""
    tokens = gguf.array(b"tokens")
    assert tokens is not None
    letters = [chr(code) for code in (*range(33, 127), *range(161, 173), *range(174, 256), *range(256, 324))]
    words: list[object] = [text.encode() for text in dict.fromkeys([*letters, "ab", "abc", "\u0120a"])]
    tokens.items = [*tokens.items[:7], *words, *(b"w%d" % number for number in range(len(tokens.items)))][
        : len(tokens.items)
    ]
    types = gguf.array(b"token_type")
    assert types is not None
    types.items = [*types.items[:7], *[1] * (len(types.items) - 7)]
    gguf.set(b"tokenizer.ggml.model", STR, b"gpt2")
    gguf.set(b"tokenizer.ggml.merges", ARR, Array(STR, [b"a b", b"ab c", "\u0120 a".encode()]))
    gguf.keys = [key for key in gguf.keys if key.name != b"tokenizer.ggml.scores"]
    return gguf


@pytest.fixture(scope="module")
def originals(models: Path) -> dict[str, Gguf]:
    """The good models that are mutated."""

    def read(path: Path) -> Gguf:
        return take_apart(path.read_bytes())

    def small(name: str) -> Gguf:
        return read(tiny_llama(models / f"mutant-{name}.gguf", vocab=400, layers=1, width=32))

    return {
        "llama": small("llama"),
        "bpe": with_merges(small("bpe")),
        "q8_0": quantised(small("q8_0"), GGMLQuantizationType.Q8_0),
        "q4_0": quantised(small("q4_0"), GGMLQuantizationType.Q4_0),
        "gemma3": read(tiny_gemma3_swa(models / "mutant-gemma3.gguf", vocab=400)),
        "mamba": read(tiny_mamba(models / "mutant-mamba.gguf", vocab=400)),
        "lfm2": read(tiny_lfm2(models / "mutant-lfm2.gguf", vocab=400)),
    }


def mutants(originals: dict[str, Gguf], folder: Path, dice: random.Random, count: int) -> Iterator[Mutant]:
    for number in range(count):
        name = sorted(originals)[number % len(originals)]
        gguf = copied(originals[name])
        changes = mutate(gguf, dice)
        path = folder / f"{number}.gguf"
        path.write_bytes(put_together(gguf))
        yield Mutant(path, f"{name}: {changes}")


def try_all(tasks: Sequence[TrialTask]) -> list[Ended]:
    """Returns how each model ended, tried by several processes at once."""
    with ThreadPoolExecutor(JOBS) as pool:
        shares = list(pool.map(_try_share, (tasks[number::JOBS] for number in range(JOBS))))
    return [shares[number % JOBS][number // JOBS] for number in range(len(tasks))]


def _try_share(tasks: Sequence[TrialTask]) -> list[Ended]:
    if not tasks:
        return []
    rooms = os.pathsep.join(str(ROOT / room) for room in ("engine", "."))
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.trial_forks", str(SECONDS)],
        input=b"".join(msgspec.json.encode(task) + b"\n" for task in tasks),
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": rooms},
        check=True,
    )
    return [msgspec.json.decode(line, type=Ended) for line in done.stdout.splitlines()]


def ended_as(ended: Ended) -> tuple[str, str]:
    """Returns the kind of an end, and its sentence."""
    trial = judge(ended)
    kinds = {
        "it cannot be loaded: ": "refused by llama.cpp",
        "its weights are damaged": "refused by llama.cpp",
        "llama.cpp crashes on this file": "crashed in the trial",
        "it takes more memory than there is": "out of memory",
        "it took longer than": "hung",
    }
    if trial.ok:
        return "loaded", ""
    return next((kind for begin, kind in kinds.items() if trial.why.startswith(begin)), "unclear"), trial.why


def run_batch(found: Sequence[Mutant], state: Path, table: Counter[str], notable: list[str]) -> None:
    """Takes mutants the way that a file takes: our rules, then a process that tries it."""
    tried: list[tuple[Mutant, TrialTask]] = []
    for mutant in found:
        try:
            tried.append((mutant, task_of(mutant.path, read_header(mutant.path), state)))
        except ModelError as error:
            table["refused by us" if error.why else "unclear"] += 1
    for (mutant, _), ended in zip(tried, try_all([task for _, task in tried]), strict=True):
        kind, why = ended_as(ended)
        table[kind] += 1
        if kind in ("crashed in the trial", "hung", "unclear"):
            notable.append(f"{mutant.changes}: {why}")
            _keep(mutant)


def _keep(mutant: Mutant) -> None:
    """Keeps a file that is to become a rule, where a folder is named for such."""
    if folder := os.environ.get("LLMCHAT_TEST_KEEP"):
        Path(folder, mutant.path.name).write_bytes(mutant.path.read_bytes())


def test_the_originals_load(originals: dict[str, Gguf], tmp_path: Path, verdicts: Path) -> None:
    for name, gguf in originals.items():
        path = tmp_path / f"{name}.gguf"
        path.write_bytes(put_together(gguf))
        trial = try_model(path, verdicts)
        assert trial.ok, (name, trial.why)


@pytest.mark.timeout(60 + COUNT)
def test_mutated_models_end_in_a_sentence(originals: dict[str, Gguf], tmp_path: Path, verdicts: Path) -> None:
    print(f"LLMCHAT_TEST_SEED={SEED}")
    dice = random.Random(SEED)
    table: Counter[str] = Counter()
    notable: list[str] = []
    for begin in range(0, COUNT, BATCH):
        found = list(mutants(originals, tmp_path, dice, min(BATCH, COUNT - begin)))
        run_batch(found, verdicts, table, notable)
    print(dict(table), *notable, sep="\n")
    assert sum(table.values()) == COUNT
    assert sum(table[kind] for kind in CLEAR) >= 0.995 * COUNT
    assert table["refused by us"] > 0.2 * COUNT
    assert table["loaded"] > 0.1 * COUNT
