"""How far a prompt agrees with what is stored. Knows ids only: no files, no states."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from llmchat_engine.kvstore.values import ID_BYTES, Entry, pack_ids


class Match(NamedTuple):
    """The entry that spares the most, and how many of its tokens can be used."""

    entry: Entry
    length: int


def common_prefix(first: bytes, second: bytes) -> int:
    """Returns how many leading ids two packed sequences share."""
    low, high = 0, min(len(first), len(second)) // ID_BYTES
    if first[: high * ID_BYTES] == second[: high * ID_BYTES]:
        return high
    while high - low > 1:  # the first `low` agree, the first `high` do not
        middle = (low + high) // 2
        if first[low * ID_BYTES : middle * ID_BYTES] == second[low * ID_BYTES : middle * ID_BYTES]:
            low = middle
        else:
            high = middle
    return low


def longest_prefix(ids: Sequence[int], entries: Iterable[Entry], *, rewindable: bool = True) -> Match | None:
    """Finds the entry of which the most can be used for a prompt; among equal ones the smallest file.

    Args:
        ids: The prompt, without the tokens that are to be computed in any case.
        entries: What is stored.
        rewindable: Whether a state can be cut back to any length; else only to its end or to a checkpoint.

    Returns:
        The best match of at least one token, or None.
    """
    packed = pack_ids(ids)
    best: Match | None = None
    reached, beyond = b"", packed[:ID_BYTES]
    for entry in entries:
        smaller = best is not None and entry.size < best.entry.size
        # One memcmp refuses nearly all of them: 1,000 entries take 0.2 ms, comparing each to its end takes 4.
        if not entry.packed.startswith(reached if smaller else beyond):
            continue
        length = _usable(packed, entry, rewindable)
        if length and (best is None or length > best.length or (smaller and length == best.length)):
            best = Match(entry, length)
            reached, beyond = packed[: length * ID_BYTES], packed[: (length + 1) * ID_BYTES]
    return best


def _usable(packed: bytes, entry: Entry, rewindable: bool) -> int:
    if rewindable:
        return common_prefix(packed, entry.packed)
    for length in (entry.tokens, *reversed(entry.checkpoints)):
        end = length * ID_BYTES
        if end <= len(packed) and packed[:end] == entry.packed[:end]:
            return length
    return 0
