"""Every failure that leaves the engine.

    EngineError                     what failed, why, and the command that helps
    ├── ModelError                  the model file
    │   ├── ModelMissing            no such file, or it cannot be read
    │   └── ModelUnreadable         it is there, and it is not a GGUF that llama.cpp can load
    ├── TemplateError               the model's chat template is broken, or too slow or too big
    ├── ContextFull                 the prompt does not fit: prompt_tokens against n_ctx
    ├── NotEnoughMemory             weights, cache and buffers against what is free
    ├── NotEnoughDisk               a download or a quantised file against what is free
    ├── DiskUnwritable              a folder or a file that this user may not write, or a name that is too long
    ├── RequestInvalid              a sampling value out of range, an empty prompt
    ├── GenerationFailed            llama.cpp refused a batch; the next request may work
    ├── HubError                    the model hub, or a download from it
    │   ├── HubUnreachable          offline, no route, a server's own failure, a stalled connection
    │   ├── HubMissing              no such repository, file or quantisation
    │   ├── HubForbidden            gated or private, or the token is wrong
    │   └── DownloadBroken          what came is not what the hub promised
    ├── RemoteError                 a server that answers in the place of a model here
    │   ├── RemoteUnreachable       no route, a time limit, its own failure, a broken stream
    │   └── RemoteRefused           it knows no such model or key, or does not take the request
    ├── QuantizeFailed              llama.cpp could not write the smaller model
    └── HostError                   the process that owns the model
        ├── HostUnreachable         it could not be started, or speaks another version
        └── EngineDied              it crashed or hangs; the next request starts a new one

Knows nothing of exit codes, screens or sockets.
"""

from __future__ import annotations


class EngineError(Exception):
    """Base of the tree. `what` and `why` make one line; `hint` is a command or a next step, or empty."""

    def __init__(self, what: str, why: str = "", hint: str = "") -> None:
        super().__init__(f"{what} — {why}" if why else what)
        self.what = what
        self.why = why
        self.hint = hint


class ModelError(EngineError):
    """The model file is the problem."""


class ModelMissing(ModelError):
    """There is no such file, or this user may not read it."""


class ModelUnreadable(ModelError):
    """The file is there, but it is not a GGUF that llama.cpp can load."""


class TemplateError(EngineError):
    """The model's chat template is broken, or ran past its limits."""


class ContextFull(EngineError):
    """The prompt does not fit into the context."""

    def __init__(self, prompt_tokens: int, n_ctx: int, n_ctx_train: int = 0) -> None:
        wanted = _next_context(prompt_tokens)
        larger = f"shorten it, or load the model with --ctx {wanted}"
        super().__init__(
            "the prompt does not fit into the context",
            f"it has {prompt_tokens:,} tokens, the context holds {n_ctx:,} and the reply needs at least one",
            larger if wanted <= n_ctx_train else "shorten it, or choose a model with a longer context",
        )
        self.prompt_tokens = prompt_tokens
        self.n_ctx = n_ctx
        self.n_ctx_train = n_ctx_train


class NotEnoughMemory(EngineError):
    """What the model needs is more than what is free."""


class NotEnoughDisk(EngineError):
    """What is to be written is more than what is free."""


class DiskUnwritable(EngineError):
    """The system does not let it be written there: no permission, read-only, a name that is too long."""


class RequestInvalid(EngineError):
    """The request cannot be run as it stands."""


class GenerationFailed(EngineError):
    """llama.cpp refused a batch. The host lives and the next request may work."""


class HubError(EngineError):
    """The model hub, or a download from it, is the problem. What was downloaded so far is kept."""


class HubUnreachable(HubError):
    """It cannot be reached: offline, no route, its own failure, a connection that stalled."""


class HubMissing(HubError):
    """There is no such repository, file or quantisation on it."""


class HubForbidden(HubError):
    """The repository is gated or private, or the token is wrong."""


class DownloadBroken(HubError):
    """What came is not what the hub promised. It was removed."""


class RemoteError(EngineError):
    """A server that answers in the place of a model on this machine is the problem."""


class RemoteUnreachable(RemoteError):
    """It cannot be reached, took too long, failed by itself, or its answer broke off."""


class RemoteRefused(RemoteError):
    """It knows no such model or key, or does not take the request as it stands."""


class QuantizeFailed(EngineError):
    """llama.cpp could not write the smaller model. Nothing was left behind."""


class HostError(EngineError):
    """The process that owns the model is the problem."""


class HostUnreachable(HostError):
    """The host could not be started or spoken to."""


class EngineDied(HostError):
    """The host crashed, was killed or hangs. The next request starts a new one."""


def _next_context(tokens: int) -> int:
    """Returns the power of two that holds the prompt and 1,024 tokens of reply."""
    return 1 << (tokens + 1024 - 1).bit_length()
