"""What a model hub tells: repositories, their files, what was found. Values alone; all text in them is from outside.

Knows no network and no client.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RepoKind = Literal["gguf", "embedder", "reranker", "other"]
"""What a repository is for: a language model in GGUF files, an embedding model, a cross-encoder, or nothing of ours."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What a user named: a repository, and perhaps which of its files."""

    repo: str
    """As "user/name"."""
    quant: str = ""
    """A quantisation as in a file's name, in capitals: "Q4_K_M"; empty leaves the choice."""
    file: str = ""
    """The path of one file inside the repository; empty leaves the choice."""
    revision: str = "main"


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file of a repository."""

    path: str
    """Inside the repository, checked: relative, no "..", no backslash, no control characters."""
    size: int
    sha256: str = ""
    """Hex; empty for small files that the hub keeps in git."""


@dataclass(frozen=True, slots=True)
class HubRepo:
    """A repository at one commit."""

    name: str
    """As "user/name", spelled as the hub does."""
    commit: str
    files: tuple[HubFile, ...]
    kind: RepoKind
    licence: str = ""
    gated: bool = False
    downloads: int = 0
    base_model: str = ""


@dataclass(frozen=True, slots=True)
class Variant:
    """One model of a repository: a file, or the parts of a split one, in order."""

    quant: str
    """As "Q4_K_M"; "?" where the name does not tell."""
    files: tuple[HubFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True, slots=True)
class Found:
    """One repository that a search found."""

    repo: str
    downloads: int
    likes: int
    updated: str
    """A date as "2026-10-31"; empty where it is not told."""
    gated: bool
    variants: tuple[Variant, ...] = ()
    """Their sizes are about right: what the parameters come to. 0 where the search does not tell these."""
