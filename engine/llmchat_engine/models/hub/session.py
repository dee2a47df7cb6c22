"""huggingface_hub, made fit for a program that people wait for: its clock, its limits, its silence; who the user is.

As it comes it waits without end for a list, sleeps up to a minute between tries, prints what servers say to stderr and
asks the hub which program runs it. Knows no repository; the only importer of huggingface_hub but client.py.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmchat_engine.models.hub.errors import Asked, no_connection, not_reached, not_understood, refused

if TYPE_CHECKING:
    import httpx2

SILENCE = 10.0
"""Seconds in which a hub must say something; a good one answers within one."""
WHOLE = 60.0
"""Seconds after which an answer must be there in full."""
LARGEST = 64 << 20
"""Bytes of an answer. A repository with 10,000 files takes some three million."""
_NOT_NOW = (408, 429)
_YES = frozenset({"1", "ON", "YES", "TRUE"})


def is_on(value: str) -> bool:
    """Returns whether the hub's programs read this as yes: 1, on, yes or true; "0", "false" and "" are no."""
    return value.strip().upper() in _YES


def find_token(environ: Mapping[str, str]) -> str:
    """Returns the token that this user's requests carry, empty for none; it is kept nowhere.

    Args:
        environ: HF_TOKEN comes first, then the file that `hf auth login` wrote (HF_TOKEN_PATH, HF_HOME); with
            HF_HUB_DISABLE_IMPLICIT_TOKEN neither is sent, as in the hub's own programs.
    """
    if is_on(environ.get("HF_HUB_DISABLE_IMPLICIT_TOKEN", "")):
        return ""
    named = environ.get("HF_TOKEN") or environ.get("HUGGING_FACE_HUB_TOKEN") or ""
    if named.strip():
        return _one_line(named)
    path = _token_path(environ)
    library()
    from huggingface_hub import constants, get_token

    try:
        if path == Path(constants.HF_TOKEN_PATH):
            # A login by the browser gives a token that ends after some hours; the hub's own function renews it.
            return get_token() or ""
        return _one_line(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""


@cache
def library() -> None:
    """Loads huggingface_hub, once: nothing is told about this machine, nothing printed, all its requests bounded."""
    import logging

    from huggingface_hub import constants, set_client_factory

    constants.HF_HUB_DISABLE_TELEMETRY = True
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)
    set_client_factory(_make_client)


def _one_line(token: str) -> str:
    return token.replace("\r", "").replace("\n", "").strip()


def _token_path(environ: Mapping[str, str]) -> Path:
    if named := environ.get("HF_TOKEN_PATH"):
        return Path(named).expanduser()
    if home := environ.get("HF_HOME"):
        return Path(home).expanduser() / "token"
    caches = environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME") or "~").expanduser() / ".cache"
    return Path(caches) / "huggingface" / "token"


def _make_client() -> httpx2.Client:
    import httpx2

    class Client(httpx2.Client):
        """Raises what went wrong as an error of ours, which the library does not try again."""

        def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
            asked = Asked(request.url.netloc.decode(errors="replace"), token=_sent_token(request))
            request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), SILENCE)
            try:
                response = super().send(request, **{**options, "stream": True})
                body = _read(response, asked)
            except httpx2.TimeoutException:
                raise not_reached(f"it said nothing for {SILENCE:.0f} s", asked) from None
            except httpx2.TooManyRedirects:
                raise not_understood("it sends every request elsewhere, without end", asked) from None
            except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                raise not_reached(str(error), asked) from None
            if response.status_code in _NOT_NOW or response.status_code >= 500:
                raise refused(response.status_code, response.headers, asked)
            return httpx2.Response(response.status_code, headers=response.headers, content=body, request=request)

    # Connections are not kept: two questions are minutes apart, and a kept one may be dead by then.
    try:
        return Client(follow_redirects=True, limits=httpx2.Limits(max_keepalive_connections=0))
    except (ImportError, OSError, ValueError) as error:
        raise no_connection(str(error)) from None


def _read(response: httpx2.Response, asked: Asked) -> bytes:
    """Returns the body as it came, within the limits of time and size."""
    body, ends = bytearray(), time.monotonic() + WHOLE
    try:
        for piece in response.iter_raw():
            body += piece
            if len(body) > LARGEST:
                raise not_understood(f"it is longer than {LARGEST >> 20} MiB", asked)
            if time.monotonic() > ends:
                raise not_reached(f"its answer took longer than {WHOLE:.0f} s", asked)
    finally:
        response.close()
    return bytes(body)


def _sent_token(request: httpx2.Request) -> str:
    return request.headers.get("authorization", "").removeprefix("Bearer ")
