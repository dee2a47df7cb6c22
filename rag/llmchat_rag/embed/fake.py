"""An embedder and a re-ranker without models: deterministic, quick, and sensible enough to rank by shared words.

For tests, and for machines without a model. Only numpy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING
from zlib import crc32

from llmchat_rag.types import Cancelled

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from llmchat_rag.types import Vector, Vectors

_WORD = re.compile(r"\w+")
_TOKEN = re.compile(r"\w{1,8}|[^\w\s]")
_BATCH = 64
_TRIGRAM_WEIGHT = 0.3
_LONG = 6
"""Letters from which a word counts whole: short ones are mostly `the` and `of`."""


class HashEmbedder:
    """Words and their trigrams, hashed to places of a vector: texts that share words are near each other."""

    limit = 254
    gate = 0.1

    def __init__(self, dimension: int = 256, seed: int = 0) -> None:
        """Takes the size.

        Args:
            dimension: of a vector.
            seed: another one is another model, with another fingerprint.
        """
        self.name = f"hash-{dimension}"
        self.dimension = dimension
        self.fingerprint = sha256(f"hash 1 {dimension} {seed}".encode()).hexdigest()
        self._seed = seed
        self._words: dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]] = {}

    def count(self, texts: Sequence[str]) -> list[int]:
        """Returns about the word pieces of each text."""
        return [len(_TOKEN.findall(text)) for text in texts]

    def encode_query(self, text: str) -> Vector:
        """Returns the vector of a text; all zeros where it has no word."""
        import numpy as np

        words = [self._word(word) for word in _WORD.findall(text.lower())]
        if not words:
            return np.zeros(self.dimension, np.float32)
        places = np.concatenate([place for place, _ in words])
        weights = np.concatenate([weight for _, weight in words])
        found = np.bincount(places, weights, self.dimension)
        length = float(np.linalg.norm(found))
        return (found / (length or 1.0)).astype(np.float32)

    def encode_passages(
        self,
        texts: Sequence[str],
        progress: Callable[[int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Vectors:
        """Returns the vectors of texts; see `Embedder`."""
        import numpy as np

        found = np.zeros((len(texts), self.dimension), np.float32)
        for position, text in enumerate(texts):
            if position % _BATCH == 0 and cancelled and cancelled():
                raise Cancelled
            found[position] = self.encode_query(text)
            if progress and (position % _BATCH == _BATCH - 1 or position == len(texts) - 1):
                progress(position + 1)
        return found

    def _word(self, word: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Returns where a word and its trigrams go, and with what weights."""
        import numpy as np

        if (known := self._words.get(word)) is not None:
            return known
        padded = f"^{word}$"
        features = [word, *(padded[start : start + 3] for start in range(len(padded) - 2))]
        hashes = np.array([crc32(feature.encode("utf-8", "replace"), self._seed) for feature in features], np.int64)
        signs = np.where(hashes >> 31 & 1, 1.0, -1.0)
        weights = np.full(len(features), _TRIGRAM_WEIGHT / (len(features) - 1) ** 0.5 if len(features) > 1 else 0.0)
        weights[0] = 1.0
        found = (hashes % self.dimension, signs * weights * min(len(word), _LONG) / _LONG)
        self._words[word] = found
        return found


class ScriptedReranker:
    """A re-ranker that says what it was told to say."""

    name = "scripted"
    fingerprint = sha256(b"scripted").hexdigest()

    def __init__(self, scores: Mapping[str, float], needs: float = 0.0) -> None:
        """Takes the script.

        Args:
            scores: by a part of a text; the first part that occurs decides, 0 where none does.
            needs: the seconds that it says it takes; nothing waits.
        """
        self._scores = dict(scores)
        self._needs = needs
        self.asked: list[tuple[str, tuple[str, ...]]] = []
        """The questions and texts that it was given."""

    def score(self, question: str, texts: Sequence[str], seconds: float) -> Vector | None:
        """Returns the scores of the script; None where it says that it takes longer."""
        import numpy as np

        self.asked.append((question, tuple(texts)))
        if self._needs > seconds:
            return None
        return np.array([self._of(text) for text in texts], np.float32)

    def _of(self, text: str) -> float:
        return next((score for part, score in self._scores.items() if part in text), 0.0)
