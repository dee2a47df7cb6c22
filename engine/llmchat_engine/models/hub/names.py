"""What users call a model of the hub, and which names from the hub are safe to use. Strict: all of it is from outside.

Knows no network and no disk.
"""

from __future__ import annotations

import re
import shlex
from urllib.parse import parse_qs, unquote, urlsplit

from llmchat_engine.errors import RequestInvalid
from llmchat_engine.models.hub.errors import redact
from llmchat_engine.models.hub.quants import quant_in
from llmchat_engine.models.hub.types import Reference

HOSTS = frozenset({"huggingface.co", "www.huggingface.co", "hf.co"})
WORDS = {"INT4": "Q4_K_M", "INT8": "Q8_0", "FP16": "F16", "FP32": "F32", "LATEST": ""}
"""What people say for a quantisation. "latest" is what other programs put there where nothing was chosen."""
LONGEST = 512
LONGEST_REPO = 96
"""The hub's own limit of each part of a name."""

_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?"
_REPO = re.compile(rf"{_NAME}/{_NAME}")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")
_QUANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f\\:*?"<>|\ud800-\udfff]')
_LONGEST_PART = 200
"""Bytes of a file's name; the file systems end at 255, and a download adds its own ending."""
_NOT_MODELS = frozenset({"api", "collections", "datasets", "docs", "models", "papers", "spaces"})
_EXAMPLE = "name it as the hub does: llmchat pull user/repo, or with a quantisation: llmchat pull user/repo:Q4_K_M"


def is_safe_path(path: str) -> bool:
    """Returns whether a path that the hub tells stays inside the folder that it is put into, on any system."""
    parts = path.split("/")
    return not _UNSAFE.search(path) and all(
        part not in {"", ".", ".."} and part == part.strip() and len(part.encode()) <= _LONGEST_PART for part in parts
    )


def is_repo(name: str) -> bool:
    """Returns whether this is a repository's name, "user/name", as the hub allows it."""
    too_long = any(len(part) > LONGEST_REPO for part in name.split("/"))
    odd = "--" in name or ".." in name or name.lower().endswith((".git", ".gguf"))
    return not (too_long or odd) and _REPO.fullmatch(name) is not None


def is_commit(text: str) -> bool:
    """Returns whether this is the name of a commit."""
    return _COMMIT.fullmatch(text) is not None


def parse_reference(text: str) -> Reference:
    """Returns the repository that a user means, and what of it.

    Args:
        text: `user/repo`, `user/repo:Q4_K_M` (INT4 and INT8 are words for Q4_K_M and Q8_0), `user/repo@revision`,
            `user/repo/folder/file.gguf`, or an address of the hub: of a repository, a folder or a file.

    Raises:
        RequestInvalid: It is none of these; the hint has the form that was most likely meant.
    """
    said = text.strip()
    if len(said) > LONGEST or not said.isprintable():
        raise RequestInvalid("this is no name of a model on the hub", "it is too long or not printable", _EXAMPLE)
    address = _address(said)
    reference = _from_address(said, address) if address else _from_name(said)
    return _checked(said, reference)


def looks_like_reference(text: str) -> bool:
    """Returns whether a name may mean a repository of the hub: no path that begins as one, no "openai:NAME".

    A relative path such as "models/file" may look so too: whoever asks looks first whether there is such a file.
    """
    try:
        parse_reference(text)
    except RequestInvalid:
        return False
    return True


def _address(said: str) -> str:
    """Returns what follows "https://" or the like, the host first; empty for what is no address."""
    scheme, found, rest = said.partition("://")
    if found:
        return f"hf.co/{rest}" if scheme.lower() == "hf" else rest
    return said if said.partition("/")[0].lower() in HOSTS else ""


def _from_address(said: str, address: str) -> Reference:
    try:
        url = urlsplit(f"https://{address}")
    except ValueError as error:
        raise _refused(said, "it is no address") from error
    if url.netloc.lower() not in HOSTS:
        raise _refused(said, "it is no address of Hugging Face", url.path)
    parts = [unquote(part) for part in url.path.split("/") if part]
    user_repo, view, rest = "/".join(parts[:2]), parts[2:3], parts[3:]
    shown = parse_qs(url.query).get("show_file_info", [""])[0]
    if not view:
        return _joined(_from_name(user_repo), file=shown)
    if view[0] in {"blob", "resolve", "raw"} and len(rest) > 1:
        return Reference(user_repo, file="/".join(rest[1:]), revision=rest[0])
    if view[0] == "tree" and rest:
        return Reference(user_repo, quant=quant_in("/".join(rest[1:])), file=shown, revision=rest[0])
    return _from_name("/".join(parts))


def _joined(reference: Reference, file: str) -> Reference:
    return Reference(reference.repo, reference.quant, file or reference.file, reference.revision)


def _from_name(said: str) -> Reference:
    head, colon, quant = said.partition(":")
    head, at, revision = head.partition("@")
    repo, file = "/".join(head.split("/")[:2]), "/".join(head.split("/")[2:])
    if (colon and not _QUANT.fullmatch(quant)) or (at and not revision):
        raise _refused(said, f"nothing that can be read follows the {':' if colon else '@'}", repo)
    return Reference(repo, WORDS.get(quant.upper(), quant.upper()), file, revision or "main")


def _checked(said: str, reference: Reference) -> Reference:
    if not is_repo(reference.repo):
        raise _refused(said, "it is not of the form user/repo", said)
    if (user := reference.repo.partition("/")[0]) in _NOT_MODELS:
        raise _refused(said, f"no models are under {user}/", said.partition(f"{user}/")[2])
    if not _REVISION.fullmatch(reference.revision) or ".." in reference.revision or "//" in reference.revision:
        raise _refused(said, "its revision is none: take a branch, a tag or a commit", reference.repo)
    if reference.file and not (is_safe_path(reference.file) and reference.file.lower().endswith(".gguf")):
        raise _refused(said, "what follows user/repo/ is no GGUF file", reference.repo)
    if reference.file and reference.quant:
        raise _refused(said, "it names both a file and a quantisation", f"{reference.repo}/{reference.file}")
    return reference


def _refused(said: str, why: str, meant: str = "") -> RequestInvalid:
    return RequestInvalid(redact(f"{said} names no model on the hub"), why, redact(_meant(meant)))


def _meant(text: str) -> str:
    """Returns the hint: the reference that this text comes nearest to, or the search for its words."""
    parts = [part for part in re.split(r"[\\/]", text) if part.strip(".~") and not part.endswith(":")]
    parts = [part for part in parts if part.lower() not in HOSTS]
    named = "/".join(parts[:2]).partition(":")[0].partition("@")[0].removesuffix(".git")
    if len(parts) >= 2 and is_repo(named):
        return f"perhaps: llmchat pull {named}"
    words = re.findall(r"[A-Za-z0-9.]+", text.removesuffix(".gguf"))[:6]
    return f"search for it: llmchat models search {shlex.join(words)}" if len(parts) == 1 and words else _EXAMPLE
