"""What each format becomes: its text, its blocks, its title."""

from __future__ import annotations

import json
import random
import time
from contextlib import suppress

import pytest
from tests.rag.hostile_packed import book_of, good_docx, good_pdf, zip_of

from llmchat_rag.errors import NothingToRead, ParseError
from llmchat_rag.parse import archive
from llmchat_rag.parse.formats import parse_bytes
from llmchat_rag.types import Parsed

MEGABYTE = 1 << 20


def shown(parsed: Parsed) -> list[tuple[str, str]]:
    return [(block.kind, parsed.text[block.start : block.end]) for block in parsed.blocks]


def named(parsed: Parsed) -> list[tuple[str, int, str]]:
    return [(block.kind, block.level, block.name) for block in parsed.blocks]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"plain", "plain"),
        ("é ü".encode(), "é ü"),
        ("\ufeffé".encode(), "é"),
        ("é\r\nü".encode("utf-16"), "é\nü"),
        ("é ü wide".encode("utf-32"), "é ü wide"),
        ("no mark here".encode("utf-16-le"), "no mark here"),
        ("no mark here".encode("utf-16-be"), "no mark here"),
        ("caf\u00e9 \u2013 \u201cso\u201d".encode("cp1252"), "caf\u00e9 \u2013 \u201cso\u201d"),
        (b"\x81\xe9\xe9\xe9", "\x81\xe9\xe9\xe9"),
        (("long text " * 50).encode() + b"\xff tail", "long text " * 50 + "\ufffd tail"),
        (b"a\0b" + b" text" * 10, "a\ufffdb" + " text" * 10),
        (b"one\rtwo\r\nthree\n", "one\ntwo\nthree\n"),
    ],
)
def test_encodings(data: bytes, text: str) -> None:
    assert parse_bytes("a.txt", data).text == text


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.md", b"", "it is empty"),
        ("a.md", b" \n\t\n", "it shows no text"),
        ("a.md", bytes(range(256)) * 10, "it is no text"),
        ("a.md", bytes(100), "it is no text"),
        ("a", b"\x7fELF\2\1\1", "it is no text"),
        ("a.md", b"PK\3\4 zip", "it is no text"),
        ("a.pdf", b"", "it is empty"),
    ],
)
def test_what_is_no_document_is_no_failure(name: str, data: bytes, reason: str) -> None:
    with pytest.raises(NothingToRead, match=reason):
        parse_bytes(name, data)


def test_markdown() -> None:
    text = (
        "# Title #\n\nIntro over\ntwo lines.\n\nSub\n---\n- one\n- two\n\n  more of two\n\n> quoted\n\n"
        "| a | b |\n|---|---|\n| 1 | 2 |\n\n~~~py\n# no heading\n\n```\n~~~\n1. last\nend\n"
    )
    parsed = parse_bytes("a.md", text.encode())
    assert shown(parsed) == [
        ("heading", "# Title #"),
        ("paragraph", "Intro over\ntwo lines."),
        ("heading", "Sub\n---"),
        ("list", "- one\n- two\n\n  more of two"),
        ("quote", "> quoted"),
        ("table", "| a | b |\n|---|---|\n| 1 | 2 |"),
        ("fence", "~~~py\n# no heading\n\n```\n~~~"),
        ("list", "1. last\nend"),
    ]
    assert [b.name for b in parsed.blocks if b.kind in {"heading", "fence"}] == ["Title", "Sub", "py"]
    assert parsed.title == "Title"
    assert parse_bytes("a.md", b"---\ntitle: 'From the front'\n---\n# Other\n").title == "From the front"
    assert parse_bytes("my_notes.md", b"## Only a second level\n").title == "my notes"


def test_restructured_text() -> None:
    text = "=====\nTitle\n=====\n\nText::\n\n    code\n\n    more\n\nSub\n---\n\n.. code-block:: python\n\n   x = 1\n\n"
    text += "+--+\n|a |\n+--+\n\nSub 2\n-----\n\nend\n"
    parsed = parse_bytes("a.rst", text.encode())
    assert named(parsed) == [
        ("heading", 1, "Title"),
        ("paragraph", 0, ""),
        ("fence", 0, ""),
        ("heading", 2, "Sub"),
        ("fence", 0, "python"),
        ("table", 0, ""),
        ("heading", 2, "Sub 2"),
        ("paragraph", 0, ""),
    ]
    assert parsed.title == "Title"


PYTHON = """import os

@deco
def f(x):
    def inner(): pass

class C(B):
    x = 1
    async def g(self): pass
"""
SCRIPT = """import x from 'y';

export default function f(a) {
}
const g = async (x) => {
}
class K {
  run() {
    if (x) {
    }
  }
}
"""
C = """#include <x.h>

static int f(int a,
    int b)
{
  if (a) {
  }
}

struct s {
};
"""
RUST = """use a;

#[test]
pub(crate) fn f() {}

impl Foo for Bar {
    pub fn g(&self) {}
}
"""
GO = """package main

func (t *T) Do(x int) error {
}

type T struct {
}
"""
JAVA = """package a;

public class A {
    // says
    public static void main(String[] args) {
        for (;;) {
        }
    }
}
"""


@pytest.mark.parametrize(
    ("name", "code", "names"),
    [
        ("a.py", PYTHON, ["", "f", "C", "C.g"]),
        ("a.js", SCRIPT, ["", "f", "g", "K", "K.run"]),
        ("a.c", C, ["", "f", "s"]),
        ("a.rs", RUST, ["", "f", "Foo for Bar", "Foo for Bar.g"]),
        ("a.go", GO, ["main", "Do", "T struct"]),
        ("A.java", JAVA, ["a", "A", "A.main"]),
        ("a.sh", "set -e\n\nrun() {\n  echo\n}\n", ["", "run"]),
        ("a.rb", "module M\n  class C\n  end\nend\n", ["M", "M.C"]),
    ],
)
def test_definitions(name: str, code: str, names: list[str]) -> None:
    parsed = parse_bytes(name, code.encode())
    assert [block.name for block in parsed.blocks] == names
    assert parsed.title == name


def test_decorators_and_comments_belong_to_what_follows() -> None:
    parsed = parse_bytes("a.py", b"x = 1\n# about f\n@deco\ndef f():\n    pass\n")
    assert [text for _, text in shown(parsed)] == ["x = 1", "# about f\n@deco\ndef f():\n    pass"]


def test_html_is_what_a_reader_sees() -> None:
    html = (
        "<!doctype html><html><head><title>The &amp; title</title><style>p{}</style></head><body><nav>Menu</nav>"
        "<h1>One <b>two</b></h1><p>Some <a href='http://x'>linked</a>\n words.<br>Next line.</p><!-- IGNORE -->"
        "<p hidden>IGNORE</p><div style='display:none'>IGNORE <p>IGNORE</p></div><script>IGNORE</script>"
        "<ul><li>a<li>b <p>c</p></ul><pre>\n x = 1\n   y</pre><table><tr><th>k<th>v<tr><td>1<td><p>2</p></table>tail"
    )
    parsed = parse_bytes("a.html", html.encode())
    assert shown(parsed) == [
        ("paragraph", "Menu"),
        ("heading", "One two"),
        ("paragraph", "Some linked words.\nNext line."),
        ("list", "a"),
        ("list", "b"),
        ("paragraph", "c"),
        ("fence", "x = 1\n   y"),
        ("row", "k | v"),
        ("row", "1 | 2"),
        ("paragraph", "tail"),
    ]
    assert (parsed.title, parsed.own_lines) == ("The & title", False)


def test_html_says_its_character_set() -> None:
    page = '<meta charset="windows-1251"><p>Привет, мир, как дела</p>'.encode("cp1251")
    assert parse_bytes("a.html", page).text == "Привет, мир, как дела"
    assert "A" not in parse_bytes("a.html", b"<meta charset=unicode_escape><p>\\x41 caf\xe9 \xe9</p>").text
    assert parse_bytes("page", b"<!DOCTYPE HTML><p>x").parser == "html"


def test_pdf_has_pages() -> None:
    parsed = parse_bytes("a.pdf", good_pdf("Page one.", "Page two."))
    assert [(block.page, parsed.text[block.start : block.end]) for block in parsed.blocks] == [
        (1, "Page one."),
        (2, "Page two."),
    ]
    assert parse_bytes("named.txt", good_pdf("Text.")).parser == "pdf"
    with pytest.raises(NothingToRead, match="none of its 1 pages has text"):
        parse_bytes("a.pdf", good_pdf(""))


def test_docx_has_headings_and_tables() -> None:
    parsed = parse_bytes("a.docx", good_docx())
    assert shown(parsed) == [
        ("heading", "Rome"),
        ("paragraph", "Rome is old."),
        ("row", "city |"),
        ("row", "| river"),
    ]


def test_notebooks_have_cells() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Study\n", "\n", "Words.\r\n"]},
        {"cell_type": "code", "source": "x = 1\n", "outputs": [{"text": "IGNORED"}]},
        {"cell_type": "markdown", "source": "More."},
    ]
    parsed = parse_bytes("a.ipynb", json.dumps({"cells": cells}).encode())
    assert shown(parsed) == [
        ("heading", "# Study"),
        ("paragraph", "Words."),
        ("fence", "x = 1"),
        ("paragraph", "More."),
    ]
    assert parsed.title == "Study"
    with pytest.raises(ParseError, match="version 4"):
        parse_bytes("a.ipynb", b'{"worksheets": []}')


def test_tables_as_text() -> None:
    parsed = parse_bytes("a.csv", b"city;river\nRome;Tiber\nParis;Seine\n")
    assert shown(parsed) == [("heading", "city;river"), ("table", "Rome;Tiber\nParis;Seine")]
    assert parsed.blocks[0].name == "city, river"
    assert shown(parse_bytes("a.csv", b"1,2\n3,4\n")) == [("table", "1,2\n3,4")]
    assert parse_bytes("a.tsv", b"a\tb\n1\t2\n").blocks[0].name == "a, b"


def test_json_keeps_its_lines_unless_it_has_one() -> None:
    short = parse_bytes("a.json", b'{\n "a": 1\n}\n')
    assert (short.text, short.own_lines) == ('{\n "a": 1\n}\n', True)
    long = parse_bytes("a.json", json.dumps({"words": ["é"] * 1000}).encode())
    assert long.text.startswith('{\n "words": [\n  "é",')
    assert not long.own_lines
    assert parse_bytes("a.json", b"{broken").text == "{broken"
    assert shown(parse_bytes("a.jsonl", b'{"a":1}\n{"a":2}\n')) == [("table", '{"a":1}\n{"a":2}')]


def test_books_are_read_in_their_order() -> None:
    pages = {"b%20.html": b"", "b .html": b"<h1>Second</h1><p>Two.", "a.html": b"<h1>First</h1><p>One."}
    parsed = parse_bytes("a.epub", book_of(pages, ["a.html", "b%20.html#x", "missing.html", "a.html"]))
    assert shown(parsed) == [("heading", "First"), ("paragraph", "One."), ("heading", "Second"), ("paragraph", "Two.")]
    assert parsed.title == "A book"


def test_messages() -> None:
    mail = "\r\n".join(
        [
            "From: Ann <ann@example.org>",
            "To: bob@example.org",
            "Subject: =?utf-8?q?caf=C3=A9?=",
            "Date: Mon, 1 Jan 2024 00:00:00 +0000",
            "MIME-Version: 1.0",
            "Content-Type: multipart/mixed; boundary=x",
            "",
            "--x",
            "Content-Type: text/plain; charset=latin-1",
            "Content-Transfer-Encoding: 8bit",
            "",
            "Hello caf\xe9.",
            "",
            "Bye.",
            "--x",
            "Content-Type: text/html",
            'Content-Disposition: attachment; filename="a.html"',
            "",
            "<p>x</p>",
            "--x--",
            "",
        ]
    ).encode("latin-1")
    parsed = parse_bytes("a.eml", mail)
    texts = [text for _, text in shown(parsed)]
    assert texts[0] == parsed.title == "café"
    assert texts[1].startswith("From: Ann <ann@example.org>\nTo: bob@example.org\nDate: ")
    assert texts[2:] == ["Hello café.", "Bye.", "Attachments: a.html"]


@pytest.mark.parametrize("name", ["a.docx", "a.epub"])
def test_zips_are_counted_while_they_are_read(name: str) -> None:
    with pytest.raises(ParseError, match="unpacks to more than 200 times its size"):
        parse_bytes(name, zip_of({"word/document.xml": bytes(32 * MEGABYTE)}))


def test_zips_have_a_limit_whatever_their_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST_BYTES", MEGABYTE)
    with pytest.raises(ParseError, match="unpacks to more than 1 MB"):
        parse_bytes("a.epub", zip_of({"a": random.Random(4711).randbytes(2 * MEGABYTE)}))


LINES = [letter * MEGABYTE for letter in (b"a", b" ", b"#", b"=", b"-", b"`")]
PAIRS = [pair * 250_000 for pair in (b"|-", b"*a", b"public ", b"a.b(", b". ", b"e.g. ", b"charset=", b"<b", b"\\-")]


@pytest.mark.parametrize("name", ["a.md", "a.rst", "a.c", "a.html", "a.txt"])
def test_no_line_keeps_a_parser_busy(name: str) -> None:
    for line in LINES + PAIRS:
        began = time.process_time()
        with suppress(ParseError):
            parse_bytes(name, b"x\n" + line + b"\n" + line)
        assert time.process_time() - began < 1, line[:20]
