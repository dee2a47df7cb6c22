"""The command line: the list of commands, and the one place where a failure becomes two lines and an exit code.

Commands are imported when they are called; the list here is what `--help` needs.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn

import click

from llmchat_tui import __version__
from llmchat_tui.cli.app import App
from llmchat_tui.cli.lazy import LazyGroup
from llmchat_tui.errors import StorageUnwritable, UsageError, UserError, exit_code

if TYPE_CHECKING:
    from llmchat_engine.errors import EngineError
    from llmchat_rag.errors import RagError

_COMMANDS: Mapping[str, tuple[str, str]] = {
    "ask": ("llmchat_tui.cli.ask:ask", "Ask one question and print the answer."),
    "bench": ("llmchat_tui.cli.bench:bench", "Measure this machine: prefill, decode, first answer."),
    "chat": ("llmchat_tui.cli.chat:chat", "Open the chat."),
    "chats": ("llmchat_tui.cli.chats:chats", "List, show, search, export and delete chats."),
    "completion": ("llmchat_tui.cli.completion:completion", "Print the completion script of a shell."),
    "config": ("llmchat_tui.cli.config:config", "Show and set the configuration."),
    "docs": ("llmchat_tui.cli.docs:docs", "Index documents, search them, keep them up to date."),
    "doctor": ("llmchat_tui.cli.doctor:doctor", "Check this installation and tell why it is slow."),
    "eval": ("llmchat_tui.cli.eval:evaluate", "Compare ways of asking on a set of questions."),
    "kv": ("llmchat_tui.cli.kv:kv", "List and remove what the engine keeps of chats on disk."),
    "ls": ("llmchat_tui.cli.ls:ls", "List the models on this machine."),
    "models": ("llmchat_tui.cli.models:models", "Find, check, measure and make smaller models."),
    "next": ("llmchat_tui.cli.next_token:next_token", "Show what could come next, filter by filter."),
    "paths": ("llmchat_tui.cli.paths:paths", "Print where everything lies."),
    "pull": ("llmchat_tui.cli.pull:pull", "Pull a model from the hub."),
    "rm": ("llmchat_tui.cli.rm:rm", "Remove models that were pulled."),
    "show": ("llmchat_tui.cli.show:show", "Tell everything about a model."),
    "ps": ("llmchat_tui.cli.hosts:ps", "List the models that are loaded."),
    "stop": ("llmchat_tui.cli.hosts:stop", "Unload models."),
    "tokenize": ("llmchat_tui.cli.tokenize:tokenize", "Show the tokens that a text is read as."),
    "templates": ("llmchat_tui.cli.templates:templates", "List, show, edit and import prompt templates."),
}


@click.group(
    cls=LazyGroup,
    lazy=_COMMANDS,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="llmchat")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Chat with language models on your own machine. Nothing leaves it.

    Without a command, opens the chat.
    """
    app = ctx.ensure_object(App)
    app.debug = debug
    if ctx.invoked_subcommand is None:
        from llmchat_tui.cli.chat import chat

        ctx.exit(ctx.invoke(chat))


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the program and leaves with its exit code.

    Without the cyclic collector: a command lives for one answer, and its few cycles end with it.
    """
    sys.excepthook = _show_traceback
    app = App()
    code = run(app, sys.argv[1:] if arguments is None else arguments)
    _flush()
    sys.exit(code)


def run(app: App, arguments: Sequence[str]) -> int:
    """Runs one command line and returns its exit code; every expected failure has been told on stderr."""
    from llmchat_tui.cli.interrupts import Interrupted
    from llmchat_tui.cli.render import ClosedOutput

    try:
        result = cli.main(list(arguments), prog_name="llmchat", obj=app, standalone_mode=False)
        return result if isinstance(result, int) else 0
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    except click.ClickException as error:
        _tell(app, _usage_error(error, arguments))
        return 2
    except (click.Abort, KeyboardInterrupt):
        return 130
    except Interrupted as interrupted:
        return interrupted.code
    except (ClosedOutput, BrokenPipeError):
        return ClosedOutput.exit_code
    except _expected() as error:
        if app.debug:
            raise
        _tell(app, error)
        return exit_code(error)
    except OSError as error:  # click prints help and version itself
        if app.debug or error.errno not in (errno.ENOSPC, errno.EIO):
            raise
        _tell(app, StorageUnwritable("cannot write to stdout", error.strerror or ""))
        return StorageUnwritable.exit_code


def _expected() -> tuple[type[UserError], type[EngineError], type[RagError]]:
    """Returns the failures that are told in two lines; looked up when something has failed, and not before."""
    from llmchat_engine.errors import EngineError
    from llmchat_rag.errors import RagError

    return UserError, EngineError, RagError


def _show_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Prints an uncaught failure; its text may come from data, and goes through the sanitizer like all else."""
    import traceback

    from llmchat_tui.sanitize import sanitize

    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(sanitize("".join(traceback.format_exception(kind, error, trace))))


def _usage_error(error: click.ClickException, arguments: Sequence[str]) -> UsageError:
    """Returns click's error as ours, which is sanitised when it is told."""
    command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "llmchat"
    hint = (isinstance(error, click.NoSuchOption) and _as_chat(error, arguments)) or f"{command} --help"
    return UsageError(error.format_message().rstrip("."), hint=hint)


def _as_chat(error: click.NoSuchOption, arguments: Sequence[str]) -> str:
    """Returns the command line with `chat` in it where the option is one of the chat's, else nothing."""
    if error.ctx is None or error.ctx.parent is not None:
        return ""
    import shlex

    from llmchat_tui.cli.chat import chat

    if not any(error.option_name in param.opts for param in chat.params):
        return ""
    at = next((at for at, word in enumerate(arguments) if word.startswith(error.option_name)), 0)
    return shlex.join(["llmchat", *arguments[:at], "chat", *arguments[at:]])


def _tell(app: App, error: UserError | Exception) -> None:
    """Tells a failure; a broken configuration must not keep its own error from being told."""
    from llmchat_tui.console import Console, find_look

    console = Console(sys.stderr, find_look(sys.stdout, sys.stderr, app.environ))
    console.error(*(getattr(error, name, "") for name in ("what", "why", "hint")))


def _flush() -> None:
    """Writes out what is left; a closed stdout has nobody left to tell."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
