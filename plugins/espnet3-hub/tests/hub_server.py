"""A Hub on this machine: the endpoints that ``huggingface_hub`` calls to publish and to download, over HTTP.

It keeps what it is sent in memory, and judges it: tokens, visibility, hashes of large files, heads of cards.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from huggingface_hub import ModelCard

WRITER, READER, STRANGER = "hf_WriterToken0000", "hf_ReaderToken0000", "hf_StrangerToken00"
LICENCES = {"apache-2.0", "mit", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "other"}
LARGE = re.compile(r".*\.(safetensors|wav|flac)")
Files = dict[str, tuple[bytes, bool]]
"""Contents by path, and whether it is stored as a large file."""


@dataclass
class Repo:
    """One repository: commits are whole trees."""

    private: bool
    commits: dict[str, Files] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def commit(self, branch: str, files: Files, message: str) -> str:
        said = repr((sorted(files.items()), self.branches.get(branch), message)).encode()
        sha = hashlib.sha1(said).hexdigest()
        self.commits[sha], self.messages[sha], self.branches[branch] = files, message, sha
        return sha

    def resolve(self, revision: str) -> str | None:
        named = self.branches.get(revision) or self.tags.get(revision) or revision
        return named if named in self.commits else None

    def files(self, revision: str = "main") -> dict[str, bytes]:
        """Contents by path."""
        return {name: content for name, (content, _) in self.commits[self.branches[revision]].items()}


class Hub(ThreadingHTTPServer):
    """The server, with what it holds and what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.storage = f"http://localhost:{self.server_port}"
        """Where large files are: another host, whose addresses are signed."""
        self.repos: dict[tuple[str, str], Repo] = {}
        self.large: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []
        self.received = 0
        """Bytes of files that arrived."""
        self.before_commit: Callable[[], Any] = lambda: None
        self.hold = ""
        """A request whose line holds this text is answered half, or read half, and then waits."""
        self.xet: Path | None = None
        """Store of large files by Xet: a folder that clients with hf_xet write to and read by themselves."""
        self.xet_files: dict[str, tuple[str, bytes]] = {}
        """What that store may hold: hash of Xet and contents, by SHA-256."""
        self.held = threading.Event()
        self.gone = False

    def go(self) -> None:
        """Be reached no more, by connections that are open neither."""
        self.gone = True
        self.shutdown()
        self.server_close()

    def asked(self, pattern: str) -> list[str]:
        """The requests of a kind."""
        return [line for line in map(" ".join, self.requests) if re.search(pattern, line)]


@contextmanager
def running() -> Iterator[Hub]:
    """A Hub in a thread."""
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        if not server.gone:
            server.go()
        thread.join()


class Refusal(Exception):
    """An answer that is not 200."""

    def __init__(self, status: int, message: str, code: str = "", **body: Any) -> None:
        self.status, self.message, self.code, self.body = status, message, code, body


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Requests by method and path."""

    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *_: Any) -> None:
        pass

    def handle_any(self) -> None:
        if self.server.gone:
            self.close_connection = True
            return
        self.url = urlsplit(self.path)
        self.server.requests.append((self.command, unquote(self.url.path)))
        try:
            self.body = self.read_body()
            for method, pattern, action in ROUTES:
                if method == self.command and (match := re.fullmatch(pattern, self.url.path)):
                    action(self, **{key: unquote(text or "") for key, text in match.groupdict().items()})
                    return
            raise Refusal(404, f"no such endpoint: {self.command} {self.path}")
        except Refusal as refusal:
            error = {"error": refusal.message, **refusal.body}
            codes = {"X-Error-Code": refusal.code} if refusal.code else {}
            self.answer(error, refusal.status, **codes, **{"X-Error-Message": refusal.message})
        except (ConnectionError, BrokenPipeError):
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_HEAD = handle_any

    def read_body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        size = int(self.headers.get("Content-Length", 0))
        if self.server.hold and self.server.hold in f"{self.command} {self.path}":
            self.rfile.read(size // 2)
            self.server.held.set()
            if len(rest := self.rfile.read(size - size // 2)) < size - size // 2:
                raise ConnectionError("the client went away")
            return rest
        return self.rfile.read(size)

    def answer(self, content: Any, status: int = 200, **headers: str) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    # Who asks

    def who(self) -> str | None:
        given = self.headers.get("Authorization", "").removeprefix("Bearer ") or None
        if given not in (WRITER, READER, STRANGER, None):
            raise Refusal(401, "Invalid credentials in Authorization header")
        return given

    def may_write(self) -> None:
        if (who := self.who()) is None:
            raise Refusal(401, "Invalid username or password.")
        if who != WRITER:
            raise Refusal(403, "Forbidden: you don't have the required permissions")

    def no_token(self) -> None:
        if self.headers.get("Authorization"):
            raise Refusal(400, "the storage must not see tokens")

    def repo(self, kind: str, repo: str) -> Repo:
        who, found = self.who(), self.server.repos.get((kind, repo))
        if found is None or (found.private and who not in (WRITER, READER)):
            raise Refusal(401 if who is None else 404, "Repository not found", "RepoNotFound")
        return found

    def tree(self, kind: str, repo: str, revision: str) -> tuple[Repo, str, Files]:
        found = self.repo(kind, repo)
        if (sha := found.resolve(revision)) is None:
            raise Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return found, sha, found.commits[sha]

    # Repositories

    def create(self) -> None:
        self.may_write()
        wanted = json.loads(self.body)
        kind, name = wanted.get("type", "model"), f"{wanted['organization']}/{wanted['name']}"
        url = f"{self.server.url}/{'spaces/' if kind == 'space' else ''}{name}"
        if (kind, name) in self.server.repos:
            raise Refusal(409, "You already created this repo", url=url)
        if kind == "space" and wanted["sdk"] not in ("gradio", "docker", "static"):
            raise Refusal(400, "unknown sdk")
        repo = self.server.repos[kind, name] = Repo(wanted.get("visibility") == "private")
        repo.commit("main", {".gitattributes": (b"*.safetensors filter=lfs\n", False)}, "initial commit")
        self.answer({"url": url, "name": name})

    def info(self, kind: str, repo: str, revision: str) -> None:
        found, sha, files = self.tree(kind, repo, revision or "main")
        siblings = [{"rfilename": name} for name in files]
        self.answer({"id": repo, "sha": sha, "private": found.private, "tags": [], "siblings": siblings})

    def refs(self, kind: str, repo: str) -> None:
        found = self.repo(kind, repo)

        def entries(names: dict[str, str], where: str) -> list[dict[str, str]]:
            return [{"name": n, "ref": f"refs/{where}/{n}", "targetCommit": sha} for n, sha in names.items()]

        tags = entries(found.tags, "tags")
        self.answer({"branches": entries(found.branches, "heads"), "tags": tags, "converts": []})

    def xet_token(self, kind: str, repo: str, right: str, revision: str) -> None:
        self.repo(kind, repo)
        if self.server.xet is None:
            raise Refusal(403, "there is no such store")
        if right == "write":
            self.may_write()
        place, ends = f"local://{self.server.xet}", int(time.time()) + 3600
        self.answer(
            {"casUrl": place, "accessToken": "xet", "exp": ends},
            X_Xet_Cas_Url=place,
            X_Xet_Access_Token="xet",
            X_Xet_Token_Expiration=str(ends),
        )

    def branch(self, kind: str, repo: str, branch: str) -> None:
        self.may_write()
        found = self.repo(kind, repo)
        if branch in found.branches:
            raise Refusal(409, "Reference already exists")
        found.branches[branch] = found.branches["main"]
        self.answer({})

    def list_tree(self, kind: str, repo: str, revision: str) -> None:
        self.answer([entry(name, *what) for name, what in self.tree(kind, repo, revision)[2].items()])

    def paths_info(self, kind: str, repo: str, revision: str) -> None:
        files = self.tree(kind, repo, revision)[2]
        wanted = parse_qs(self.body.decode())["paths"]
        self.answer([entry(name, *files[name]) for name in wanted if name in files])

    # Sending

    def validate_yaml(self) -> None:
        """The Hub's own rules, as far as they are known: licence, and the form of the scores."""
        wanted = json.loads(self.body)
        try:
            data = ModelCard(wanted["content"], ignore_metadata_errors=False).data
        except Exception as error:
            raise Refusal(400, str(error), errors=[{"message": str(error)}], warnings=[]) from None
        problems = []
        if data.license is not None and data.license not in LICENCES:
            problems.append({"message": f'"license" must be one of [{", ".join(sorted(LICENCES))}]'})
        if problems:
            raise Refusal(400, "invalid metadata", errors=problems, warnings=[])
        self.answer({"errors": [], "warnings": []})

    def preupload(self, kind: str, repo: str, revision: str) -> None:
        self.may_write()
        files = self.tree(kind, repo, revision)[2]
        answers = []
        for wanted in json.loads(self.body)["files"]:
            name = wanted["path"]
            large = bool(LARGE.fullmatch(name))
            oid = None
            if name in files:
                content = files[name][0]
                oid = hashlib.sha256(content).hexdigest() if large else git_hash(content)
            mode = "lfs" if large else "regular"
            answers.append({"path": name, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self.answer({"files": answers})

    def large_batch(self, repo: str) -> None:
        self.may_write()
        objects = []
        for wanted in json.loads(self.body)["objects"]:
            oid = wanted["oid"]
            entry = {"oid": oid, "size": wanted["size"]}
            if oid not in self.server.large:
                put = f"{self.server.storage}/storage/{oid}?X-Amz-Signature=signed-address"
                verify = f"{self.server.url}/verify/{oid}"
                entry["actions"] = {"upload": {"href": put}, "verify": {"href": verify}}
            objects.append(entry)
        self.answer({"transfer": "basic", "objects": objects})

    def store(self, oid: str) -> None:
        self.no_token()
        if hashlib.sha256(self.body).hexdigest() != oid:
            raise Refusal(400, "other bytes than announced")
        self.server.received += len(self.body)
        self.server.large[oid] = self.body
        self.answer({})

    def verify(self, oid: str) -> None:
        self.may_write()
        if len(self.server.large.get(oid, b"")) != json.loads(self.body)["size"]:
            raise Refusal(404, "not there")
        self.answer({})

    def commit(self, kind: str, repo: str, revision: str) -> None:
        self.may_write()
        self.server.before_commit()
        found, sha, files = self.tree(kind, repo, revision)
        header, *operations = [json.loads(line) for line in self.body.splitlines()]
        if header["value"].get("parentCommit") not in (None, sha):
            raise Refusal(412, "The branch has moved since")
        files = dict(files)
        for operation in operations:
            value = operation["value"]
            if operation["key"] == "file":
                content = base64.b64decode(value["content"])
                self.server.received += len(content)
                files[value["path"]] = (content, False)
            elif operation["key"] == "lfsFile":
                if self.server.xet:
                    self.server.large[value["oid"]] = self.server.xet_files[value["oid"]][1]
                if value["oid"] not in self.server.large:
                    raise Refusal(400, f"{value['path']} was not uploaded")
                files[value["path"]] = (self.server.large[value["oid"]], True)
            else:
                del files[value["path"]]
        new = found.commit(revision, files, header["value"]["summary"])
        self.answer(
            {"commitUrl": f"{self.server.url}/{repo}/commit/{new}", "commitOid": new, "success": True}
        )

    # Fetching

    def resolve(self, repo: str, revision: str, name: str) -> None:
        _, sha, files = self.tree("model", repo, revision)
        if name not in files:
            raise Refusal(404, "Entry not found", "EntryNotFound")
        content, large = files[name]
        about = {"X_Repo_Commit": sha, "ETag": f'"{git_hash(content)}"'}
        if not large:
            self.answer(content, **about)
            return
        oid = hashlib.sha256(content).hexdigest()
        self.server.large[oid] = content
        linked = {"X_Linked_Etag": f'"{oid}"', "X_Linked_Size": str(len(content))}
        if self.server.xet:
            linked["X_Xet_Hash"] = self.server.xet_files[oid][0]
            linked["X_Xet_Refresh_Route"] = f"{self.server.url}/api/models/{repo}/xet-read-token/{sha}"
        place = f"{self.server.storage}/cdn/{oid}?X-Amz-Signature=signed-address"
        self.answer(b"", 302, **about, **linked, Location=place)

    def content(self, oid: str) -> None:
        self.no_token()
        content = self.server.large[oid]
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        part = content[int(wanted[1]) :] if wanted else content
        if self.server.hold and self.server.hold in f"{self.command} {self.path}":
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            self.server.held.set()
            self.rfile.read(1)  # until the client is gone
            return
        if wanted:
            span = f"bytes {wanted[1]}-{len(content) - 1}/{len(content)}"
            self.answer(part, 206, Content_Range=span)
        else:
            self.answer(part)


def entry(name: str, content: bytes, large: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "file", "path": name, "size": len(content), "oid": git_hash(content)
    }  # fmt: skip
    if large:
        oid = hashlib.sha256(content).hexdigest()
        found["lfs"] = {"oid": oid, "size": len(content), "pointerSize": 130}
    return found


_REPO = r"/api/(?P<kind>model|space)s/(?P<repo>[^/]+/[^/]+)"
ROUTES = (
    ("POST", r"/api/repos/create", Handler.create),
    ("POST", r"/api/validate-yaml", Handler.validate_yaml),
    ("GET", rf"{_REPO}(?:/revision/(?P<revision>[^/]+))?", Handler.info),
    ("GET", rf"{_REPO}/refs", Handler.refs),
    ("GET", rf"{_REPO}/xet-(?P<right>read|write)-token/(?P<revision>[^/]+)", Handler.xet_token),
    ("POST", rf"{_REPO}/branch/(?P<branch>[^/]+)", Handler.branch),
    ("GET", rf"{_REPO}/tree/(?P<revision>[^/]+)", Handler.list_tree),
    ("POST", rf"{_REPO}/paths-info/(?P<revision>[^/]+)", Handler.paths_info),
    ("POST", rf"{_REPO}/preupload/(?P<revision>[^/]+)", Handler.preupload),
    ("POST", rf"{_REPO}/commit/(?P<revision>[^/]+)", Handler.commit),
    ("POST", r"/(?:spaces/)?(?P<repo>[^/]+/[^/]+)\.git/info/lfs/objects/batch", Handler.large_batch),
    ("PUT", r"/storage/(?P<oid>\w+)", Handler.store),
    ("POST", r"/verify/(?P<oid>\w+)", Handler.verify),
    *(
        (method, r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<name>.+)", Handler.resolve)
        for method in ("HEAD", "GET")
    ),
    ("GET", r"/cdn/(?P<oid>\w+)", Handler.content),
)
