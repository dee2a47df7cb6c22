"""Re-ranking: a cross-encoder reads a question together with each passage.

ONNX where it was exported, else sentence-transformers.
Any local sequence-classification model with one label. Knows no search; a budget of seconds is handed in.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llmchat_rag.embed.batches import batches
from llmchat_rag.embed.bulk import CrossEncoder, can_run
from llmchat_rag.embed.exports import Export, export_folder, noted_export, ready_file
from llmchat_rag.embed.finding import folder_of, hub_folder, install_command, is_path, same_name, snapshots
from llmchat_rag.embed.fingerprint import weights_digest
from llmchat_rag.embed.folders import read_settings, weights_in
from llmchat_rag.embed.probes import PROBES, agreement, unit
from llmchat_rag.embed.query import Session, Tokens
from llmchat_rag.errors import EmbedderBroken, EmbedderMissing

if TYPE_CHECKING:
    from llmchat_rag.types import Vector, Vectors

_LIMIT = 512
_BATCH_TOKENS = 1024
"""Small, so that the time is asked for often: four pairs of 256 tokens take a tenth of a second."""


class LocalReranker:
    """A cross-encoder on this machine."""

    def __init__(
        self, name: str, fingerprint: str, tokens: Tokens, run: Callable[[str, Sequence[str]], Vector]
    ) -> None:
        """Takes what scores one batch.

        Args:
            name: of the model.
            fingerprint: of its weights.
            tokens: its tokenizer.
            run: scores a batch of texts for a question.
        """
        self.name = name
        self.fingerprint = fingerprint
        self._tokens = tokens
        self._run = run

    def score(self, question: str, texts: Sequence[str], seconds: float) -> Vector | None:
        """Returns one score for each text; None where the time was not enough, as soon as that is clear."""
        import numpy as np

        started, done = time.monotonic(), 0
        scores = np.empty(len(texts), np.float32)
        lengths = [min(count, _LIMIT) for count in self._tokens.count(texts)]
        for batch in batches(lengths, _BATCH_TOKENS):
            passed = time.monotonic() - started
            # The rate of the first batch is a guess, so only what is clearly hopeless is given up early.
            if passed >= seconds or (done and passed / done * sum(lengths) > 2 * seconds):
                return None
            scores[batch] = self._run(question, [texts[position] for position in batch])
            done += sum(lengths[position] for position in batch)
        return scores if time.monotonic() - started <= seconds else None


def open_reranker(spec: str, home: Path, hub: Path | None = None) -> LocalReranker | None:
    """Returns a cross-encoder that is on this machine, or None where there is none.

    Args:
        spec: empty for the first that is found; a folder; a name as the hub calls it.
        home: where exports are.
        hub: the Hugging Face cache; this user's where none is given.

    Raises:
        EmbedderMissing: a named one is not here, or nothing can run it.
        EmbedderBroken: it cannot be used.
    """
    if (found := _find(spec, hub)) is None:
        return None
    name, folder = found
    fingerprint = weights_digest(_weights(folder), home)
    tokens = Tokens(folder / "tokenizer.json", _limit(folder))
    export = noted_export(export_folder(home, name, fingerprint))
    path = export.path if export else ready_file(folder)
    if path:
        return LocalReranker(name, fingerprint, tokens, _OnnxScores(tokens, path))
    if can_run():
        return LocalReranker(name, fingerprint, tokens, CrossEncoder(folder, _limit(folder)).score)
    if not spec:
        return None
    hint = install_command("sentence-transformers", "onnx")
    raise EmbedderMissing(f"nothing can run {name}", "sentence-transformers is not installed", hint)


def prepare_reranker(spec: str, home: Path, hub: Path | None = None) -> Export | None:
    """Returns the ONNX form of a cross-encoder, written now where it is not there yet; None where there is no model.

    It takes some seconds, once, and sentence-transformers.

    Args:
        spec: as for `open_reranker`.
        home: where exports are kept.
        hub: the Hugging Face cache.

    Raises:
        EmbedderMissing: a named one is not here.
        EmbedderBroken: it cannot be loaded.
    """
    from llmchat_rag.embed.export import make_export, reranker_writer

    if (found := _find(spec, hub)) is None or not can_run():
        return None
    name, folder = found
    place = export_folder(home, name, weights_digest(_weights(folder), home))
    if noted := noted_export(place):
        return noted
    tokens = Tokens(folder / "tokenizer.json", _limit(folder))
    reference = CrossEncoder(folder, _limit(folder)).score(PROBES[0], PROBES)

    def agrees(path: Path) -> float:
        # The correlation: scores are only compared with each other, so neither their scale nor their height matters.
        return agreement(_centred(_OnnxScores(tokens, path)(PROBES[0], PROBES)), _centred(reference))

    return make_export(place, ready_file(folder), reranker_writer(folder), agrees)


class _OnnxScores:
    """A cross-encoder in ONNX Runtime, on one thread."""

    def __init__(self, tokens: Tokens, path: Path) -> None:
        self._tokens = tokens
        self._session = Session(path)

    def __call__(self, question: str, texts: Sequence[str]) -> Vector:
        found, _ = self._session.run([self._tokens.encode(question, text) for text in texts], "logits")
        scores: Vector = found.reshape(len(texts))
        return scores


def _find(spec: str, hub: Path | None) -> tuple[str, Path] | None:
    """Returns the name and the folder of a cross-encoder."""
    places = [("", folder_of(spec))] if is_path(spec) else snapshots(hub or hub_folder())
    for name, folder in places:
        if not spec and _scores_pairs(folder) and (folder / "tokenizer.json").is_file():
            return name, folder
        if spec and (not name or same_name(spec, name)):
            if not _scores_pairs(folder):
                raise EmbedderBroken(f"{folder} cannot be used", "it is no re-ranking model: it has no single score")
            return name or folder.resolve().name, folder
    if spec:
        command = shlex.join(["hf", "download", spec])
        raise EmbedderMissing(f"the re-ranking model {spec} is not on this machine", "", command)
    return None


def _centred(scores: Vector) -> Vectors:
    """Returns scores as one row of length 1 around their mean."""
    return unit((scores - scores.mean())[None, :])


def _scores_pairs(folder: Path) -> bool:
    """Returns whether a model gives one score: that is how a cross-encoder for ranking is told from a classifier."""
    try:
        settings = read_settings(folder / "config.json")
    except EmbedderBroken:
        return False
    architectures = settings.get("architectures")
    labels = settings.get("id2label")
    single = len(labels) == 1 if isinstance(labels, dict) else settings.get("num_labels") == 1
    return single and isinstance(architectures, list) and str(architectures[:1]).endswith("ForSequenceClassification']")


def _weights(folder: Path) -> tuple[Path, ...]:
    if not (weights := weights_in(folder)):
        raise EmbedderBroken(f"{folder} is not whole", "it holds no model.safetensors")
    return weights


def _limit(folder: Path) -> int:
    found = read_settings(folder / "tokenizer_config.json").get("model_max_length")
    return min(found, _LIMIT) if isinstance(found, int) and found > 0 else _LIMIT
