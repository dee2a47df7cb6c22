"""Which parser reads a file: by its first bytes, then by its name, else as text.

A parser is imported when its first file comes, so that only the parser processes ever hold their libraries.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import PurePosixPath
from typing import Protocol, cast

from llmchat_rag.blocks import one_line
from llmchat_rag.errors import NothingToRead, ParseError
from llmchat_rag.types import Parsed

MOST_CHARACTERS = 64 << 20
"""Of the text of one file."""


class Parser(Protocol):
    """A module of this package that reads one format."""

    NAME: str
    VERSION: int

    def parse(self, name: str, data: bytes) -> Parsed:
        """Returns the text and blocks of a file.

        Raises:
            ParseError: it cannot be read as what it seems to be.
        """


_SUFFIXES = {
    "markdown": "md markdown mdown mkd mdx qmd rmd",
    "restructured": "rst rest",
    "web": "html htm xhtml",
    "portable": "pdf",
    "word": "docx docm",
    "notebook": "ipynb",
    "rows": "csv tsv",
    "records": "json jsonl ndjson geojson",
    "book": "epub",
    "mail": "eml",
    "source": (
        "py pyi pyx js jsx mjs cjs ts tsx java kt kts scala groovy c h cc cpp cxx hh hpp cu m mm cs fs go rs rb php "
        "swift lua pl pm r jl ex exs erl hs ml clj el lisp dart zig nim sh bash zsh fish ps1 sql proto css scss "
        "less vue svelte tf toml yaml yml ini cfg conf cmake mk xml xsd"
    ),
}
_MODULE_OF = {f".{suffix}": module for module, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}
_CODE_NAMES = frozenset({"makefile", "dockerfile", "rakefile", "gemfile", "justfile", "cmakelists.txt"})
_PAGE_STARTS = (b"<!doctype html", b"<html")
_BINARY_STARTS = (
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ",
    b"7z\xbc\xaf",
    b"Rar!",
    b"\x7fELF",
    b"\x89PNG",
    b"GIF8",
    b"\xff\xd8\xff",
    b"OggS",
    b"ID3",
    b"SQLite format 3\0",
    b"GGUF",
    b"\xca\xfe\xba\xbe",
    b"\xd0\xcf\x11\xe0",
)


def module_of(name: str, data: bytes) -> str:
    """Returns the module of this package that reads a file.

    Raises:
        NothingToRead: it is an archive, a picture or a program.
    """
    path = PurePosixPath(name)
    module = _MODULE_OF.get(path.suffix.lower(), "")
    if module in {"word", "book", "portable"}:
        return module
    if data.startswith(b"%PDF-"):
        return "portable"
    if data.startswith(_BINARY_STARTS):
        raise NothingToRead("it is no text")
    if not module and data[:64].lstrip().lower().startswith(_PAGE_STARTS):
        return "web"
    return module or ("source" if path.name.lower() in _CODE_NAMES else "plain")


def parse_bytes(name: str, data: bytes) -> Parsed:
    """Returns the text of a file and its blocks; its title is at least the name of the file.

    Args:
        name: the path below the root.
        data: the whole file.

    Raises:
        ParseError: it cannot be read as what it seems to be.
    """
    if not data:
        raise NothingToRead("it is empty")
    parser = cast(Parser, import_module(f"llmchat_rag.parse.{module_of(name, data)}"))
    parsed = parser.parse(name, data)
    if not parsed.blocks:
        raise NothingToRead("it shows no text")
    if len(parsed.text) > MOST_CHARACTERS:
        raise ParseError(f"its text has more than {MOST_CHARACTERS:,} characters")
    if parsed.title:
        return parsed
    title = one_line(PurePosixPath(name).stem.replace("_", " "))
    return Parsed(parsed.text, parsed.blocks, title, parsed.parser, parsed.version, parsed.own_lines)
