"""The types that a model can be quantised to: their words, what each takes, and what it is good for.

Only values. Knows no file and no llama.cpp; the numbers are those of its `llama_ftype`.
"""

from __future__ import annotations

from dataclasses import dataclass

from llmchat_engine.errors import RequestInvalid


@dataclass(frozen=True, slots=True)
class QuantType:
    """One type of weights."""

    word: str
    """As it is given on the command line, "q4_k_m"."""
    ftype: int
    """llama.cpp's number of it."""
    bits: float
    """Bits a weight, as an 8B model comes out; a small one takes more, for its embeddings keep more."""
    about: str

    @property
    def name(self) -> str:
        """As it stands in file names, "Q4_K_M"."""
        return self.word.upper()


TYPES: tuple[QuantType, ...] = (
    QuantType("f32", 0, 32.0, "every weight in full; for measuring"),
    QuantType("f16", 1, 16.0, "what most models are published in"),
    QuantType("bf16", 32, 16.0, "the same size, with the range of F32; slow on older CPUs"),
    QuantType("q8_0", 7, 8.5, "INT8: hardly to be told from F16"),
    QuantType("q6_k", 18, 6.56, "close to q8_0 at three quarters of its size"),
    QuantType("q5_k_m", 17, 5.7, "a little better than INT4, a sixth larger"),
    QuantType("q5_1", 9, 6.0, "older; for models whose rows are no multiple of 256"),
    QuantType("q5_0", 8, 5.5, "older, smaller; for the same models"),
    QuantType("q4_k_m", 15, 4.89, "INT4: the usual choice"),
    QuantType("q4_k_s", 14, 4.67, "a little smaller and worse than q4_k_m"),
    QuantType("iq4_nl", 25, 4.68, "small, for rows of any multiple of 32"),
    QuantType("iq4_xs", 30, 4.46, "the smallest that is still good; slower on a CPU"),
    QuantType("q4_1", 3, 5.0, "older; no CPU has a fast path for it"),
    QuantType("q4_0", 2, 4.6, "the fastest on CPUs, which repack it; worse than q4_k_m"),
    QuantType("mxfp4", 38, 4.25, "for mixtures of experts; all but the experts become q8_0"),
    QuantType("q3_k_m", 12, 4.0, "clearly worse; for models over 13B that would not fit else"),
    QuantType("q2_k", 10, 3.16, "much worse; the last resort"),
)
"""From the largest to the smallest, roughly."""
WORDS = {"int8": "q8_0", "int4": "q4_k_m", "mxfp4_moe": "mxfp4"}
"""Other words for some of them."""
UNROUNDED = frozenset({"f32", "f16", "bf16"})
"""Types whose weights were not rounded to a few steps: what a model is quantised from."""


def type_of(word: str) -> QuantType:
    """Returns the type that a word means, in capitals or not.

    Raises:
        RequestInvalid: there is no such type.
    """
    wanted = word.strip().lower().replace("-", "_")
    wanted = WORDS.get(wanted, wanted)
    for kind in TYPES:
        if kind.word == wanted:
            return kind
    there = ", ".join(["int4", "int8", *(kind.word for kind in TYPES)])
    raise RequestInvalid(f"there is no type {word}", f"there are: {there}", "--type int4")
