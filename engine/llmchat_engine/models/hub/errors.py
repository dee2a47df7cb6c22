"""Why a model hub does not give what was asked for, in sentences: one for each reason, with the command that helps.

Knows no client: it is given a status, headers and names. No sentence ever holds a token.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from llmchat_engine.errors import HubError, HubForbidden, HubMissing, HubUnreachable

_TOKEN = re.compile(r"hf_[A-Za-z0-9]{6,}|(?i:bearer)\s+[^\s\"']+")
_CREDENTIALS = re.compile(r"(?<=://)[^/\s]+@")
_RATE = re.compile(r"r\s*=\s*0\s*;\s*t\s*=\s*(\d+)")
_LOGIN = "hf auth login, or export HF_TOKEN=hf_…"
_LONGEST_MESSAGE = 200
_BAD_TOKEN = "Invalid credentials in Authorization header"  # noqa: S105
_DISABLED = "Access to this resource is disabled."


@dataclass(frozen=True, slots=True)
class Asked:
    """What the hub was asked for, as far as sentences need it."""

    host: str
    """As "huggingface.co"."""
    repo: str = ""
    """Empty for a search."""
    revision: str = "main"
    file: str = ""
    token: str = ""
    """The one that was sent, to keep it out of the sentences; empty for none."""

    @property
    def page(self) -> str:
        """Where a person reads about the repository."""
        return f"https://{self.host}/{self.repo}"


def redact(text: str, token: str = "") -> str:
    """Returns a text without anything that has the form of a token of the hub, this one, or a user in an address.

    Args:
        text: Any text.
        token: The token that is in use; empty for none.
    """
    text = text.replace(token, "hf_…") if token else text
    return _CREDENTIALS.sub("…@", _TOKEN.sub("hf_…", text))


def search_command(repo: str) -> str:
    """Returns the command that finds models named as a repository is."""
    name = repo.rpartition("/")[2]
    return f"llmchat models search {re.sub('-gguf$', '', name, flags=re.IGNORECASE)}"


def refused(status: int, headers: Mapping[str, str], asked: Asked) -> HubError:
    """Returns the sentence for an answer that is an error.

    Args:
        status: Of the answer.
        headers: Of the answer; their names in any case where the mapping takes them so, as those of httpx2 do.
        asked: What was asked for.

    Returns:
        The error, to be raised.
    """
    code, message = headers.get("X-Error-Code", ""), headers.get("X-Error-Message", "")
    if message == _DISABLED:
        return HubForbidden(f"{asked.repo} is closed", f"{asked.host} has disabled it", "take another: llmchat pull")
    if code == "GatedRepo":
        return _gated(asked)
    if code == "RevisionNotFound":
        what = f"{asked.repo} has no revision {asked.revision}"
        return HubMissing(what, "", f"leave it out: llmchat pull {asked.repo}")
    if code == "EntryNotFound":
        what = f"{asked.repo} has no file {asked.file}"
        return HubMissing(what, "", f"see which there are: llmchat pull {asked.repo} --select")
    if status == 401 and (message == _BAD_TOKEN or (asked.token and not code)):
        return _bad_token(asked)
    if asked.repo and status in (401, 404):
        return _missing(asked)
    return _by_status(status, headers, redact(message, asked.token), asked)


def not_reached(why: str, asked: Asked) -> HubUnreachable:
    """Returns the sentence for a hub that did not answer.

    Args:
        why: What went wrong with the connection.
        asked: What was asked for.
    """
    hint = "see whether this machine is online; models that are here work without: llmchat ls"
    return HubUnreachable(f"{asked.host} cannot be reached", redact(_short(why), asked.token), hint)


def offline(variable: str, value: str) -> HubUnreachable:
    """Returns the sentence for a hub that must not be asked.

    Args:
        variable: The environment variable that forbids it.
        value: What it is set to.
    """
    why = f"{variable}={_short(value)} is set, so nothing is asked of the network"
    return HubUnreachable("the hub is not asked", why, f"unset {variable}, or take a model that is here: llmchat ls")


def no_connection(why: str) -> HubUnreachable:
    """Returns the sentence for a machine whose own settings allow no connection: a proxy, a file of certificates.

    Args:
        why: What is wrong with them.
    """
    hint = "see HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE: env | grep -iE 'proxy|ssl'"
    return HubUnreachable("no connection can be opened", redact(_short(why)), hint)


def not_understood(why: str, asked: Asked) -> HubError:
    """Returns the sentence for an answer that is not a hub's.

    Args:
        why: What is wrong with it.
        asked: What was asked for.
    """
    hint = "is it a model hub, or the page of a network that wants a login? HF_ENDPOINT says which hub is asked"
    return HubUnreachable(f"what {asked.host} answered cannot be read", redact(_short(why), asked.token), hint)


def _gated(asked: Asked) -> HubForbidden:
    if asked.token:
        why = "its owner asks for consent to terms, and has not let the account of your token in"
        return HubForbidden(f"{asked.repo} is gated", why, f"ask for it on {asked.page}, then pull again")
    why = "its owner asks for consent to terms, and no token is set that says who you are"
    return HubForbidden(f"{asked.repo} is gated", why, f"accept them on {asked.page}, then: {_LOGIN}")


def _bad_token(asked: Asked) -> HubForbidden:
    hint = "hf auth login gives a new one; or do without: unset HF_TOKEN; hf auth logout"
    return HubForbidden(f"{asked.host} does not take the token", "it is wrong or it has expired", hint)


def _missing(asked: Asked) -> HubMissing:
    # The hub answers alike for both, so that nobody learns which private repositories there are.
    search = f"search for it: {search_command(asked.repo)}"
    what = f"there is no repository {asked.repo} on {asked.host}"
    if asked.token:
        return HubMissing(what, "or it is private, and the account of your token may not see it", search)
    return HubMissing(what, "or it is private and needs a token", f"{search}; for a private one: {_LOGIN}")


def _by_status(status: int, headers: Mapping[str, str], message: str, asked: Asked) -> HubError:
    told = f"status {status}: {_short(message)}" if message else f"status {status}"
    if status == 403:
        hint = f"its token may lack the right to read: {_LOGIN}" if asked.token else f"it may want a token: {_LOGIN}"
        return HubForbidden(f"{asked.host} forbids it", told, hint)
    if status == 429:
        return _too_many(headers, asked)
    if status == 408:
        return HubUnreachable(f"{asked.host} gave up waiting", told, "try again")
    if status >= 500:
        wait = f" in {seconds} s" if (seconds := retry_after(headers)) else " in some minutes"
        return HubUnreachable(f"{asked.host} has a failure of its own", told, f"try again{wait}")
    if status == 404:
        return HubMissing(f"{asked.host} has no such page", told, "HF_ENDPOINT says which hub is asked")
    return HubError(f"{asked.host} refuses the request", told, "is llmchat up to date? pip install -U llmchat-tui")


def _too_many(headers: Mapping[str, str], asked: Asked) -> HubUnreachable:
    seconds = retry_after(headers)
    when = f"it takes the next one in {seconds} s" if seconds else "it does not say when it takes the next one"
    more = "" if asked.token else f"; with a token more are allowed: {_LOGIN}"
    hint = f"wait {seconds} s, then repeat the command" if seconds else "wait some minutes, then repeat the command"
    return HubUnreachable(f"{asked.host} was asked too often", f"status 429: {when}", hint + more)


def retry_after(headers: Mapping[str, str]) -> int:
    """Returns the seconds that a server asks to wait, told as a number or as a date; 0 where it does not say."""
    said = headers.get("Retry-After", "").strip()
    if said.isdecimal() and said.isascii():
        return min(int(said[:9]), 86400)
    if said:
        return _until(said)
    limit = _RATE.search(headers.get("RateLimit", ""))
    return min(int(limit[1][:9]), 86400) if limit else 0


def _until(date: str) -> int:
    import time
    from email.utils import parsedate_to_datetime

    try:
        return min(max(0, round(parsedate_to_datetime(date).timestamp() - time.time())), 86400)
    except (ValueError, TypeError, OverflowError):
        return 0


def _short(text: str) -> str:
    """Returns text from outside as one line of a bounded length."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]}…"
