"""What a count of right answers says: intervals, paired comparisons, corrections for several of them.

Knows numbers only: no items, no models. Every test is exact; nothing is approximated by a normal distribution but the
interval, which is Wilson's (1927).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

_Z95 = 1.959963984540054
"""The normal deviate that 95 % of the distribution lies within."""


@dataclass(frozen=True, slots=True)
class Paired:
    """Two ways on the same items."""

    items: int
    """That both were asked."""
    gained: int
    """Right now, and wrong in the way it is compared with."""
    lost: int
    """Wrong now, and right there."""

    @property
    def difference(self) -> float:
        """Of the two accuracies, on the items that both were asked; 0 where there are none."""
        return (self.gained - self.lost) / self.items if self.items else 0.0

    @property
    def p(self) -> float:
        """How often chance alone would differ so much: McNemar's test, exact and two-sided."""
        return mcnemar(self.gained, self.lost)


def wilson(right: int, count: int, z: float = _Z95) -> tuple[float, float]:
    """Returns Wilson's interval for a share.

    Args:
        right: so many were right.
        count: of so many; of none the interval is all there is.
        z: the normal deviate of the confidence; 95 % without it.
    """
    if count == 0:
        return 0.0, 1.0
    share, spread = right / count, z * z / count
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / count + spread / (4 * count))
    # Of none right the lower end is 0, and rounding must not put it beside that.
    return (0.0 if right == 0 else middle - half), (1.0 if right == count else middle + half)


def mcnemar(gained: int, lost: int) -> float:
    """Returns the two-sided p of McNemar's test: of items that differ, each falls to either side like a fair coin."""
    differing, fewer = gained + lost, min(gained, lost)
    if differing == 0:
        return 1.0
    ways = tail = 1
    for number in range(fewer):
        ways = ways * (differing - number) // (number + 1)
        tail += ways
    return min(1.0, float(Fraction(2 * tail, 1 << differing)))  # exact: the powers overflow a float from 1,024 on


def paired(ours: Sequence[bool], theirs: Sequence[bool]) -> Paired:
    """Returns how two ways compare.

    Args:
        ours: whether each item was right.
        theirs: the same of the way it is compared with, item by item.
    """
    both = list(zip(ours, theirs, strict=True))
    return Paired(len(both), both.count((True, False)), both.count((False, True)))


def holm(values: Sequence[float]) -> tuple[float, ...]:
    """Returns p values corrected for being several (Holm 1979): below 0.05 none is by chance, in 95 of 100 families."""
    order = sorted(range(len(values)), key=values.__getitem__)
    corrected, highest = [0.0] * len(values), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(values) - rank) * values[index]))
        corrected[index] = highest
    return tuple(corrected)
