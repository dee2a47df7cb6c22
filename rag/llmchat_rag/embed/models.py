"""What an embedding model is: read from the files of a sentence-transformers folder, without any model library.

Knows nothing of where models are found, and loads no weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmchat_rag.embed.folders import inside, read_json, read_settings, shapes_in, weights_in
from llmchat_rag.embed.prefixes import prefixes_of
from llmchat_rag.errors import EmbedderBroken

_OWN = "sentence_transformers."
_POOLINGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
EXPORTABLE = frozenset({"mean", "cls", "max"})
"""What the query encoder can pool by itself."""
# What sentence-transformers takes where a model names no length; a tokenizer that has none says 10 ** 30.
_DEFAULT_LIMIT = 512


@dataclass(frozen=True, slots=True)
class Model:
    """An embedding model on this machine."""

    name: str
    folder: Path
    transformer: Path
    """The folder of its first module, which holds its tokenizer."""
    weights: tuple[Path, ...]
    dimension: int
    limit: int
    """Tokens of an input, with those that the model puts around it."""
    pooling: str
    normalise: bool
    query_prefix: str
    passage_prefix: str
    plain: bool
    """True where it is a transformer, a pooling and no more: such a model can be exported."""

    @property
    def tokenizer(self) -> Path:
        """The file that the tokenizer is made of."""
        return self.transformer / "tokenizer.json"


def read_model(folder: Path, name: str = "") -> Model:
    """Returns the model of a folder.

    Args:
        folder: as sentence-transformers saves it, with a `modules.json`.
        name: what it is called; otherwise its folder's name.

    Raises:
        EmbedderBroken: it is none, it is not whole, or its weights are pickles.
    """
    modules = _modules(folder)
    kinds = [kind for kind, _ in modules]
    first = modules[0][1]
    weights = tuple(path for _, module in modules if module.is_dir() for path in weights_in(module))
    if not weights:
        raise EmbedderBroken(f"{folder} is not whole", "it holds no model.safetensors")
    shapes = [shapes_in(path) for path in weights]
    if not (first / "tokenizer.json").is_file():
        raise EmbedderBroken(f"{folder} is not whole", "tokenizer.json is missing")
    pooling = next((read_settings(path / "config.json") for kind, path in modules if kind == "Pooling"), {})
    query, passage = prefixes_of(folder, name)
    mode = _pooling(pooling)
    whole = pooling.get("include_prompt", True) or not (query or passage)
    return Model(
        name=name or folder.resolve().name,
        folder=folder,
        transformer=first,
        weights=weights,
        dimension=_dimension(modules, pooling, shapes, folder),
        limit=_limit(first),
        pooling=mode,
        normalise="Normalize" in kinds,
        query_prefix=query,
        passage_prefix=passage,
        plain=kinds in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
        and mode in EXPORTABLE
        and bool(whole),
    )


def _modules(folder: Path) -> list[tuple[str, Path]]:
    """Returns the kind and the folder of each module, in order."""
    listed = read_json(folder / "modules.json")
    if not isinstance(listed, list) or not listed:
        raise EmbedderBroken(f"{folder} cannot be used", "it has no modules.json, so it is no embedding model")
    modules = []
    for entry in listed:
        kind, path = (str(entry.get("type", "")), str(entry.get("path", ""))) if isinstance(entry, dict) else ("", "")
        if not kind.startswith(_OWN):
            raise EmbedderBroken(f"{folder} cannot be used", f"it needs code of its own ({kind!r}), which is never run")
        modules.append((kind.rpartition(".")[2], inside(folder, path)))
    return modules


def _pooling(settings: dict[str, Any]) -> str:
    """Returns how token vectors become one; several ways at once are joined with `+`."""
    mode = settings.get("pooling_mode")
    if isinstance(mode, str):
        return mode
    modes = mode if isinstance(mode, list) else [way for key, way in _POOLINGS.items() if settings.get(key)]
    return "+".join(str(way) for way in modes) or ("mean" if settings else "")


def _dimension(
    modules: list[tuple[str, Path]], pooling: dict[str, Any], shapes: list[dict[str, list[int]]], folder: Path
) -> int:
    """Returns the length of a vector, from the last module that says it."""
    found = pooling.get("embedding_dimension", pooling.get("word_embedding_dimension"))
    for kind, path in modules:
        if kind == "Dense":
            found = read_settings(path / "config.json").get("out_features", found)
        elif kind == "StaticEmbedding":
            found = next((shape[1] for tensors in shapes for shape in tensors.values() if len(shape) == 2), found)
    if not isinstance(found, int) or found < 1:
        raise EmbedderBroken(f"{folder} cannot be used", "it does not say how long its vectors are")
    modes = _pooling(pooling).split("+")
    return found * len(modes) if modules[-1][0] in {"Pooling", "Normalize"} and len(modes) > 1 else found


def _limit(first: Path) -> int:
    """Returns how many tokens the model sees, as sentence-transformers finds it out."""
    for path in sorted(first.glob("sentence_*_config.json")):
        if isinstance(length := read_settings(path).get("max_seq_length"), int) and length > 0:
            return length
    lengths = [
        read_settings(first / "tokenizer_config.json").get("model_max_length"),
        read_settings(first / "config.json").get("max_position_embeddings"),
    ]
    # RoBERTa counts 514 positions and sees 512: its tokenizer says so, and the smaller one wins.
    return min((length for length in lengths if isinstance(length, int) and length > 0), default=_DEFAULT_LIMIT)
