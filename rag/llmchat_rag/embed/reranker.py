"""Re-ranking: a cross-encoder reads a question together with each passage. Knows no search, and no torch where it can.

Any local sequence-classification model with one label: as ONNX, which is written once by another process; one that has
no such form in sentence-transformers. A budget of seconds is handed in.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llmchat_rag.embed.batches import batches
from llmchat_rag.embed.bulk import CrossEncoder, can_run
from llmchat_rag.embed.exports import export_folder, noted_export, ready_file
from llmchat_rag.embed.finding import folder_of, hub_folder, install_command, is_path, same_name, snapshots
from llmchat_rag.embed.fingerprint import weights_digest
from llmchat_rag.embed.folders import read_settings, weights_in
from llmchat_rag.embed.query import Session, Tokens
from llmchat_rag.errors import EmbedderBroken, EmbedderMissing

if TYPE_CHECKING:
    from llmchat_rag.types import Vector

SUGGESTED = "cross-encoder/ms-marco-MiniLM-L6-v2"
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
        return scores


@dataclass(frozen=True, slots=True)
class FoundReranker:
    """A cross-encoder on this machine. Nothing of it is loaded."""

    name: str
    folder: Path
    fingerprint: str
    place: Path
    """Where its export is, or will be."""

    @property
    def limit(self) -> int:
        """Tokens of a question and a passage together."""
        found = read_settings(self.folder / "tokenizer_config.json").get("model_max_length")
        return min(found, _LIMIT) if isinstance(found, int) and found > 0 else _LIMIT

    def tokens(self) -> Tokens:
        """Returns its tokenizer."""
        return Tokens(self.folder / "tokenizer.json", self.limit)


def find_reranker(spec: str, home: Path, hub: Path | None = None) -> FoundReranker:
    """Returns a cross-encoder that is on this machine.

    Args:
        spec: empty for the first that is found; a folder; a name as the hub calls it.
        home: where exports are.
        hub: the Hugging Face cache; this user's where none is given.

    Raises:
        EmbedderMissing: there is none, or not the one that is named; it names the command.
        EmbedderBroken: it cannot be used.
    """
    name, folder = _find(spec, hub)
    fingerprint = weights_digest(_weights(folder), home)
    return FoundReranker(name, folder, fingerprint, export_folder(home, name, fingerprint))


def open_reranker(spec: str, home: Path, hub: Path | None = None, *, quick: bool = False) -> LocalReranker:
    """Returns a cross-encoder that is on this machine; the first time it is exported: some seconds, once.

    Args:
        spec: as for `find_reranker`.
        home: where exports are.
        hub: the Hugging Face cache; this user's where none is given.
        quick: refuse one that has no ONNX form, which would load torch into this process.

    Raises:
        EmbedderMissing: there is none, or nothing that is installed can run it; it names the command.
        EmbedderBroken: it cannot be used.
    """
    found = find_reranker(spec, home, hub)
    if path := _onnx_file(found, spec, home, hub):
        tokens = found.tokens()
        return LocalReranker(found.name, found.fingerprint, tokens, OnnxScores(tokens, path))
    if quick:
        raise EmbedderBroken(f"{found.name} is too slow for a chat", "it has no form that runs without torch")
    scores = CrossEncoder(found.folder, found.limit).score
    return LocalReranker(found.name, found.fingerprint, found.tokens(), scores)


def _onnx_file(found: FoundReranker, spec: str, home: Path, hub: Path | None) -> Path | None:
    """Returns what was adopted in place of the model, written now where that has not been tried."""
    if (noted := noted_export(found.place)) is not None:
        return noted.path
    if not can_run():
        if ready := ready_file(found.folder):
            return ready
        hint = install_command("sentence-transformers", "onnx")
        raise EmbedderMissing(f"nothing can run {found.name}", "sentence-transformers is not installed", hint)
    _export(found, [spec, str(home), *([str(hub)] if hub else [])])
    noted = noted_export(found.place)
    return noted.path if noted else None


def _export(found: FoundReranker, arguments: Sequence[str]) -> None:
    """Has another process write a cross-encoder as ONNX, because torch would stay in this one."""
    import subprocess

    # -P: the program may have been started in a folder that holds a json.py.
    command = [sys.executable, "-P", "-W", "ignore", "-m", "llmchat_rag.embed.reranker_export", *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise EmbedderBroken(f"{found.name} cannot be prepared", lines[-1] if lines else f"exit {done.returncode}")


class OnnxScores:
    """A cross-encoder in ONNX Runtime, on one thread."""

    def __init__(self, tokens: Tokens, path: Path) -> None:
        """Opens the file.

        Args:
            tokens: the tokenizer of the model.
            path: of the ONNX file.

        Raises:
            EmbedderBroken: ONNX Runtime cannot read it.
        """
        self._tokens = tokens
        self._session = Session(path)

    def __call__(self, question: str, texts: Sequence[str]) -> Vector:
        """Returns the score of each text, before any function that squeezes it into 0 to 1."""
        found, _ = self._session.run([self._tokens.encode(question, text) for text in texts], "logits")
        scores: Vector = found.reshape(len(texts))
        return scores


def _find(spec: str, hub: Path | None) -> tuple[str, Path]:
    """Returns the name and the folder of a cross-encoder."""
    places = [("", folder_of(spec))] if is_path(spec) else snapshots(hub or hub_folder())
    for name, folder in places:
        if not spec and scores_pairs(folder) and (folder / "tokenizer.json").is_file():
            return name, folder
        if spec and (not name or same_name(spec, name)):
            if not scores_pairs(folder):
                raise EmbedderBroken(f"{folder} cannot be used", "it is no re-ranking model: it has no single score")
            return name or folder.resolve().name, folder
    called = f"the re-ranking model {spec} is not" if spec else "there is no re-ranking model"
    raise EmbedderMissing(f"{called} on this machine", "", shlex.join(["llmchat", "pull", spec or SUGGESTED]))


def scores_pairs(folder: Path) -> bool:
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
