"""Logs: lines on stderr, one file per stage that starts with where it came from, secrets left out."""

from __future__ import annotations

import logging
import os
import platform
import re
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3_core.files import disk_errors, make_directory

if TYPE_CHECKING:
    from espnet3_core.catalog import Catalog

LOGGER = "espnet3"
_SECRET = re.compile(r"key|token|secret|passw|credential|auth|cookie", re.IGNORECASE)
_NOT_SECRET = re.compile(r"tokenizer|tokens\b|max_token|sort_key|key_", re.IGNORECASE)
_ENVIRONMENT = re.compile(
    r"(SLURM|PBS|LSB|SGE|OMPI|PMI|NCCL|CUDA|ROCM|HIP|OMP|MKL|OPENBLAS|NVIDIA|UCX|GLOO|TORCH|ESPNET3)_"
    r"|(RANK|LOCAL_RANK|WORLD_SIZE|MASTER_ADDR|MASTER_PORT|NODE_RANK|CONDA_DEFAULT_ENV|VIRTUAL_ENV)$"
)
_LIBRARIES = ("torch", "lightning", "numpy", "hydra-core", "pydantic")
HIDDEN = "<hidden>"


def is_secret(name: str) -> bool:
    """Whether a variable or key of this name holds something that no log may show."""
    return bool(_SECRET.search(_NOT_SECRET.sub("", name)))


def hide_secrets(words: Iterable[str]) -> list[str]:
    """Command-line words with the values of secrets and passwords in addresses taken out."""
    shown: list[str] = []
    for word in words:
        name, equals, _ = word.partition("=")
        if equals and is_secret(name):
            shown.append(f"{name}={HIDDEN}")
        else:
            shown.append(re.sub(r"(\w+://)[^/@\s]+@", rf"\1{HIDDEN}@", word))
    return shown


def environment() -> dict[str, str]:
    """Variables that bear on a run (cluster, CUDA, threads), secrets left out."""
    return {
        name: HIDDEN if is_secret(name) else value
        for name, value in sorted(os.environ.items())
        if _ENVIRONMENT.match(name)
    }


def versions(catalog: Catalog) -> dict[str, str]:
    """Versions of Python, of core and each plugin, and of the libraries that results depend on."""
    from espnet3_core.discovery import distribution_version

    found = {"python": platform.python_version()}
    for plugin in catalog.manager.plugins:
        if plugin.entry.module:
            found[plugin.entry.distribution] = plugin.entry.version
    for name in ("espnet3-core", *_LIBRARIES):
        if name not in found and (version := distribution_version(name)):
            found[name] = version
    return found


def git_state(directory: Path) -> dict[str, Any]:
    """Commit, branch and whether tracked files were changed; empty outside a repository."""
    command = ["git", "-C", str(directory), "status", "--porcelain=v2", "--branch", "--untracked-files=no"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return {}
    lines = done.stdout.splitlines()
    heads = dict(
        line.removeprefix("# branch.").split(" ", 1) for line in lines if line.startswith("# branch.")
    )
    return {
        "commit": heads.get("oid", ""),
        "branch": heads.get("head", ""),
        "changed": any(not line.startswith("#") for line in lines),
    }


def header(command: Sequence[str], facts: Mapping[str, Any]) -> str:
    """First lines of a stage's log: everything that tells later how it was made."""
    rows = {
        "command": " ".join(command),
        "host": socket.gethostname(),
        "system": platform.platform(),
        "python": sys.executable,
        "directory": os.getcwd(),
        **facts,
        "environment": environment(),
    }
    lines: list[str] = []
    for key, value in rows.items():
        if isinstance(value, Mapping):
            lines.append(f"{key}:")
            lines.extend(f"  {name}: {item}" for name, item in value.items())
        else:
            lines.append(f"{key}: {value}")
    return "\n".join(lines)


class _Console(logging.StreamHandler[Any]):
    """Lines on whatever stderr is now, above a progress bar when one is shown."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        from espnet3_core.recipe.progress import print_above

        text = self.format(record)
        if record.levelno >= logging.WARNING:
            text = f"{record.levelname.lower()}: {text}"
        if not print_above(text):
            print(text, file=sys.stderr, flush=True)


@contextmanager
def console(level: int = logging.INFO) -> Iterator[logging.Logger]:
    """Show what core logs on stderr, within a block; warnings of other libraries, too."""
    logger = logging.getLogger(LOGGER)
    if any(isinstance(handler, _Console) for handler in logging.getLogger().handlers):
        yield logger
        return
    root, handler = logging.getLogger(), _Console()
    handler.addFilter(lambda record: record.name.startswith(LOGGER) or record.levelno >= logging.WARNING)
    handler.setLevel(level)
    former = root.level, logger.level
    root.addHandler(handler)
    root.setLevel(min(root.level, logging.INFO))
    logger.setLevel(min(level, logging.INFO))
    logging.captureWarnings(True)
    try:
        yield logger
    finally:
        logging.captureWarnings(False)
        root.removeHandler(handler)
        root.setLevel(former[0])
        logger.setLevel(former[1])


class _LogFile(logging.FileHandler):
    """A stage's log file. On a full disk it stays behind: what stops the run says why."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)

    def close(self) -> None:
        with suppress(OSError):  # what is in the buffer is lost
            super().close()


@contextmanager
def log_file(path: Path | None, head: str) -> Iterator[None]:
    """Write all that is logged in a block to the end of a file, below a header; None writes nothing."""
    if path is None:
        yield
        return
    make_directory(path.parent)
    with disk_errors(path), path.open("a", encoding="utf-8") as stream:
        stream.write(f"{'=' * 20}\n{head}\n{'=' * 20}\n")
    handler = _LogFile(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
