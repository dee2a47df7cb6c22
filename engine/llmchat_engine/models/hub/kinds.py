"""What a repository is for, and which files of an embedding or re-ranking model are pulled: never a pickle.

Works on what the hub tells of a repository; knows no network and opens no file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from llmchat_engine.errors import HubMissing
from llmchat_engine.models.hub.errors import search_command
from llmchat_engine.models.hub.types import HubFile, HubRepo, RepoKind

_RERANKER_TAGS = frozenset({"cross-encoder", "reranker", "text-ranking"})
_EMBEDDER_TASKS = frozenset({"feature-extraction", "sentence-similarity"})
_PARTS = re.compile(r"(?:[0-9]+_[A-Za-z]+/)?[^/]+")
"""The top folder and those of modules, as 1_Pooling: what sentence-transformers reads."""
_SETTINGS = re.compile(
    r"config\.json|config_sentence_transformers\.json|modules\.json|sentence_[a-z]+_config\.json|README\.md"
    r"|tokenizer\.json|tokenizer_config\.json|special_tokens_map\.json|added_tokens\.json|vocab\.(?:txt|json)|merges\.txt"
    r"|tokenizer\.model|spiece\.model|sentencepiece\.bpe\.model|model\.safetensors\.index\.json"
)
_WEIGHTS = re.compile(r"model(?:-[0-9]{5}-of-[0-9]{5})?\.safetensors")
_PICKLES = re.compile(r"(?:pytorch_model.*|model.*|.*weights.*)\.(?:bin|pt|pth|ckpt|pkl)")
_READY = ("model_int8.onnx", "model_quantized.onnx", "model_qint8_avx512_vnni.onnx", "model.onnx")
"""The ONNX files that questions are answered with, the quickest first; of others nothing is known."""


def kind_of(
    name: str, paths: Sequence[str], *, library: str, task: str, tags: Iterable[str], architectures: Iterable[str]
) -> RepoKind:
    """Returns what a repository is for.

    Args:
        name: Of the repository.
        paths: Of its files.
        library: That its card names, as "sentence-transformers".
        task: Of its card, as "text-ranking".
        tags: Of its card.
        architectures: Of its configuration, as "BertForSequenceClassification".
    """
    if any(path.lower().endswith(".gguf") for path in paths):
        return "gguf"
    # A cross-encoder is built as a classifier of one label; only its name tells it from other classifiers.
    ranks = any(kind.endswith("ForSequenceClassification") for kind in architectures)
    called = any(word in name.lower() for word in ("rerank", "cross-encoder"))
    if task == "text-ranking" or _RERANKER_TAGS & {*tags} or (ranks and called):
        return "reranker"
    if library == "sentence-transformers" or "modules.json" in paths or task in _EMBEDDER_TASKS:
        return "embedder"
    return "other"


def files_to_pull(repo: HubRepo) -> tuple[HubFile, ...]:
    """Returns what is pulled of an embedding or a re-ranking model: settings, tokenizer, safetensors, one ONNX file.

    Args:
        repo: Of the kind "embedder" or "reranker".

    Raises:
        HubMissing: It cannot be used: its weights are pickles alone, or there is no tokenizer.
    """
    wanted = [file for file in repo.files if _PARTS.fullmatch(file.path) and _SETTINGS.fullmatch(_name(file))]
    weights = [file for folder in _module_folders(repo) for file in _weights(repo, folder)]
    what = f"{repo.name} cannot be used"
    if not weights:
        raise HubMissing(what, "it has no model.safetensors", _HINTS[repo.kind == "reranker"])
    if not any(_name(file) == "tokenizer.json" for file in wanted):
        raise HubMissing(what, "it has no tokenizer.json", _HINTS[repo.kind == "reranker"])
    return (*wanted, *weights, *_ready_file(repo))


_HINTS = (
    "take one that is whole: llmchat pull sentence-transformers/all-MiniLM-L6-v2",
    "take one that is whole: llmchat pull cross-encoder/ms-marco-MiniLM-L6-v2",
)


def check_kind(repo: HubRepo, all_paths: Sequence[str]) -> HubRepo:
    """Returns a repository that is of use.

    Args:
        repo: As the hub tells it, without the files whose names are not safe.
        all_paths: The names of all its files, the unsafe ones too.

    Raises:
        HubMissing: It holds nothing that llmchat can use; the message says what it is instead.
    """
    if repo.kind != "other":
        return repo
    what, search = f"{repo.name} holds no model that llmchat can use", search_command(repo.name)
    if len(repo.files) < len(all_paths) and any(path.lower().endswith(".gguf") for path in all_paths):
        raise HubMissing(what, "the names of its GGUF files lead out of its folder", f"take another: {search}")
    if any(_name(file).endswith(".safetensors") or _PICKLES.fullmatch(_name(file)) for file in repo.files):
        why = "it is the original model; llmchat runs one that was converted to GGUF and quantised"
        raise HubMissing(what, why, f"find those that were made of it: {search}")
    raise HubMissing(what, "it has neither GGUF files nor weights of an embedding model", f"search for it: {search}")


def _name(file: HubFile) -> str:
    return file.path.rpartition("/")[2]


def _module_folders(repo: HubRepo) -> list[str]:
    inside = (file.path for file in repo.files if _PARTS.fullmatch(file.path))
    return sorted({path.rpartition("/")[0] for path in inside})


def _weights(repo: HubRepo, folder: str) -> Iterator[HubFile]:
    """Yields the safetensors of one folder: one file, else the parts of a split one; refuses pickles alone."""
    files = [file for file in repo.files if file.path.rpartition("/")[0] == folder]
    found = [file for file in files if _WEIGHTS.fullmatch(_name(file))]
    pickles = [file.path for file in files if _PICKLES.fullmatch(_name(file))]
    if pickles and not found:
        why = f"its weights are a pickle ({pickles[0]}), which can run code when it is opened; it has no safetensors"
        raise HubMissing(f"{repo.name} cannot be used", why, _HINTS[repo.kind == "reranker"])
    one = [file for file in found if _name(file) == "model.safetensors"]
    yield from one or found


def _ready_file(repo: HubRepo) -> Iterator[HubFile]:
    """Yields the ONNX file that is used, and the file of weights beside it where it has one."""
    there = {file.path: file for file in repo.files}
    for folder in ("onnx", *(f"{folder}/onnx" for folder in _module_folders(repo) if folder)):
        for name in _READY:
            path = str(PurePosixPath(folder, name))
            if path in there:
                beside = (f"{path}_data", f"{path}.data")
                yield from (there[found] for found in (path, *beside) if found in there)
                return
