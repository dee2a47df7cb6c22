"""Where a server is and how it is reached: its address in words, the key, the proxy.

Sends nothing. A key is read from the environment when it is sent, and kept nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from llmchat_engine.errors import RemoteRefused
from llmchat_engine.types import RemoteSpec

_PORTS = {"http": 80, "https": 443}
_EXAMPLE = "http://127.0.0.1:8000/v1"


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a server, checked."""

    base: str
    """Without a slash at its end."""
    host: str
    port: int
    is_secret: bool
    """Whether the line is encrypted."""

    @property
    def place(self) -> str:
        """Host and port, as they are told to the user."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def root(self) -> str:
        """What the base URL stands below: servers have ways of their own there."""
        return self.base.removesuffix("/v1")

    @property
    def is_here(self) -> bool:
        """Whether it is another program on this machine."""
        return is_loopback(self.host)


def address_of(base_url: str) -> Address:
    """Returns the address that a URL names.

    Raises:
        RemoteRefused: it is no URL of a server, or has a password in it.
    """
    try:
        parts = urlsplit(base_url.strip())
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise _no_address(base_url, str(error)) from error
    if parts.scheme not in _PORTS or not parts.hostname or not base_url.strip().isprintable():
        raise _no_address(_shown(parts), "it has to begin with http:// or https:// and the name of a host")
    if parts.username or parts.password or parts.query or parts.fragment:
        why = "it has a name, a password, or something behind ? or #: keys are named by key_env"
        raise _no_address(f"{parts.scheme}://{parts.hostname}…", why)
    return Address(base_url.strip().rstrip("/"), parts.hostname, port, parts.scheme == "https")


def is_loopback(host: str) -> bool:
    """Returns whether a host is this machine, by its name alone."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def key_of(spec: RemoteSpec, environ: Mapping[str, str]) -> str:
    """Returns the key that a server is sent; empty where none is named or set.

    Raises:
        RemoteRefused: it has characters that no header can hold.
    """
    key = environ.get(spec.key_env, "").strip() if spec.key_env else ""
    if not (key.isascii() and key.isprintable()):
        raise RemoteRefused(f"the key in {spec.key_env} cannot be sent", "it has characters that no header can hold")
    return key


def proxy_of(address: Address, environ: Mapping[str, str]) -> str | None:
    """Returns the proxy that the environment names for a server; None for one on this machine, or where it says so.

    Raises:
        RemoteRefused: it is of a kind that is not spoken here.
    """
    if address.is_here or _is_direct(address, environ.get("no_proxy") or environ.get("NO_PROXY") or ""):
        return None
    names = ("https_proxy", "HTTPS_PROXY") if address.is_secret else ("http_proxy",)  # HTTP_PROXY may be a CGI header
    named = next(filter(None, map(environ.get, (*names, "all_proxy", "ALL_PROXY"))), "")
    if not named:
        return None
    proxy = named if "://" in named else f"http://{named}"
    if not proxy.startswith(("http://", "https://")):
        why = "it is none of http:// and https://"
        raise RemoteRefused(
            "the proxy of the environment cannot be used", why, f"no_proxy={address.host} goes there directly"
        )
    return proxy


def _is_direct(address: Address, exceptions: str) -> bool:
    """Returns whether a list of exceptions, as curl reads it, names a server."""
    for name in filter(None, (name.strip().lower() for name in exceptions.split(","))):
        suffix = name.removeprefix("*").removeprefix(".")
        if name == "*" or suffix in (address.host, address.place) or (suffix and address.host.endswith(f".{suffix}")):
            return True
    return False


def _shown(parts: SplitResult) -> str:
    return parts.geturl().rpartition("@")[2][:80]


def _no_address(url: str, why: str) -> RemoteRefused:
    return RemoteRefused(f"{url[:80]!r} is not the address of a server", why, f"--base-url {_EXAMPLE}")
