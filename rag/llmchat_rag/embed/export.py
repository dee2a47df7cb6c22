"""A model written once as ONNX with int8 weights, and adopted where its vectors agree: questions then need no torch.

A folder is written beside its place and renamed: it is whole or not there. Imports torch and onnx only to write.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmchat_rag.embed.exports import RECIPE, Export, export_folder, noted_export, ready_file
from llmchat_rag.embed.models import Model
from llmchat_rag.embed.probes import PROBES, agreement
from llmchat_rag.embed.query import OnnxEncoder
from llmchat_rag.errors import EmbedderBroken

if TYPE_CHECKING:
    from llmchat_rag.types import Vectors

_OPSET = 17
AGREES = 0.985
"""The smallest cosine with float32 over the probes; int8 of all-MiniLM-L6-v2 reaches 0.99."""
_ABANDONED = 24 * 3600
"""Seconds after which what a killed process was writing is removed."""


def adopt(model: Model, fingerprint: str, home: Path, reference: Vectors) -> Export:
    """Returns what answers questions for a model; exports it where that has not been tried.

    Args:
        model: an embedding model.
        fingerprint: of the model.
        home: where exports are kept.
        reference: the vectors of the probes in float32.
    """
    folder = export_folder(home, model.name, fingerprint)
    if (noted := noted_export(folder)) is not None:
        return noted

    def agrees(path: Path) -> float:
        encoder = OnnxEncoder(model, path)
        import numpy as np

        return agreement(np.stack([encoder.encode_query(text) for text in PROBES]), reference)

    ready = (ready_file(model.transformer) or ready_file(model.folder)) if model.plain else None
    write = _writer(model.transformer, "AutoModel", "last_hidden_state") if model.plain else None
    return make_export(folder, ready, write, agrees)


def make_export(
    folder: Path, ready: Path | None, write: Callable[[Path], None] | None, agrees: Callable[[Path], float]
) -> Export:
    """Returns the first of a ready file, int8 and float32 that agrees with the model, and notes it.

    Args:
        folder: where the export is to be.
        ready: a file that the model ships.
        write: writes the model as float32; None where it has no ONNX form.
        agrees: how far a file agrees with the model, from -1 to 1.
    """
    if ready and (cosine := _asked(agrees, ready)) >= AGREES:
        return _place(folder, None, Export(ready, "ready", cosine))
    with _beside(folder) as scratch:
        if scratch is None:
            return Export(None, "none")
        try:
            for kind, path in _attempts(write, scratch):
                if (cosine := _asked(agrees, path)) >= AGREES:
                    return _place(folder, path, Export(path, kind, cosine))
        except (ImportError, OSError):  # No room, or no onnx: another day it may work, so nothing is noted.
            return Export(None, "none")
        return _place(folder, None, Export(None, "none"))


def reranker_writer(folder: Path) -> Callable[[Path], None]:
    """Returns what writes a cross-encoder as float32."""
    return _writer(folder, "AutoModelForSequenceClassification", "logits")


def _place(folder: Path, written: Path | None, export: Export) -> Export:
    """Notes what was adopted, and moves it to its place in one step. A home that is full or read-only loses it."""
    path = "model.onnx" if written else str(export.path) if export.path else None
    note = {"recipe": RECIPE, "path": path, "kind": export.kind, "agreement": round(export.agreement, 5)}
    with _beside(folder) as fresh:
        if fresh is None:
            return Export(None, "none") if written else export
        try:
            if written:
                os.replace(written, fresh / "model.onnx")
            (fresh / "export.json").write_text(json.dumps(note), encoding="utf-8")
            if folder.exists() and noted_export(folder) is None:
                shutil.rmtree(folder)
            os.rename(fresh, folder)
        except OSError:
            pass  # Another process was first, and wrote the same.
    return noted_export(folder) or Export(None, "none")


@contextlib.contextmanager
def _beside(folder: Path) -> Iterator[Path | None]:
    """Yields an empty folder on the same disk, removed afterwards; None where none can be made."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        for left in folder.parent.glob(".export-*"):
            if time.time() - left.stat().st_mtime > _ABANDONED:
                shutil.rmtree(left, ignore_errors=True)
        scratch = Path(tempfile.mkdtemp(prefix=".export-", dir=folder.parent))
    except OSError:
        yield None
        return
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _asked(agrees: Callable[[Path], float], path: Path) -> float:
    """Returns the agreement of a file; -1 where it cannot even be run."""
    try:
        return agrees(path)
    except EmbedderBroken:
        return -1.0


def _attempts(write: Callable[[Path], None] | None, scratch: Path) -> Iterator[tuple[str, Path]]:
    """Yields int8, then float32; nothing where the model cannot be written, which its own library decides."""
    plain, small = scratch / "fp32.onnx", scratch / "int8.onnx"
    if write is None:
        return
    with _quietly():
        try:
            write(plain)
        except (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError):
            return
        try:
            from onnxruntime.quantization import QuantType, quantize_dynamic

            quantize_dynamic(plain, small, weight_type=QuantType.QInt8, per_channel=True)
        except (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError):
            small.unlink(missing_ok=True)
    if small.exists():
        yield "int8", small
    yield "fp32", plain


def _writer(folder: Path, kind: str, output: str) -> Callable[[Path], None]:
    """Returns what writes a transformer as ONNX.

    Args:
        folder: of the transformer.
        kind: the class of transformers that loads it.
        output: the one of its outputs that is kept.
    """

    def write(path: Path) -> None:
        import torch
        import transformers

        network = getattr(transformers, kind).from_pretrained(
            folder,
            attn_implementation="eager",
            dtype="float32",
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,  # left open, transformers asks on the terminal
        )
        names = ["input_ids", "attention_mask"]
        # A lone text's types are all zeros, which is the default; a pair has them only where its tokenizer gives them.
        if output == "logits" and "token_type_ids" in _tokenizer_inputs(folder):
            names.append("token_type_ids")

        class Whole(torch.nn.Module):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                self.network = network.eval()

            def forward(self, *inputs: Any) -> Any:
                return getattr(self.network(**dict(zip(names, inputs, strict=True))), output)

        axes = {name: {0: "batch", 1: "tokens"} for name in names}
        ones = torch.ones(2, 16, dtype=torch.long)
        with torch.inference_mode(False), torch.no_grad():
            torch.onnx.export(
                Whole(),
                (ones, ones, ones * 0)[: len(names)],
                str(path),
                input_names=names,
                output_names=[output],
                dynamic_axes={**axes, output: {0: "batch"} if output == "logits" else axes["input_ids"]},
                opset_version=_OPSET,
                dynamo=False,
            )

    return write


def _tokenizer_inputs(folder: Path) -> list[str]:
    """Returns what the tokenizer of a model gives it."""
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    names: list[str] = tokenizer.model_input_names
    return names


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keeps torch and ONNX Runtime from writing to stderr, and from setting up logging for the whole process."""
    root, silent, before = logging.getLogger(), logging.NullHandler(), logging.root.manager.disable
    root.addHandler(silent)
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
        root.removeHandler(silent)
