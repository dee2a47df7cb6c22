"""Whether a hypothesis of a beam search ends with its next token: an end-of-generation token, or a stop word.

Knows ids and their bytes; no context, no search.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence


class Ending:
    """Tells it for ids that come in any order, where a stream of tokens has a detokenizer."""

    def __init__(self, is_eog: Callable[[int], bool], piece: Callable[[int], bytes], stop: Sequence[str]) -> None:
        """Takes what it looks for.

        Args:
            is_eog: whether a token ends a generation.
            piece: the bytes of a token.
            stop: the words that end a reply.
        """
        self._is_eog, self._piece = is_eog, piece
        self._words = [word.encode() for word in stop]
        self._longest = max(map(len, self._words), default=0)

    def __call__(self, ids: tuple[int, ...], token: int) -> bool:
        """Returns whether the reply of `ids` ends with `token`."""
        if self._is_eog(token):
            return True
        if not self._words:
            return False
        text = self._piece(token)
        for before in reversed(ids):
            if len(text) >= self._longest + len(self._piece(token)):
                break
            text = self._piece(before) + text
        return any(word in text for word in self._words)
