"""The models of other programs here: Hugging Face's cache, Ollama, LM Studio, llama.cpp. Read, never written.

Knows where each keeps its files and what it calls them, and opens no model. A store that is damaged, huge or not to be
read is passed by in part: what cannot be listed here can still be named by its path.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

import msgspec

from llmchat_engine.models.local import LocalModel, Origin, files_below, model_at

MOST_MODELS = 2000
"""Of one store."""
_MANIFEST_LIMIT = 1 << 20
_DIGEST = re.compile(r"sha256[:-]([0-9a-f]{64})")
_WEIGHTS = "application/vnd.ollama.image.model"
_HOST, _LIBRARY, _NEWEST = "registry.ollama.ai", "library", "latest"
_SYSTEM_OLLAMA = Path("/usr/share/ollama/.ollama/models")


class _Layer(msgspec.Struct):
    mediaType: str = ""  # noqa: N815
    digest: str = ""


class _Manifest(msgspec.Struct):
    layers: list[_Layer] = msgspec.field(default_factory=list)


def models_elsewhere(environ: Mapping[str, str]) -> Iterator[LocalModel]:
    """Yields the models of other programs, store by store; one file may come more than once.

    Args:
        environ: Where they are told to keep their files. Without HOME none is looked for.
    """
    home = environ.get("HOME", "")
    if not os.path.isabs(home):
        return
    cache = Path(environ.get("XDG_CACHE_HOME") or f"{home}/.cache")
    yield from islice(_hugging_face(_hub_cache(environ, home, cache)), MOST_MODELS)
    for store in _ollama_stores(environ, home):
        yield from islice(_ollama(store), MOST_MODELS)
    for folder in _lm_studio_folders(home):
        yield from islice(_plain(folder, "lm studio"), MOST_MODELS)
    for folder in _llama_cpp_folders(environ, home, cache):
        yield from islice(_plain(folder, "llama.cpp"), MOST_MODELS)


def _hub_cache(environ: Mapping[str, str], home: str, cache: Path) -> Path:
    """Returns the one folder that huggingface_hub would use."""
    for name, below in (("HF_HUB_CACHE", ""), ("HUGGINGFACE_HUB_CACHE", ""), ("HF_HOME", "hub")):
        if said := environ.get(name):
            return _expanded(said, home) / below
    return cache / "huggingface" / "hub"


def _ollama_stores(environ: Mapping[str, str], home: str) -> list[Path]:
    said = [_expanded(said, home)] if (said := environ.get("OLLAMA_MODELS")) else []
    return [*said, Path(home, ".ollama", "models"), _SYSTEM_OLLAMA]


def _lm_studio_folders(home: str) -> list[Path]:
    folders = [Path(home, ".lmstudio", "models"), Path(home, ".cache", "lm-studio", "models")]
    pointed = _text_of(Path(home, ".lmstudio-home-pointer")).strip()
    return [*folders, Path(pointed, "models")] if os.path.isabs(pointed) else folders


def _llama_cpp_folders(environ: Mapping[str, str], home: str, cache: Path) -> list[Path]:
    said = [_expanded(said, home)] if (said := environ.get("LLAMA_CACHE")) else []
    return [*said, cache / "llama.cpp", Path(home, ".cache", "llama.cpp"), Path(home, "Library", "Caches", "llama.cpp")]


def _hugging_face(cache: Path) -> Iterator[LocalModel]:
    """Yields models--USER--REPO/snapshots/COMMIT/*.gguf, the newest commit first."""
    for folder in _entries(cache):
        kind, _, repo = folder.name.partition("--")
        if kind != "models" or not repo:
            continue
        for snapshot in sorted(_entries(folder / "snapshots"), key=_age):
            for path in files_below(snapshot):
                if model := model_at(path, "hugging face", repo=repo.replace("--", "/", 1)):
                    yield model


def _ollama(store: Path) -> Iterator[LocalModel]:
    """Yields manifests/HOST/.../NAME/TAG, each naming a blob; of one blob's tags "latest" says least and comes last."""
    manifests = store / "manifests"
    found = [Path(parent, file) for parent, _, files in islice(os.walk(manifests), MOST_MODELS) for file in files]
    for path in sorted(found, key=lambda path: (path.name == _NEWEST, path))[:MOST_MODELS]:
        *folders, tag = path.relative_to(manifests).parts
        if len(folders) < 2 or not (blob := _blob_of(path)):
            continue
        if folders[0] == _HOST:
            del folders[: 2 if folders[1] == _LIBRARY and len(folders) > 2 else 1]
        if model := model_at(store / "blobs" / blob, "ollama", f"{'/'.join(folders)}:{tag}"):
            yield model


def _blob_of(manifest: Path) -> str:
    """Returns the name of the file with a model's weights; nothing where the manifest names none."""
    try:
        layers = msgspec.json.decode(_text_of(manifest), type=_Manifest).layers
    except msgspec.MsgspecError:
        return ""
    digests = (_DIGEST.fullmatch(layer.digest) for layer in layers if layer.mediaType == _WEIGHTS)
    return next((f"sha256-{digest[1]}" for digest in digests if digest), "")


def _plain(folder: Path, origin: Origin) -> Iterator[LocalModel]:
    """Yields the files of a folder; USER/REPO/FILE tells the repository."""
    for path in files_below(folder):
        repo = path.relative_to(folder).parts[:-1]
        if model := model_at(path, origin, repo="/".join(repo[:2]) if len(repo) >= 2 else ""):
            yield model


def _entries(folder: Path) -> list[Path]:
    try:
        return [Path(folder, name) for name in sorted(os.listdir(folder))]
    except OSError:
        return []


def _age(path: Path) -> float:
    try:
        return -path.stat().st_mtime
    except OSError:
        return 0.0


def _text_of(path: Path) -> str:
    """Returns a small file's text; nothing where it cannot be read, or is no plain small file."""
    try:
        if not path.is_file():  # a FIFO would never end
            return ""
        with path.open("rb") as file:
            return file.read(_MANIFEST_LIMIT).decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""


def _expanded(said: str, home: str) -> Path:
    return Path(home + said[1:] if said == "~" or said.startswith("~/") else said)
