"""The model hub: what a repository holds, and which repositories there are. Its answers are distrusted.

Downloads nothing; that is pull.py. Reads no environment but the one it is given, and keeps no token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, urlsplit

from llmchat_engine.errors import HubForbidden, RequestInvalid
from llmchat_engine.models.hub.errors import Asked, not_understood, offline, refused
from llmchat_engine.models.hub.kinds import check_kind, kind_of
from llmchat_engine.models.hub.names import is_commit, is_repo, is_safe_path
from llmchat_engine.models.hub.quants import expected_size, variants
from llmchat_engine.models.hub.session import SILENCE, find_token, is_on, library
from llmchat_engine.models.hub.types import Found, HubFile, HubRepo, Reference, Variant

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import ModelInfo, RepoSibling

T = TypeVar("T")

DEFAULT_ENDPOINT = "https://huggingface.co"
_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
_ASKED_AT_ONCE = 100
"""Repositories that are looked through for those whose names have all words."""


class Hub:
    """A model hub: Hugging Face, or what HF_ENDPOINT names."""

    def __init__(self, environ: Mapping[str, str], *, endpoint: str = "") -> None:
        """Asks nothing yet.

        Args:
            environ: Of the user: HF_ENDPOINT, HF_HUB_OFFLINE, HF_TOKEN and where the token's file is.
            endpoint: In the place of HF_ENDPOINT.
        """
        self._environ = environ
        self.endpoint = (endpoint or environ.get("HF_ENDPOINT", "").strip() or DEFAULT_ENDPOINT).rstrip("/")

    def repo(self, reference: Reference) -> HubRepo:
        """Returns what a repository holds, at the commit that the reference means now.

        Args:
            reference: Its file and quantisation are not looked at.

        Raises:
            HubMissing: There is none, not for this user, or it holds nothing that llmchat can use.
            HubForbidden: The token is wrong.
            HubUnreachable: Offline, no route, a time limit, the hub's own failure.
            HubError: It was refused for another reason.
        """
        asked = self._asked(reference.repo, reference.revision)
        return self._ask(
            asked,
            lambda api: _repo_of(
                api.model_info(reference.repo, revision=reference.revision, files_metadata=True, timeout=SILENCE),
                asked,
            ),
        )

    def search(self, words: str, limit: int = 20) -> tuple[Found, ...]:
        """Returns repositories with GGUF files, the most downloaded first.

        Args:
            words: Parts of their names.
            limit: The most to return.

        Raises:
            HubError: As for `repo`.
        """
        said = words.split()
        if not said:
            raise RequestInvalid("there is nothing to search for", "", "llmchat models search qwen3 4b")
        found = self._named(" ".join(said), limit)
        if found or len(said) == 1:
            return found
        # The hub looks for the text as it stands: "qwen 4b" is in no name. One word finds more, the others narrow it.
        near = self._named(max(said, key=len), _ASKED_AT_ONCE)
        return tuple(repo for repo in near if all(word.casefold() in repo.repo.casefold() for word in said))[:limit]

    def address(self, repo: HubRepo, file: HubFile) -> str:
        """Returns where a file is downloaded from, at the commit of the repository."""
        return f"{self.endpoint}/{repo.name}/resolve/{repo.commit}/{quote(file.path)}"

    def headers(self) -> dict[str, str]:
        """Returns what each request to the hub carries: who asks, and the user's token if there is one.

        The token is for the hub alone: it must not follow a redirect to another host.

        Raises:
            HubForbidden: The token is none.
        """
        token = self._token()
        library()
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

        return build_hf_headers(token=token or False, library_name="llmchat", library_version=_version())

    def _named(self, words: str, limit: int) -> tuple[Found, ...]:
        return self._ask(
            self._asked(),
            lambda api: _all_found(
                api.list_models(
                    search=words, filter="gguf", sort="downloads", limit=limit,
                    expand=["downloads", "gated", "gguf", "lastModified", "likes", "siblings"],
                )
            ),
        )  # fmt: skip

    def _asked(self, repo: str = "", revision: str = "main") -> Asked:
        """Returns what is asked for.

        Raises:
            HubUnreachable: The network must not be asked.
            RequestInvalid: HF_ENDPOINT is no address.
        """
        for variable in _OFFLINE:
            if is_on(value := self._environ.get(variable, "")):
                raise offline(variable, value)
        return Asked(_host(self.endpoint), repo, revision, token=self._token())

    def _token(self) -> str:
        token = find_token(self._environ)
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise HubForbidden("the token cannot be used", "it has characters that no token has", "hf auth login")
        return token

    def _ask(self, asked: Asked, call: Callable[[HfApi], T]) -> T:
        """Returns what a call of the client gives; what goes wrong is told in our words, without the client's."""
        library()
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError

        api = HfApi(self.endpoint, token=asked.token or False, library_name="llmchat", library_version=_version())
        try:
            return call(api)
        except HfHubHTTPError as error:
            raise refused(error.response.status_code, error.response.headers, asked) from None
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
            raise not_understood("it is not what a hub tells of its models", asked) from None


def _host(endpoint: str) -> str:
    """Returns the host that an endpoint names, and its port.

    Raises:
        RequestInvalid: It is no address.
    """
    try:
        url = urlsplit(endpoint)
        host, port = url.hostname or "", f":{url.port}" if url.port else ""
    except ValueError:
        host, port = "", ""
    if not host or url.scheme not in {"http", "https"} or not endpoint.isprintable():
        hint = f"unset HF_ENDPOINT, or set it as: export HF_ENDPOINT={DEFAULT_ENDPOINT}"
        raise RequestInvalid("HF_ENDPOINT is no address of a hub", "it has to begin with https:// and a host", hint)
    return host + port


def _repo_of(info: ModelInfo, asked: Asked) -> HubRepo:
    siblings = info.siblings or []
    files = tuple(file for sibling in siblings if (file := _file(sibling)))
    if not is_repo(info.id) or not is_commit(_text(info.sha)):
        raise not_understood("it names no repository and no commit", asked)
    config = info.config if isinstance(info.config, dict) else {}
    tags = _texts(info.tags)
    kind = kind_of(
        info.id,
        [file.path for file in files],
        library=_text(info.library_name),
        task=_text(info.pipeline_tag),
        tags=tags,
        architectures=_texts(config.get("architectures")),
    )
    card = info.card_data
    base = next(iter(_texts(card.get("base_model") if card else None)), "")
    licence, gated = _licence(info, tags), bool(info.gated)
    repo = HubRepo(info.id, _text(info.sha), files, kind, licence, gated, _count(info.downloads), base)
    return check_kind(repo, [sibling.rfilename for sibling in siblings])


def _file(sibling: RepoSibling) -> HubFile | None:
    """Returns a file; None where its name is not safe or its size is not told."""
    large = sibling.lfs
    size = large.size if large else sibling.size
    if not is_safe_path(sibling.rfilename) or not isinstance(size, int) or size < 0:
        return None
    sha256 = _text(large.sha256).lower() if large else ""
    return HubFile(sibling.rfilename, size, sha256 if len(sha256) == 64 and is_commit(sha256) else "")


def _licence(info: ModelInfo, tags: Iterable[str]) -> str:
    """Returns the licence by its short name; an own one by the name that its card gives it."""
    card = info.card_data
    told = next(iter(_texts(card.get("license") if card else None)), "")
    told = told or next((tag.removeprefix("license:") for tag in tags if tag.startswith("license:")), "")
    return (_text(card.get("license_name")) or told) if card and told == "other" else told


def _all_found(listed: Iterable[ModelInfo]) -> tuple[Found, ...]:
    return tuple(_found(info) for info in listed if is_repo(info.id))


def _found(info: ModelInfo) -> Found:
    files = [HubFile(path, 0) for sibling in info.siblings or [] if is_safe_path(path := sibling.rfilename)]
    parameters = _count(info.gguf.get("total")) if isinstance(info.gguf, dict) else 0
    models = [_sized(variant, parameters) for variant in variants(files)]
    models.sort(key=lambda variant: -variant.size)
    updated = info.last_modified.date().isoformat() if info.last_modified else ""
    return Found(info.id, _count(info.downloads), _count(info.likes), updated, bool(info.gated), tuple(models))


def _sized(variant: Variant, parameters: int) -> Variant:
    """Returns a variant with the sizes that its parameters come to: a search tells no others."""
    each = expected_size(parameters, variant.quant) // len(variant.files)
    return replace(variant, files=tuple(replace(file, size=each) for file in variant.files))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> list[str]:
    """Returns the texts of a list, or the one text that stands in its place."""
    values = value if isinstance(value, list) else [value]
    return [text for text in values if isinstance(text, str)]


def _count(value: object) -> int:
    return max(value, 0) if isinstance(value, int) else 0


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("llmchat-tui")
    except PackageNotFoundError:
        return "0"
