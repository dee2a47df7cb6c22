"""How the fake hub answers one request. Knows the hub's URLs and headers; what goes wrong is in faults.py."""

from __future__ import annotations

import json
import time
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.hub.faults import Asked, Fault, Kind
from tests.hub.repos import Repo, Stored

if TYPE_CHECKING:
    from tests.hub.server import FakeHub, _Server

PAGE = b"<!DOCTYPE html>\n<html><head><title>Please log in</title></head><body>Welcome to the hotel</body></html>\n"
Headers = dict[str, str]


class Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    server: _Server
    timeout = 60

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing on stderr: the log is `requests`."""

    @property
    def hub(self) -> FakeHub:
        return self.server.hub

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        self.query = parse_qs(parts.query, keep_blank_values=True)
        kind = self._kind(parts.path)
        self.asked = self._remember(kind, parts.path, parts.query)
        self.fault = self.hub.faults.take(kind)
        try:
            if self._refused_by_fault():
                return
            if kind == "api":
                self._api(parts.path)
            elif kind == "resolve":
                self._resolve(unquote(parts.path))
            else:
                self._content(unquote(parts.path))
        except OSError:  # the client went away
            self.close_connection = True

    def _kind(self, path: str) -> Kind:
        if self.server.port == "cdn":
            return "content"
        return "api" if path.startswith("/api/") else "resolve"

    def _remember(self, kind: Kind, path: str, query: str) -> Asked:
        told = self.headers
        asked = Asked(
            kind, self.command, self.server.port, told.get("Host", ""), path, query, told.get("Range", ""),
            told.get("If-Range", ""), told.get("Authorization", ""),
        )  # fmt: skip
        self.hub.requests.append(asked)
        return asked

    def _refused_by_fault(self) -> bool:
        """Answers in place of the real answer where the fault says so."""
        fault = self.fault
        if fault.stall == -1:
            self._wait_for_the_end()
        elif fault.status:
            self._refuse(fault.status, fault.error_code, fault.message, fault)
        elif fault.page:
            self._send(200, PAGE, {"Content-Type": "text/html; charset=utf-8"})
        elif fault.location or fault.loop:
            self._send(302, b"", {"Location": fault.location or self.path})
        else:
            return False
        return True

    def _refuse(self, status: int, code: str, message: str, fault: Fault | None = None) -> None:
        fault = fault or Fault()
        if fault.echo:
            message = f"{message}: you sent {self.asked.authorization}"
        headers = {"Content-Type": "application/json", "X-Error-Message": message}
        headers |= {"X-Error-Code": code} if code else {}
        headers |= {"Retry-After": fault.retry_after} if fault.retry_after else {}
        self._send(status, json.dumps({"error": message}).encode(), headers)

    def _send(self, status: int, body: bytes, headers: Headers) -> None:
        self.asked.status = status
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    # The API: what repositories there are and what is in one.

    def _api(self, path: str) -> None:
        rest = unquote(path).removeprefix("/api/models").strip("/")
        if not rest:
            self._json([repo.info(False) for repo in self._searched()])
            return
        name, _, revision = rest.partition("/revision/")
        repo = self._readable(name)
        if repo is None:
            return
        if revision not in ("", "main", repo.commit):
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return
        self._json(repo.info("blobs" in self.query))

    def _json(self, told: object) -> None:
        self._send(200, json.dumps(told).encode(), {"Content-Type": "application/json; charset=utf-8"})

    def _searched(self) -> list[Repo]:
        words = " ".join(self.query.get("search", [])).casefold().split()
        tags = {tag for filters in self.query.get("filter", []) for tag in filters.split(",")}
        found = [
            repo
            for repo in self.hub.repos.values()
            if all(word in repo.name.casefold() for word in words) and tags <= {*repo.tags} and not repo.private
        ]
        key = self.query.get("sort", [""])[0]
        if key in ("downloads", "likes"):
            found.sort(key=lambda repo: repo.likes if key == "likes" else repo.downloads, reverse=True)
        return found[: int(self.query.get("limit", ["1000"])[0])]

    def _token_is_good(self) -> bool:
        return self.asked.authorization.removeprefix("Bearer ") in self.hub.tokens

    def _readable(self, name: str) -> Repo | None:
        """Returns a repository this client may see; else says so as the hub does: 401 without a token, 404 with one."""
        repo = self.hub.repos.get(name)
        if repo is not None and not (repo.private and not self._token_is_good()):
            return repo
        if self.asked.authorization:
            self._refuse(404, "RepoNotFound", "Repository not found")
        else:
            self._refuse(401, "RepoNotFound", "Invalid username or password.")
        return None

    # A file's address, and its bytes where git has them.

    def _resolve(self, path: str) -> None:
        name, _, rest = path.strip("/").partition("/resolve/")
        revision, _, file_path = rest.partition("/")
        repo = self._readable(name)
        if repo is None:
            return
        if repo.gated and not self._token_is_good():
            status = 403 if self.asked.authorization else 401
            self._refuse(status, "GatedRepo", f"Access to model {name} is restricted.", self.fault)
        elif revision not in ("main", repo.commit):
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        elif file_path not in repo.files:
            self._refuse(404, "EntryNotFound", "Entry not found")
        else:
            self._redirect_or_serve(repo, repo.files[file_path])

    def _redirect_or_serve(self, repo: Repo, file: Stored) -> None:
        headers = {"X-Repo-Commit": repo.commit, "Accept-Ranges": "bytes"}
        if not file.large:
            self.asked.kind, self.fault = "content", self.hub.faults.take("content")
            if not self._refused_by_fault():
                self._serve(file, headers)
            return
        link = f"{self.hub.cdn}/{quote(repo.name)}/{file.sha256}?Expires=3600&Signature={self.hub.sign()}"
        headers |= {"X-Linked-Size": str(len(file.data)), "X-Linked-Etag": self.fault.etag or file.etag}
        self._send(302, b"", {**headers, "Location": link, "ETag": f'"{file.oid}"'})

    def _content(self, path: str) -> None:
        sha256 = path.rpartition("/")[2]
        for repo in list(self.hub.repos.values()):
            for file in repo.files.values():
                if file.large and file.sha256 == sha256:
                    self._serve(file, {"Accept-Ranges": "bytes"})
                    return
        self._refuse(404, "", "no such file")

    def _serve(self, file: Stored, headers: Headers) -> None:
        """Sends the file or the range of it that was asked for."""
        fault, data = self.fault, file.data
        data = data[: len(data) - fault.short]
        etag = fault.etag or file.etag
        first, last, partial = self._range(len(data), etag)
        if first >= len(data) and partial:
            self._send(416, b"", {"Content-Range": f"bytes */{len(data)}"})
            return
        if partial:
            first = min(first + fault.shift, last)
            headers |= {"Content-Range": f"bytes {first}-{last}/{len(data)}"}
        if not fault.no_etag:
            headers |= {"ETag": etag}
        self.asked.status, self.asked.first = (206 if partial else 200), first
        self.send_response(self.asked.status)
        headers |= {"Content-Type": "application/octet-stream", "Content-Length": str(last + 1 - first)}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()
        if self.command != "HEAD":
            self._send_bytes(data, first, last + 1)

    def _range(self, size: int, etag: str) -> tuple[int, int, bool]:
        """Returns the first and the last byte, and whether it is a range: If-Range with another tag gets it all."""
        asked = self.asked.range.removeprefix("bytes=")
        stale = self.asked.if_range not in ("", etag) and not self.fault.keep_range
        if not asked or self.fault.ignore_range or stale:
            return 0, size - 1, False
        begin, _, end = asked.partition("-")
        return int(begin), min(int(end) if end else size - 1, size - 1), True

    def _send_bytes(self, data: bytes, first: int, end: int) -> None:
        fault, faults = self.fault, self.hub.faults
        here = first
        while here < end:
            if fault.stall is not None and here - first >= fault.stall:
                self._wait_for_the_end()
                return
            if fault.cut is not None and here - first >= fault.cut:
                self.close_connection = True
                return
            if (pace := faults.pace) is not None:  # a test may end it meanwhile
                pace(self.asked)
            step = min(faults.piece, end - here, *(_left(limit, here - first) for limit in (fault.cut, fault.stall)))
            if fault.throttle:
                step = min(step, max(1, fault.throttle // 50))
                self.hub.closing.wait(step / fault.throttle)
            piece = bytearray(data[here : here + step])
            if fault.wrong_at is not None and here <= fault.wrong_at < here + step:
                piece[fault.wrong_at - here] ^= 0xFF
            self.wfile.write(piece)
            here += step
            self.asked.sent += step

    def _wait_for_the_end(self) -> None:
        """Says nothing more, until the client goes or the hub closes."""
        self.wfile.flush()
        self.connection.settimeout(0.02)
        while not self.hub.closing.is_set():
            try:
                if not self.connection.recv(1):
                    break
            except TimeoutError:
                time.sleep(0)
        self.close_connection = True


def _left(limit: int | None, sent: int) -> int:
    return 1 << 60 if limit is None else limit - sent
