"""What an update of a collection reports on its way. Frozen; what is left out is a `Skipped` of types.py."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is."""

    files: int
    """Read so far, of those that have to be."""
    of_files: int
    chunks: int
    """Embedded in this run."""
    chunks_per_second: float
    seconds_left: float | None
    """None before there is anything to tell it from."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """A file can be found now."""

    relative: str
    chunks: int
    embedded: int
    """Passages that were new; the vectors of the others were here already."""


@dataclass(frozen=True, slots=True)
class Removed:
    """A file is gone, and can be found no more."""

    relative: str


@dataclass(frozen=True, slots=True)
class Done:
    """The end of an update."""

    indexed: int
    unchanged: int
    removed: int
    refused: int
    """Files of the folder that cannot be read, also those known from an earlier run."""
    chunks: int
    """In the whole collection."""
    embedded: int
    seconds: float
