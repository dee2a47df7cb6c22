"""A cross-encoder written once as ONNX: `python -m llmchat_rag.embed.reranker_export SPEC HOME [HUB]`.

A process of its own, so that no question and no chat ever holds torch. Knows no search.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from llmchat_rag.embed.bulk import CrossEncoder
from llmchat_rag.embed.export import make_export, reranker_writer
from llmchat_rag.embed.exports import Export, noted_export, ready_file
from llmchat_rag.embed.probes import PROBES, agreement, unit
from llmchat_rag.embed.reranker import OnnxScores, find_reranker
from llmchat_rag.errors import RagError

if TYPE_CHECKING:
    from llmchat_rag.types import Vector, Vectors


def prepare_reranker(spec: str, home: Path, hub: Path | None = None) -> Export:
    """Returns the ONNX form of a cross-encoder, written now where that has not been tried: some seconds, once.

    Args:
        spec: as for `open_reranker`.
        home: where exports are kept.
        hub: the Hugging Face cache.

    Raises:
        EmbedderMissing: it is not here.
        EmbedderBroken: it cannot be loaded.
    """
    found = find_reranker(spec, home, hub)
    if noted := noted_export(found.place):
        return noted
    reference = CrossEncoder(found.folder, found.limit).score(PROBES[0], PROBES)

    def agrees(path: Path) -> float:
        # The correlation: scores are only compared with each other, so neither their scale nor their height matters.
        return agreement(_centred(OnnxScores(found.tokens(), path)(PROBES[0], PROBES)), _centred(reference))

    return make_export(found.place, ready_file(found.folder), reranker_writer(found.folder), agrees)


def _centred(scores: Vector) -> Vectors:
    """Returns scores as one row of length 1 around their mean."""
    return unit((scores - scores.mean())[None, :])


def main(arguments: list[str]) -> int:
    """Exports what is named; returns 1 where that fails, with the reason on stderr."""
    spec, home, *hub = arguments
    try:
        prepare_reranker(spec, Path(home), Path(hub[0]) if hub else None)
    except RagError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
