"""Which files are left out unasked: secrets, binaries, machinery, generated files, and what ignore files name.

The only importer of pathspec. Opens the ignore files and nothing else. Ignore files come with the documents and are not
trusted: a pattern that could take long to match is not followed, and none of them can bring a secret back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from llmchat_rag.blocks import word_set
from llmchat_rag.errors import ParseError
from llmchat_rag.reading import read_file

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_FILES = (".gitignore", ".llmchatignore")
"""In the order of their word: the last one wins."""

_IGNORE_FILE_LIMIT = 256 << 10
_LONGEST_PATTERN = 256
_MOST_STARS = 3
"""In one part of a pattern: each more multiplies the time by the length of a name (4 stars, 255 letters: seconds)."""
_MOST_STAR_PARTS = 6


MACHINERY = word_set("""
    .git .hg .svn .bzr .jj node_modules bower_components __pycache__ .venv venv .tox .nox .eggs .mypy_cache
    .ruff_cache .pytest_cache .hypothesis .cache .gradle .terraform .idea .ipynb_checkpoints .Trash $RECYCLE.BIN
    lost+found .DS_Store Thumbs.db
""")
SECRET_FOLDERS = word_set(".ssh .gnupg .aws .azure .kube .password-store")
_SECRET_FILE = re.compile(
    r"\.env(?:\.(?!example$|sample$|template$|dist$).*)?|id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?(?:\..*)?"
    r"|.*\.(?:pem|key|p12|pfx|pkcs12|ppk|jks|keystore|kdbx?|gpg|ovpn|env)|\.netrc|_netrc|\.pgpass|\.htpasswd|\.npmrc"
    r"|\.pypirc|\.git-credentials|\.dockercfg|credentials(?:\.json)?|client_secret.*\.json|service[-_]account.*\.json"
    r"|secrets?\.(?:json|ya?ml|toml|ini|txt)|\.vault_pass.*|.*\.tfstate(?:\.backup)?|\.(?:bash|zsh|python|psql)_history",
    re.IGNORECASE | re.DOTALL,
)
_GENERATED = re.compile(
    r".*\.min\.(?:m?js|css)|.*\.(?:m?js|css)\.map|(?:package-lock|npm-shrinkwrap)\.json|pnpm-lock\.yaml|go\.sum"
    r"|(?:yarn|Cargo|poetry|pdm|uv|Pipfile|composer|Gemfile|flake|Podfile|mix|bun)\.lock",
    re.DOTALL,
)
NOT_READ = word_set("""
    .7z .a .aac .ai .avi .avif .bin .bmp .bz2 .class .dat .db .db-shm .db-wal .deb .dll .dmg .doc .dylib .eps .exe
    .faiss .flac .gguf .gif .gz .h5 .heic .icns .ico .img .iso .jar .jpeg .jpg .lz4 .m4a .mkv .mo .mov .mp3 .mp4
    .mpeg .msi .npy .npz .o .obj .odp .ods .odt .ogg .onnx .opus .otf .parquet .pb .pickle .pkl .png .ppt .pptx
    .ps .psd .pt .pth .pyc .pyd .pyo .rar .rpm .safetensors .so .sqlite .sqlite3 .svg .svgz .swf .tar .tgz .tif
    .tiff .ttf .wasm .wav .webm .webp .whl .wmv .woff .woff2 .xcf .xls .xlsx .xz .zip .zst
""")
"""By their names. Also drawings that are text: their markup says nothing in words."""


@cache
def left_out(name: str) -> str:
    """Returns why a file or folder of this name is left out, or nothing."""
    if name in MACHINERY:
        return "left out: not a document"
    if name in SECRET_FOLDERS or _SECRET_FILE.fullmatch(name):
        return "left out: may hold secrets"
    if _GENERATED.fullmatch(name):
        return "left out: generated"
    if _suffix(name) in NOT_READ:
        return f"left out: {_suffix(name)} files are not read"
    return ""


def _suffix(name: str) -> str:
    head, dot, tail = name.rpartition(".")
    return f".{tail}".lower() if head and dot else ""


@dataclass(frozen=True, slots=True)
class Rules:
    """The patterns of one ignore file, and those above it."""

    folder: str
    """Where the file stands, below the root: empty, or with a slash at its end."""
    source: str
    spec: GitIgnoreSpec
    above: Rules | None = None

    def reason(self, relative: str, *, is_folder: bool = False) -> str:
        """Returns which ignore file leaves a path out, or nothing; the nearest one with an opinion decides."""
        rules: Rules | None = self
        while rules is not None:
            path = relative.removeprefix(rules.folder) + ("/" if is_folder else "")
            verdict = rules.spec.check_file(path).include
            if verdict is not None:
                return f"left out by {rules.source}" if verdict else ""
            rules = rules.above
        return ""


def patterns(lines: Iterable[str]) -> tuple[GitIgnoreSpec, list[str]]:
    """Returns what lines of a .gitignore say, and those of them that are not followed."""
    from pathspec import GitIgnoreSpec

    good: list[str] = []
    bad: list[str] = []
    for line in lines:
        try:
            usable = _is_quick(line) and GitIgnoreSpec.from_lines([line]) is not None
        except ValueError:
            usable = False
        (good if usable else bad).append(line)
    return GitIgnoreSpec.from_lines(good), bad


def _is_quick(pattern: str) -> bool:
    stars = [len(re.findall(r"\*+", part)) for part in pattern.split("/")]
    return len(pattern) <= _LONGEST_PATTERN and max(stars) <= _MOST_STARS and sum(map(bool, stars)) <= _MOST_STAR_PARTS


def rules_of(
    folder: Path, relative: str, names: Sequence[str], above: Rules | None
) -> tuple[Rules | None, dict[str, str]]:
    """Reads the ignore files of a folder.

    Args:
        folder: where they stand.
        relative: the same below the root: empty, or with a slash at its end.
        names: what is in the folder.
        above: the rules of the folders above.

    Returns:
        The rules that hold in it, and by its name what is to be said of an ignore file that is not followed.
    """
    complaints: dict[str, str] = {}
    for name in IGNORE_FILES:
        if name not in names:
            continue
        try:
            text = read_file(folder / name, _IGNORE_FILE_LIMIT).decode("utf-8-sig", "replace")
        except ParseError as error:
            complaints[name] = f"not followed: {error}"
            continue
        spec, bad = patterns(text.split("\n"))
        if bad:
            complaints[name] = f"{len(bad)} patterns not followed: {bad[0][:60]!r} is too complex, or none"
        above = Rules(relative, relative + name, spec, above)
    return above, complaints
