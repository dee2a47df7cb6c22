"""Every failure of the hall, and the one table from any failure to an exit code.

UserError                       what failed, why, and the command that helps
├── UsageError                  2   a flag or argument that cannot be used
├── ConfigError                 2   config.toml or an environment variable
├── ModelChoiceError            3   no model chosen, or the name fits none or several
├── TemplateMissing             3   no prompt template of that name, or several
├── TemplateInvalid             3   a prompt template cannot be used
├── StorageError                7   chats.db cannot be used
│   ├── StorageDamaged              it is damaged; it was not touched
│   ├── StorageForeign              another program's file, or made by a newer llmchat
│   └── StorageUnwritable           read-only, no space, no permission
├── InputError                  9   stdin or a file is too large or not text
├── ImportRefused               9   a file of chats is too large, damaged or in no format we know
├── Unsatisfied                 5   an answer ended before its grammar did
└── NotFound                    1   no such chat or message
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmchat_engine import (
    ContextFull,
    DiskUnwritable,
    EngineDied,
    EngineError,
    HostError,
    HubError,
    ModelError,
    NotEnoughDisk,
    NotEnoughMemory,
    RemoteError,
    RequestInvalid,
    TemplateError,
)

if TYPE_CHECKING:
    from llmchat_rag.errors import RagError


class UserError(Exception):
    """Base of the tree. `what` and `why` make one line; `hint` is a command or a next step, or empty."""

    exit_code = 1

    def __init__(self, what: str, why: str = "", hint: str = "") -> None:
        super().__init__(f"{what} — {why}" if why else what)
        self.what = what
        self.why = why
        self.hint = hint


class UsageError(UserError):
    """A flag or an argument cannot be used as given."""

    exit_code = 2


class ConfigError(UserError):
    """The configuration cannot be used."""

    exit_code = 2


class ModelChoiceError(UserError):
    """No model was chosen, or the name fits none or several."""

    exit_code = 3


class TemplateMissing(UserError):
    """There is no such prompt template, or a name fits several."""

    exit_code = 3


class TemplateInvalid(UserError):
    """A prompt template, or a file that it names, cannot be used. `what` names file, line and key."""

    exit_code = 3


class StorageError(UserError):
    """The chats on disk cannot be used."""

    exit_code = 7


class StorageDamaged(StorageError):
    """The database is damaged. It was not touched."""


class StorageForeign(StorageError):
    """The file belongs to another program or to a newer llmchat. It was not touched."""


class StorageUnwritable(StorageError):
    """The database cannot be written: read-only, full or forbidden."""


class InputError(UserError):
    """The input is too large or is not text."""

    exit_code = 9


class ImportRefused(UserError):
    """A file holds no chats that can be imported. Nothing was recorded."""

    exit_code = 9


class Unsatisfied(UserError):
    """An answer ended before the grammar that it follows allowed an end. It is kept."""

    exit_code = 5


class NotFound(UserError):
    """There is no such chat or message."""


_ENGINE_CODES: tuple[tuple[type[EngineError], int], ...] = (
    (ModelError, 3),
    (TemplateError, 3),
    (ContextFull, 4),
    (HubError, 6),
    (RemoteError, 6),
    (NotEnoughDisk, 7),
    (DiskUnwritable, 7),
    (NotEnoughMemory, 7),
    (RequestInvalid, 2),
    (EngineDied, 8),
    (HostError, 8),
)


def exit_code(error: UserError | EngineError | RagError) -> int:
    """Returns the exit code of a failure, from the table in the README."""
    if isinstance(error, UserError):
        return error.exit_code
    if isinstance(error, EngineError):
        return next((code for kind, code in _ENGINE_CODES if isinstance(error, kind)), 1)
    return next((code for kind, code in _document_codes() if isinstance(error, kind)), 1)


def _document_codes() -> tuple[tuple[type[RagError], int], ...]:
    """Returns the codes of the document room, which is only imported where documents are asked for."""
    from llmchat_rag import errors

    return (
        (errors.StoreError, 7),
        (errors.CollectionMissing, 3),
        (errors.CollectionExists, 2),
        (errors.RootMissing, 3),
        (errors.EmbedderError, 3),
        (errors.VectorServerError, 6),
        (errors.ParseError, 9),
    )
