"""Which server answers: `openai:NAME` is a table of [remotes], or a model's name beside an address.

Asks no server and looks at no file of a model. The key is named here and never read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from llmchat_engine import RemoteError, RemoteSpec
from llmchat_tui.errors import UsageError
from llmchat_tui.model_tables import Remote

PREFIX = "openai:"
_EXAMPLE = "http://127.0.0.1:8000/v1"


def is_remote(wanted: str, flag: str = "") -> bool:
    """Returns whether a name means a server; an address that was typed with no name means one too.

    Args:
        wanted: as it stands behind -m, or what an alias stands for.
        flag: the address of --base-url; empty where none was typed.
    """
    return wanted.startswith(PREFIX) or bool(flag and not wanted)


def remote_spec(
    wanted: str, remotes: Mapping[str, Remote], *, flag: str = "", setting: str = "", ctx: int | None = None
) -> RemoteSpec:
    """Returns the server that is meant.

    Args:
        wanted: `openai:NAME`, `openai:NAME/MODEL`, `openai:MODEL`, or nothing beside an address.
        remotes: the tables of the config.
        flag: the address that was typed: NAME is a model there, and no key of a table goes to it.
        setting: the address of the settings, for names that are no table.
        ctx: the context that was typed.

    Raises:
        UsageError: nothing says where that is, or the address is none.
    """
    from llmchat_engine.remote.address import address_of

    name = wanted.removeprefix(PREFIX)
    spec = None if flag else _of_tables(name, remotes)
    if spec is None and not (flag or setting):
        raise _unknown(name, remotes)
    spec = spec or RemoteSpec(flag or setting, name)
    try:
        base = address_of(spec.base_url).base
    except RemoteError as error:
        raise UsageError(error.what, error.why, error.hint) from error
    return replace(spec, base_url=base, n_ctx=ctx or spec.n_ctx)


def names_of_remote(spec: RemoteSpec) -> tuple[str, ...]:
    """Returns the names under which a server may have settings to itself, the most particular last."""
    named = (spec.model, f"{PREFIX}{spec.model}") if spec.model else ()
    return (*named, spec.name, f"{PREFIX}{spec.name}") if spec.name else named


def flag_for(name: str, typed: str, flag: str, remotes: Mapping[str, Remote]) -> str:
    """Returns the address that was typed, where it is about this name too, and not about what was picked later.

    Args:
        name: what is wanted now.
        typed: what stood behind -m.
        flag: the address beside it.
        remotes: the tables of the config.
    """
    is_server = name.startswith(PREFIX) and name.removeprefix(PREFIX) not in remotes
    return flag if is_server or name in ("", typed) else ""


def _of_tables(name: str, remotes: Mapping[str, Remote]) -> RemoteSpec | None:
    """Returns the server of a table, with its model or the one that is named behind a slash."""
    table, _, model = name.partition("/")
    remote = remotes.get(name)
    if remote is not None:
        table, model = name, ""
    else:
        remote = remotes.get(table)
    if remote is None:
        return None
    return RemoteSpec(remote.base_url, model or remote.model, table, remote.key_env, remote.ctx, remote.timeout)


def _unknown(name: str, remotes: Mapping[str, Remote]) -> UsageError:
    known = f"there is {', '.join(sorted(remotes))}" if remotes else "config.toml has none"
    hint = f"-m {PREFIX}{name or 'MODEL'} --base-url {_EXAMPLE}, or llmchat config set remotes.NAME.base_url {_EXAMPLE}"
    what = f"there is no server {name!r}" if name else "no server is named"
    return UsageError(what, f"{known} in [remotes]", hint)


def sent_to(place: str) -> str:
    """Returns where what is asked goes, in as few words as a header has room for."""
    return f"→ {place}"


def leaves_notice(place: str) -> str:
    """Returns what the user is told before the first question to a server.

    Args:
        place: its host and port.
    """
    from llmchat_engine.remote.address import is_loopback

    is_here = is_loopback(place.rpartition(":")[0].strip("[]"))
    where = "another program on this machine" if is_here else "it leaves this machine"
    return f"what you ask now is sent to {place}: {where}"
