"""The repositories of a fake hub, and the JSON in which the real one tells them. Knows no sockets."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

JsonObject = dict[str, object]
LARGE = (".gguf", ".safetensors", ".onnx", ".bin", ".pt")
"""Files that the hub keeps outside git: they have a sha256 and are served by the CDN."""


@dataclass(frozen=True)
class Stored:
    """One file."""

    data: bytes
    large: bool

    @cached_property
    def sha256(self) -> str:
        """Hex."""
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def oid(self) -> str:
        """Git's name of the file."""
        return hashlib.sha1(b"blob %d\0" % len(self.data) + self.data).hexdigest()

    @property
    def etag(self) -> str:
        """As the hub sends it, with its quotes."""
        return f'"{self.sha256 if self.large else self.oid}"'


@dataclass(frozen=True, slots=True)
class Repo:
    """One repository at its only commit."""

    name: str
    files: dict[str, Stored]
    licence: str
    gated: bool
    private: bool
    tags: tuple[str, ...]
    downloads: int
    likes: int
    base_model: str
    pipeline: str
    library: str

    @property
    def commit(self) -> str:
        """Changes with the files."""
        told = "".join(f"{path}\0{file.oid}\n" for path, file in sorted(self.files.items()))
        return hashlib.sha1(f"{self.name}\n{told}".encode()).hexdigest()

    def info(self, blobs: bool) -> JsonObject:
        """Returns what `/api/models/...` tells of it."""
        card: JsonObject = {"license": self.licence, "tags": list(self.tags)}
        if self.base_model:
            card["base_model"] = self.base_model
        told: JsonObject = {
            "_id": self.commit[:24],
            "id": self.name,
            "modelId": self.name,
            "author": self.name.split("/")[0],
            "sha": self.commit,
            "lastModified": "2026-10-31T12:00:00.000Z",
            "createdAt": "2026-09-01T12:00:00.000Z",
            "private": self.private,
            "gated": "manual" if self.gated else False,
            "disabled": False,
            "downloads": self.downloads,
            "likes": self.likes,
            "tags": [*self.tags, f"license:{self.licence}"],
            "pipeline_tag": self.pipeline,
            "library_name": self.library,
            "cardData": card,
            "siblings": [_sibling(path, file, blobs) for path, file in self.files.items()],
            "spaces": [],
        }
        if "gguf" in self.tags:
            told["gguf"] = {"total": 135_000_000, "architecture": "llama", "context_length": 8192}
        return told


def _sibling(path: str, file: Stored, blobs: bool) -> JsonObject:
    told: JsonObject = {"rfilename": path}
    if blobs:
        told |= {"size": len(file.data), "blobId": file.oid}
        if file.large:
            told["lfs"] = {"sha256": file.sha256, "size": len(file.data), "pointerSize": 135}
    return told
