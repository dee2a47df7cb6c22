"""Where embedding and re-ranking models that were pulled lie: the settings name them as the hub does.

Looks for folders only; what is in them is for the document room to read. Knows no network.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

DEFAULT_EMBEDDER = "sentence-transformers/all-MiniLM-L6-v2"


def embedder_in(models_dir: Path, spec: str) -> str:
    """Returns what the document room is to open as the embedding model: a pulled folder, else the name as it was.

    Args:
        models_dir: where pulled models lie.
        spec: of the settings: a name or a path; empty for all-MiniLM-L6-v2.
    """
    return _folder_of(models_dir, spec or DEFAULT_EMBEDDER) or spec


def reranker_in(models_dir: Path, spec: str) -> str:
    """Returns what the document room is to open as the re-ranking model: a pulled folder, else the name as it was.

    Args:
        models_dir: where pulled models lie.
        spec: of the settings; empty takes the first that was pulled.
    """
    if spec:
        return _folder_of(models_dir, spec) or spec
    return next((str(folder) for folder in _folders(models_dir) if _ranks(folder)), "")


def _folder_of(models_dir: Path, spec: str) -> str:
    """Returns the pulled folder that a name means, with its user or without; empty for none and for a path."""
    if spec.startswith(("/", "./", "../", "~")):
        return ""
    wanted = spec.casefold()
    for folder in _folders(models_dir):
        name = f"{folder.parent.name}/{folder.name}"
        if wanted in (name.casefold(), folder.name.casefold()):
            return str(folder)
    return ""


def _folders(models_dir: Path) -> Iterator[Path]:
    """Yields the folders user/name that hold no GGUF file but a model of another kind."""
    try:
        users = sorted(path for path in models_dir.iterdir() if path.is_dir())
        folders = [folder for user in users for folder in sorted(user.iterdir())]
    except OSError:
        return
    yield from (folder for folder in folders if (folder / "config.json").is_file())


def _ranks(folder: Path) -> bool:
    from llmchat_rag.embed.reranker import scores_pairs

    return (folder / "tokenizer.json").is_file() and scores_pairs(folder)
