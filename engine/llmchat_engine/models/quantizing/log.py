"""What llama.cpp says while it quantises, read: which tensor it is at, what becomes of each, why it failed.

Pure text in, values out; names in it come from a model file. Knows no process.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from llmchat_engine.models.gguf_layout import TENSOR_TYPES
from llmchat_engine.models.quantizing.types import UNROUNDED

_TENSOR = re.compile(
    r"^\[ *(\d+)/ *\d+\] (.*?) +- \[ *(\d+), *(\d+), *(\d+), *(\d+)\], type = *(\w+), (?:size = .*MiB \((\w+)\)$)?"
)
"""As "[  3/ 20] blk.0.attn_k.weight - [ 64, 32, 1, 1], type = f32, size = 0.01 MiB -> 0.00 MiB (q5_0)", the end of it
in a dry run alone, and there where the type changes."""
_FALLBACK = re.compile(r"-> falling back to +(\w+)$")
_FAILED = re.compile(r"llama_model_quantize: failed to quantize: (.*)$")
"""At the beginning of a line, or behind a tensor that was begun."""
_SIZES = {name.lower(): (block, size) for name, block, size in TENSOR_TYPES.values()}


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor, and what becomes of it."""

    number: int
    name: str
    weights: int
    kind: str
    """Its type as llama.cpp writes it, in small letters."""
    becomes: str
    """The type that it gets; its own where it stays as it is."""

    @property
    def bytes(self) -> int:
        """What it takes."""
        return tensor_bytes(self.weights, self.kind)

    @property
    def bytes_after(self) -> int:
        """What it will take."""
        return tensor_bytes(self.weights, self.becomes)


def tensor_bytes(weights: int, kind: str) -> int:
    """Returns what so many weights of a type take; 0 where the type is not known."""
    block, size = _SIZES.get(kind, (1, 0))
    return weights // block * size


@dataclass(frozen=True, slots=True)
class QuantPlan:
    """What quantising a model would make of it."""

    tensors: tuple[Tensor, ...]
    size_before: int
    """Bytes of the file or files."""
    fallbacks: Mapping[str, int]
    """Of tensors whose rows do not fit the wanted type: how many get which type instead."""

    @property
    def weights(self) -> int:
        """How many weights the model has."""
        return sum(tensor.weights for tensor in self.tensors)

    @property
    def size(self) -> int:
        """Bytes of the file that would be written, to within some 100 bytes of its header."""
        gained = sum(tensor.bytes - tensor.bytes_after for tensor in self.tensors)
        return max(0, self.size_before - gained)

    @property
    def bits(self) -> float:
        """Bits a weight that it would have."""
        return 8 * sum(tensor.bytes_after for tensor in self.tensors) / max(1, self.weights)

    @property
    def requantized(self) -> tuple[str, ...]:
        """The types of weights that were rounded once already and would be rounded again."""
        changed = {one.kind for one in self.tensors if one.becomes != one.kind and one.becomes not in UNROUNDED}
        return tuple(sorted(changed - UNROUNDED))


class QuantizeLog:
    """The log of one run; its pieces come as llama.cpp writes them, with or without the end of a line."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.failure = ""
        """Why it failed, in llama.cpp's words."""
        self.current = (0, "")
        """Number and name of the tensor that it is at; the first has number 1."""
        self._fallbacks: Counter[str] = Counter()
        self._line = ""

    def feed(self, text: str) -> None:
        """Takes a piece."""
        *whole, rest = (self._line + text).split("\n")
        for line in whole:
            self._take(line)
        self._line = rest
        if found := _TENSOR.match(rest):
            self.current = int(found[1]), found[2]

    def _take(self, line: str) -> None:
        if found := _FAILED.search(line):
            self.failure = found[1].strip()
        elif found := _TENSOR.match(line):
            kind = found[7].lower()
            weights = prod(int(found[place]) for place in range(3, 7))
            self.tensors.append(Tensor(int(found[1]), found[2], weights, kind, (found[8] or kind).lower()))
        elif found := _FALLBACK.search(line.strip()):
            self._fallbacks[found[1].lower()] += 1

    def plan(self, size_before: int) -> QuantPlan:
        """Returns what a dry run said."""
        return QuantPlan(tuple(self.tensors), size_before, dict(self._fallbacks))
