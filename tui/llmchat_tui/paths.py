"""Where things live on disk, and how they are kept private.

Knows nothing of what is in the files. The environment is handed in; nothing here reads `os.environ`.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llmchat_tui.errors import ConfigError, StorageUnwritable

_APP = "llmchat"
# A socket's path ends at 104 bytes on macOS and 108 on Linux; its name takes the rest.
_LONGEST_RUNTIME_DIR = 72


@dataclass(frozen=True, slots=True)
class Paths:
    """Every directory and file of llmchat on this machine. None of them need exist."""

    config_dir: Path
    config_file: Path
    data_dir: Path
    cache_dir: Path
    state_dir: Path
    runtime_dir: Path
    """Sockets; `private_runtime_dir` makes it."""

    @property
    def templates_dir(self) -> Path:
        """The user's prompt templates."""
        return self.config_dir / "templates"

    @property
    def chats_db(self) -> Path:
        """All chats."""
        return self.data_dir / "chats.db"

    @property
    def models_dir(self) -> Path:
        """Pulled models, as user/repo/file.gguf."""
        return self.data_dir / "models"

    @property
    def docs_dir(self) -> Path:
        """Document collections."""
        return self.data_dir / "docs"

    @property
    def embedders_dir(self) -> Path:
        """What embedding models were made into, so that a question needs no torch; safe to delete."""
        return self.cache_dir / "embedders"

    @property
    def kv_dir(self) -> Path:
        """Saved model states; safe to delete."""
        return self.cache_dir / "kv"

    @property
    def log_dir(self) -> Path:
        """Logs of the engine."""
        return self.state_dir / "logs"


def find_paths(environ: Mapping[str, str]) -> Paths:
    """Returns the paths that an environment asks for; makes and checks nothing but the runtime directory's place.

    Args:
        environ: LLMCHAT_HOME moves everything but the runtime directory, LLMCHAT_CONFIG the config file; else XDG.

    Raises:
        ConfigError: where no home directory can be found.
    """
    home = environ.get("LLMCHAT_HOME", "")
    if home:
        root = _absolute(home)
        config, data, cache, state = root, root, root / "cache", root / "state"
    else:
        config = _xdg(environ, "XDG_CONFIG_HOME", ".config")
        data = _xdg(environ, "XDG_DATA_HOME", ".local/share")
        cache = _xdg(environ, "XDG_CACHE_HOME", ".cache")
        state = _xdg(environ, "XDG_STATE_HOME", ".local/state")
    chosen = environ.get("LLMCHAT_CONFIG", "")
    return Paths(
        config_dir=config,
        config_file=_absolute(chosen) if chosen else config / "config.toml",
        data_dir=data,
        cache_dir=cache,
        state_dir=state,
        runtime_dir=_runtime_dir(environ),
    )


def private_dir(path: Path) -> Path:
    """Returns `path` after making it, with its missing parents, for this user alone.

    A directory that was already there keeps its mode: it may be one that the user shares on purpose.

    Raises:
        StorageUnwritable: where it cannot be made.
    """
    try:
        for part in reversed((path, *path.parents)):
            if not part.is_dir():
                _make_private(part)
    except OSError as error:
        raise StorageUnwritable(
            f"cannot make the directory {path}", _reason(error), "set LLMCHAT_HOME to a directory that you can write"
        ) from error
    return path


def private_runtime_dir(path: Path) -> Path:
    """Returns `path` after making it 0700 and making sure that nobody else put it there.

    Raises:
        StorageUnwritable: where it is a link, belongs to another user or cannot be made.
    """
    private_dir(path.parent)
    try:
        if not os.path.lexists(path):
            _make_private(path)
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
            raise _foreign(path)
        path.chmod(0o700)
    except OSError as error:
        raise StorageUnwritable(f"cannot make the directory {path}", _reason(error), _RUNTIME_HINT) from error
    return path


def write_private(path: Path, data: bytes) -> None:
    """Replaces the file at `path` by `data`, whole or not at all, mode 0600.

    Raises:
        StorageUnwritable: where it cannot be written; the old file is untouched.
    """
    target = Path(os.path.realpath(path))
    private_dir(target.parent)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        _write_synced(temporary, data)
        temporary.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):  # a name that is too long cannot be removed either
            temporary.unlink(missing_ok=True)
        raise StorageUnwritable(f"cannot write {path}", _reason(error)) from error
    with contextlib.suppress(OSError):  # some file systems cannot; the file itself is safe
        _sync_directory(target.parent)


_RUNTIME_HINT = "remove it, or set XDG_RUNTIME_DIR to a directory that only you can write"


def _foreign(path: Path) -> StorageUnwritable:
    """Returns the error for a runtime directory that somebody else may have prepared."""
    return StorageUnwritable(
        f"{path} cannot be trusted", "it is a link, not a directory, or belongs to another user", _RUNTIME_HINT
    )


def _make_private(path: Path) -> None:
    """Makes one directory; another process may win the race to it."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        if not path.is_dir():
            raise
        return
    path.chmod(0o700)  # mkdir subtracts the umask


def _write_synced(path: Path, data: bytes) -> None:
    """Writes a new file that is on disk when this returns."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def _sync_directory(path: Path) -> None:
    """Makes the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _absolute(value: str) -> Path:
    """Returns a path that the user named, as seen from the working directory."""
    try:
        return Path(os.path.abspath(value))
    except OSError as error:
        raise ConfigError(f"{value} cannot be used", "it is relative and the working directory is gone") from error


def _xdg(environ: Mapping[str, str], name: str, default: str) -> Path:
    """Returns our place under one XDG base; the XDG specification has relative values ignored."""
    value = environ.get(name, "")
    base = Path(value) if value.startswith("/") else _user_home(environ) / default
    return base / _APP


def _user_home(environ: Mapping[str, str]) -> Path:
    """Returns the home directory: HOME, else the account's."""
    home = environ.get("HOME", "")
    if home.startswith("/"):
        return Path(home)
    import pwd

    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError as error:
        raise ConfigError(
            "there is no home directory",
            f"HOME is not set and user {os.getuid()} has no account here",
            "set LLMCHAT_HOME to a directory that you can write",
        ) from error


def _runtime_dir(environ: Mapping[str, str]) -> Path:
    """Returns where sockets go: the session's runtime directory where it is ours and short, else a temp directory."""
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/") and _is_ours(runtime) and _is_short(f"{runtime}/{_APP}"):
        return Path(runtime) / _APP
    name = f"{_APP}-{os.getuid()}"
    temporary = environ.get("TMPDIR", "")
    if temporary.startswith("/") and os.path.isdir(temporary) and _is_short(f"{temporary}/{name}"):
        return Path(temporary) / name
    return Path("/tmp") / name  # noqa: S108 - private_runtime_dir refuses what others put there


def _is_ours(path: str) -> bool:
    """Tells whether a directory is there and belongs to this user (after `su` or `sudo -E` it does not)."""
    try:
        status = os.stat(path)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()


def _is_short(path: str) -> bool:
    return len(os.fsencode(path)) <= _LONGEST_RUNTIME_DIR


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
