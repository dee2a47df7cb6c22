"""The hostile set: files that loop, explode, escape, lie and give orders, written into a folder.

`make_hostile` is the door. Each file says what may become of it: a word of the reason for which it is left out or
refused, or PARSED. None may be missing from what a walk and a pool yield, and none may do anything.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field
from pathlib import Path

from tests.rag.hostile_packed import books, documents, portable, word
from tests.rag.hostile_text import code, data, messages, pages, text

PARSED = "parsed"
SECRET = "the canary of 4711"
"""Stands in a file outside of the folder; no text may show it."""
_TERABYTE = 1 << 40


@dataclass(frozen=True, slots=True)
class Hostile:
    """A folder of hostile files."""

    root: Path
    outside: Path
    """A file outside of the root that some of them want to read."""
    fates: dict[str, str] = field(default_factory=dict)
    """By the name that is shown: PARSED, or a part of the reason; several ways are separated by `|`."""


def make_hostile(folder: Path, url: str = "http://127.0.0.1:9/") -> Hostile:
    """Writes the set below a folder.

    Args:
        folder: is made; the files go into `root` below it.
        url: an address that some of them want to reach.
    """
    root, outside = folder / "root", folder / "outside.txt"
    root.mkdir(parents=True)
    outside.write_text(SECRET, encoding="utf-8")
    hostile = Hostile(root, outside)
    for make in (text, code, data, messages):
        _write(hostile, make())
    for wanting in (pages, documents, word, books, portable):
        _write(hostile, wanting(url, outside.as_uri()))
    _odd_entries(hostile)
    _odd_names(hostile)
    _left_out(hostile)
    return hostile


def _write(hostile: Hostile, files: dict[str, tuple[bytes, str]]) -> None:
    for name, (content, fate) in files.items():
        path = hostile.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        hostile.fates[name] = fate


def _odd_entries(hostile: Hostile) -> None:
    """What is no regular file, and what cannot be read."""
    root, fates = hostile.root, hostile.fates
    links: dict[str, str | Path] = {
        "loop": ".",
        "up": "..",
        "slash": "/",
        "outside.md": hostile.outside,
        "nowhere.md": "missing",
        "circle-a": "circle-b",
        "circle-b": "circle-a",
        "proc.md": "/proc/self/environ",
    }
    for name, target in links.items():
        (root / name).symlink_to(target)
        fates[name] = "a link"
    os.mkfifo(root / "fifo.md")
    fates["fifo.md"] = "a FIFO"
    _socket(root / "socket.md")
    fates["socket.md"] = "a socket"
    with (root / "sparse.txt").open("wb") as sparse:
        sparse.truncate(_TERABYTE)
    fates["sparse.txt"] = "larger than"
    (root / "locked.md").write_text("locked", encoding="utf-8")
    (root / "locked.md").chmod(0)
    fates["locked.md"] = "permission denied|" + PARSED  # root may read it
    (root / "locked").mkdir(mode=0)
    os.link(root / "orders.md", root / "orders-linked.md")
    fates["orders-linked.md"] = "the same as|" + PARSED
    fates["orders.md"] = "the same as|" + PARSED


def _socket(path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    before = Path.cwd()
    os.chdir(path.parent)  # a socket's whole path may have 107 bytes
    try:
        listener.bind(path.name)
    finally:
        os.chdir(before)
        listener.close()


def _odd_names(hostile: Hostile) -> None:
    names: dict[bytes, str] = {
        b"two\nlines.md": "two\nlines.md",
        b"\x1b]0;owned\x07.md": "\x1b]0;owned\x07.md",
        b"latin-\xe9.md": "latin-\\xe9.md",
        b"right\xe2\x80\xaeto-left.md": "right\u202eto-left.md",
        b"-rf.md": "-rf.md",
        b"a" * 251 + b".md": "a" * 251 + ".md",
        b"$(touch pwned);`id`.md": "$(touch pwned);`id`.md",
    }
    for name, shown in names.items():
        with open(os.path.join(os.fsencode(hostile.root), name), "wb") as file:
            file.write(b"A file with an odd name.\n")
        hostile.fates[shown] = PARSED
    deep = hostile.root / Path(*["deep"] * 150)
    deep.mkdir(parents=True)
    (deep / "down.md").write_text("Deep down.\n", encoding="utf-8")
    hostile.fates["deep/" * 150 + "down.md"] = PARSED


def _left_out(hostile: Hostile) -> None:
    secrets = {
        ".env": "TOKEN=1",
        "id_rsa": "-----BEGIN OPENSSH PRIVATE KEY-----",
        "server.pem": "-----BEGIN PRIVATE KEY-----",
        "deploy.key": "k",
        "credentials.json": "{}",
    }
    for name, content in secrets.items():
        (hostile.root / name).write_text(content, encoding="utf-8")
        hostile.fates[name] = "secrets"
    slow = "/".join("a*" * 12 for _ in range(3))
    # What a cloned repository brings along cannot bring a secret back, and cannot keep the walk busy.
    rules = f"{slow}\n!.env\n!*.pem\n!id_rsa\n!deploy.key\n!credentials.json\n"
    (hostile.root / ".gitignore").write_text(rules, encoding="utf-8")
    hostile.fates[".gitignore"] = "too complex"
    (hostile.root / "slow").mkdir()
    (hostile.root / "slow" / ("a" * 200)).write_text("Slow to match.\n", encoding="utf-8")
    hostile.fates["slow/" + "a" * 200] = PARSED
