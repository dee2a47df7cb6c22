"""Texts in the order and the batches that waste the least padding. Arithmetic on lengths; knows no model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def batches(lengths: Sequence[int], tokens: int, most: int = 256) -> Iterator[list[int]]:
    """Yields the positions of texts, longest first, in batches that fit a number of tokens once they are padded.

    Args:
        lengths: tokens of each text.
        tokens: of a padded batch; a longer text makes a batch of its own.
        most: texts of a batch.
    """
    batch: list[int] = []
    for position in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        if batch and (lengths[batch[0]] * (len(batch) + 1) > tokens or len(batch) >= most):
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch


def clean(text: str) -> str:
    """Returns a text that UTF-8 can hold: half of a surrogate pair becomes `?`, because tokenizers refuse it."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
