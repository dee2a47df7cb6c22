"""Long pastes as one short token each, and what a text must look like to be shown in the prompt.

Knows no screen: text in, text out. A token stands for the exact text; what is shown beside it is sanitised.
"""

from __future__ import annotations

import re

from llmchat_tui.sanitize import sanitize

LONG_LINES = 10
LONG_CHARACTERS = 2_000
_LOADED_LINES = 200
_LOADED_CHARACTERS = 20_000
"""From here on a text that is put back whole is folded: below it can be read and edited as it is."""
_REMEMBERED = 30
"""Tokens kept after they left the prompt: a draft that comes back from another chat is folded as it was."""
_BREAKS = str.maketrans({"\u2028": "\n", "\u2029": "\n"})
_NO_TOKEN = re.compile(r"(?!)")


def normal(text: str) -> str:
    """Returns a text with plain line ends; terminals paste them as carriage returns."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def shown(text: str) -> str:
    """Returns a text as the prompt may hold it: harmless, and with no line end but the plain one."""
    return sanitize(normal(text)).translate(_BREAKS)


def is_long(text: str) -> bool:
    """Returns whether a paste is folded."""
    return _lines(text) > LONG_LINES or len(text) > LONG_CHARACTERS


class Folds:
    """The tokens of one prompt and the texts that they stand for."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        """By token, the oldest first."""
        self._count = 0
        self._pattern = _NO_TOKEN

    def __bool__(self) -> bool:
        return bool(self._texts)

    def fold(self, text: str, beside: str) -> str:
        """Returns a new token for a text.

        Args:
            text: what the token stands for.
            beside: the text that the token will stand in; it has nothing that could be taken for the token.
        """
        while True:
            self._count += 1
            token = f"[pasted {_size(text)} #{self._count}]"
            if token not in beside:
                return self.keep(token, text)

    def keep(self, token: str, text: str) -> str:
        """Has a token stand for a text from now on, and returns it."""
        self._texts[token] = text
        self._compile()
        return token

    def expand(self, text: str) -> str:
        """Returns a text with the tokens replaced by what they stand for."""
        return self._pattern.sub(lambda match: self._texts[match[0]], text)

    def spans(self, line: str) -> list[tuple[int, int]]:
        """Returns where the tokens of a line begin and end."""
        return [match.span() for match in self._pattern.finditer(line)]

    def load(self, text: str) -> str:
        """Returns a whole text as the prompt shows it: what was folded before is folded again, the rest if it is huge.

        Tokens that the prompt held before are forgotten, but for the newest: its undo must be cleared.
        """
        self._forget(text)
        pieces = self._fold_known(normal(text))
        return "".join(piece if piece in self._texts else self._fold_huge(piece, text) for piece in pieces)

    def _forget(self, text: str) -> None:
        kept = [token for token in self._texts if token not in text][-_REMEMBERED:]
        self._texts = {token: self._texts[token] for token in kept}
        self._compile()

    def _fold_known(self, text: str) -> list[str]:
        """Returns a text in pieces; those that were folded before are tokens."""
        tokens = {exact: token for token, exact in self._texts.items()}
        if not tokens:
            return [text]
        longest_first = sorted(tokens, key=len, reverse=True)
        pieces = re.split(f"({'|'.join(map(re.escape, longest_first))})", text)
        return [tokens.get(piece, piece) for piece in pieces]

    def _fold_huge(self, text: str, beside: str) -> str:
        """Folds what is too much to edit, but for a last paragraph: there the question stands."""
        if _lines(text) <= _LOADED_LINES and len(text) <= _LOADED_CHARACTERS:
            return shown(text)
        body, gap, question = text.rpartition("\n\n")
        if not gap or is_long(question):
            return self.fold(text, beside)
        return self.fold(body, beside) + gap + shown(question)

    def _compile(self) -> None:
        tokens = sorted(self._texts, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, tokens))) if tokens else _NO_TOKEN


def _lines(text: str) -> int:
    return text.removesuffix("\n").count("\n") + 1


def _size(text: str) -> str:
    lines = _lines(text)
    return f"{lines:,} lines" if lines > LONG_LINES else f"{len(text):,} characters"
