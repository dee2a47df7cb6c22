"""Which models a repository's files make: one file or the parts of one, how each is quantised, the best for a machine.

Works on names and sizes alone; knows no hub and opens no file.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath

from llmchat_engine.errors import HubMissing
from llmchat_engine.models.hub.errors import search_command
from llmchat_engine.models.hub.types import HubFile, Reference, Variant

UNKNOWN = "?"
CENTRE = "Q4_K_M"
"""What is taken where speed cannot be had: the smallest that is said to lose little."""
GOOD_SPEED = 8.0
"""Tokens a second that a reader does not wait for: people read some five words a second."""
SMALL_MODEL = 3_000_000_000
"""Parameters under which fewer than four bits make nonsense."""
OVERHEAD = 600_000_000
OVERHEAD_SHARE = 0.2
"""What a model takes over its file: cache, buffers and the process, whichever is more."""

_BITS = {
    "Q8_0": 8.5, "Q8_K_XL": 10.0, "Q6_K_XL": 7.0, "Q6_K_L": 6.7, "Q6_K": 6.56,
    "Q5_K_XL": 5.8, "Q5_K_L": 5.9, "Q5_K_M": 5.7, "Q5_K_S": 5.54, "Q5_1": 6.0, "Q5_0": 5.54,
    "MXFP4_MOE": 4.4, "MXFP4": 4.4, "NVFP4": 4.6, "Q4_K_XL": 4.95, "Q4_K_L": 5.0, "Q4_K_M": 4.85, "Q4_K": 4.85,
    "Q4_K_S": 4.58, "IQ4_NL": 4.5, "IQ4_XS": 4.25, "Q4_1": 5.0, "Q4_0": 4.55,
    "BF16": 16.0, "F16": 16.0, "F32": 32.0, "F64": 64.0,
    "Q3_K_XL": 4.1, "Q3_K_L": 4.27, "IQ3_M": 3.66, "Q3_K_M": 3.91, "Q3_K": 3.91, "IQ3_S": 3.44, "Q3_K_S": 3.5,
    "IQ3_XS": 3.3, "IQ3_XXS": 3.06, "Q2_K_XL": 3.1, "Q2_K_L": 3.1, "Q2_K": 2.96, "IQ2_M": 2.7, "Q2_K_S": 2.8,
    "IQ2_S": 2.5, "IQ2_XS": 2.31, "IQ2_XXS": 2.06, "IQ1_M": 1.75, "IQ1_S": 1.56,
    "TQ2_0": 2.06, "TQ1_0": 1.69, "Q1_0": 1.2,
}  # fmt: skip
"""Bits of a weight, about, in the order of choice: Q8_0 first, then what loses more; floats, which only cost more than
it, come where four bits end."""
_ORDER = {quant: place for place, quant in enumerate(_BITS)}
_FLOATS = frozenset({"BF16", "F16", "F32", "F64"})
_WORST_OF_FOUR_BITS = _ORDER["F64"]
_REMOVED = frozenset({"Q4_0_4_4", "Q4_0_4_8", "Q4_0_8_8"})
"""llama.cpp refuses them since it repacks Q4_0 by itself while it loads."""

_QUANT = re.compile(
    r"(?<![a-z0-9])(?P<dynamic>ud-)?"
    r"(?P<quant>q4_0_[48]_[48]|i?q[1-8]_(?:k_(?:xl|l|m|s|xs|xxs)|k|xxs|xs|s|m|nl|[01])|tq[12]_0|mxfp4_moe|mxfp4|nvfp4"
    r"|bf16|fp16|f16|fp32|f32|f64)(?![a-z0-9])",
    re.IGNORECASE,
)
_PART = re.compile(r"-(?P<number>\d{5})-of-(?P<count>\d{5})$")
_SHOWN = 12


def quant_in(name: str) -> str:
    """Returns the quantisation that a name tells, in capitals as llama.cpp spells it; empty where it tells none.

    Args:
        name: Of a file or a folder. Of several the last one counts, and floats only where there is nothing else:
            "model-f32-Q6_K" is a Q6_K.
    """
    found = [_spelled(match) for match in _QUANT.finditer(name)]
    return next((quant for quant in reversed(found) if quant not in _FLOATS), found[-1] if found else "")


def variants(files: Sequence[HubFile]) -> tuple[Variant, ...]:
    """Returns the models among the files of a repository, the largest first.

    Args:
        files: All of a repository's.

    Returns:
        One for each GGUF file and each split one that is whole; projectors, drafters and importance matrices are none.
    """
    groups: dict[tuple[str, int], dict[int, HubFile]] = defaultdict(dict)
    for file in files:
        stem = _model_stem(file.path)
        if stem:
            part = _PART.search(stem)
            number, count = (int(part["number"]), int(part["count"])) if part else (0, 0)
            groups[(_PART.sub("", stem), count)][number] = file
    whole = [_variant(stem, parts) for (stem, count), parts in groups.items() if _is_whole(parts, count)]
    return tuple(sorted(whole, key=lambda variant: (-variant.size, variant.files[0].path)))


def needed(size: int) -> int:
    """Returns the bytes of memory that a model takes: its file and a fifth, at least 600 MB more."""
    return size + max(OVERHEAD, round(size * OVERHEAD_SHARE))


def expected_size(parameters: int, quant: str) -> int:
    """Returns about how large the file of a model is; 0 where that cannot be told.

    Args:
        parameters: How many it has; 0 is not known.
        quant: As in `Variant`.
    """
    return round(parameters * _BITS.get(_plain(quant), 0.0) / 8)


def best_variant(variants: Sequence[Variant], room: int, bandwidth: float = 0.0) -> Variant | None:
    """Returns the variant to take where the user names none.

    It is the best one whose need (`needed`: the file and 20 %, at least 600 MB more) is within `room`. Best is the
    order of `_BITS`: Q8_0, of which nobody measures a loss, then Q6_K, Q5_K_M, Q4_K_M and so on; floats (BF16, F16,
    F32) only where there is nothing from Q8_0 to Q4_0. Of a model under 3 billion parameters nothing under four bits
    is taken where the repository has four or more: such a one has nothing to spare.

    Where the bandwidth is known, what would write fewer than 8 tokens a second (bandwidth / file) gives way to a
    smaller one, but not to fewer than four bits: where none of those is that quick it is Q4_K_M, or the next smaller.

    Args:
        variants: Of one repository; those whose size is not known are left out.
        room: Bytes that a model may take in all.
        bandwidth: Bytes a second that the memory gives; 0 is not known.

    Returns:
        The variant, or None where nothing fits.
    """
    known = sorted((variant for variant in variants if variant.size and variant.quant not in _REMOVED), key=_rank)
    if any(_has_four_bits(variant) for variant in known) and _parameters(known) < SMALL_MODEL:
        known = [variant for variant in known if _has_four_bits(variant)]
    fitting = [variant for variant in known if needed(variant.size) <= room]
    good = [variant for variant in fitting if _has_four_bits(variant)]
    if bandwidth and good:
        return _quick_enough(good, bandwidth)
    return fitting[0] if fitting else None


def named_variant(variants: Sequence[Variant], reference: Reference) -> Variant:
    """Returns the variant that a reference names by its file or its quantisation, or the only one.

    Args:
        variants: Of the repository.
        reference: What the user named. "Q4_K_M" also means "UD-Q4_K_M" where that is the only one of the two.

    Raises:
        HubMissing: There is none of that name, or it leaves a choice; the message names those there are.
    """
    fits = _fitting(variants, reference)
    if len(fits) == 1:
        return fits[0]
    if not variants:
        what = f"{reference.repo} holds no model in GGUF files"
        raise HubMissing(what, "", f"search for it: {search_command(reference.repo)}")
    if not fits:
        what = f"{reference.repo} has no {reference.file or reference.quant}"
        names = [variant.files[0].path if reference.file else _call(variant, variants) for variant in variants]
    else:
        what = f"{reference.repo} has {len(fits)} models that this may mean"
        names = [_call(variant, variants) for variant in fits]
    example = names[0] if "." in names[0] else f":{names[0]}"
    joint = "" if example.startswith(":") else "/"
    raise HubMissing(what, f"there are: {_listed(names)}", f"llmchat pull {reference.repo}{joint}{example}")


def _quick_enough(good: Sequence[Variant], bandwidth: float) -> Variant:
    quick = [variant for variant in good if bandwidth / variant.size >= GOOD_SPEED]
    from_centre = [variant for variant in good if _ORDER[CENTRE] <= _rank(variant)[0] and variant.quant not in _FLOATS]
    return next(iter(quick or from_centre), min(good, key=lambda variant: variant.size))


def _fitting(variants: Sequence[Variant], reference: Reference) -> list[Variant]:
    if reference.file:
        same = [variant for variant in variants if any(file.path == reference.file for file in variant.files)]
        return same or [
            variant
            for variant in variants
            if any(PurePosixPath(file.path).name == reference.file for file in variant.files)
        ]
    if reference.quant:
        exact = [variant for variant in variants if variant.quant == reference.quant]
        return exact or [variant for variant in variants if _plain(variant.quant) == reference.quant]
    return [*variants]


def _spelled(match: re.Match[str]) -> str:
    quant = match["quant"].upper().replace("FP16", "F16").replace("FP32", "F32")
    return f"UD-{quant}" if match["dynamic"] and quant not in _FLOATS else quant


def _model_stem(path: str) -> str:
    """Returns the path of a model without its ending; empty for a file that is no model."""
    lower = path.lower()
    if not lower.endswith(".gguf") or "mmproj" in lower:
        return ""
    stem = path[: -len(".gguf")]
    name = stem.rpartition("/")[2]
    matrix = "imatrix" in name.lower() and not quant_in(name)
    return "" if matrix or name.lower().startswith("mtp-") else stem


def _is_whole(parts: dict[int, HubFile], count: int) -> bool:
    return len(parts) == max(count, 1) and min(parts) == min(count, 1) and max(parts) == count


def _variant(stem: str, parts: dict[int, HubFile]) -> Variant:
    folders = reversed(stem.split("/"))
    quant = next((found for folder in folders if (found := quant_in(folder))), UNKNOWN)
    return Variant(quant, tuple(file for _, file in sorted(parts.items())))


def _plain(quant: str) -> str:
    return quant.removeprefix("UD-")


def _rank(variant: Variant) -> tuple[int, int]:
    """Sorts the best first; of two alike the larger one, and what no name tells last."""
    return _ORDER.get(_plain(variant.quant), len(_ORDER)), -variant.size


def _has_four_bits(variant: Variant) -> bool:
    return _rank(variant)[0] <= _WORST_OF_FOUR_BITS


def _parameters(variants: Sequence[Variant]) -> float:
    """Returns about how many parameters a model has, from the file that tells it best: the one with most bits."""
    told = [(bits, variant.size) for variant in variants if (bits := _BITS.get(_plain(variant.quant)))]
    bits, size = max(told, default=(1.0, 0))
    return size * 8 / bits


def _call(variant: Variant, variants: Sequence[Variant]) -> str:
    """Returns what names a variant alone: its quantisation, or its file where another has the same."""
    same = sum(other.quant == variant.quant for other in variants)
    return variant.files[0].path if variant.quant == UNKNOWN or same > 1 else variant.quant


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
