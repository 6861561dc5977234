"""Where a bundle comes from: a folder, an archive, an address; the cache makes a folder of each."""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from espnet3_core.bundle.archive import open_archive
from espnet3_core.bundle.check import allowed, check_bundle, check_listed
from espnet3_core.bundle.limits import DEFAULT_LIMITS, Limits
from espnet3_core.bundle.manifest import MANIFEST, parse_manifest
from espnet3_core.data.lengths import cache_directory
from espnet3_core.data.lock import file_lock
from espnet3_core.errors import UserError
from espnet3_core.files import disk_errors, make_directory, sha256_file, sync_directory

_log = logging.getLogger(__name__)


def local_bundle(source: str, limits: Limits = DEFAULT_LIMITS) -> Path:
    """The folder of a bundle; archives are unpacked, and addresses fetched, into the cache, once.

    Args:
        source: A path, ``https://…#sha256=…``, or an address of a plugin.
        limits: How large it may be.

    Raises:
        UserError: There is nothing, it is refused, or an address does not say which bytes are meant.
    """
    if "://" in source:
        return fetch(source, limits)
    path = Path(source).expanduser()
    if path.is_file():
        return _unpacked(path, sha256_file(path), limits)
    return path


def fetch(source: str, limits: Limits = DEFAULT_LIMITS) -> Path:
    """Bring a bundle from an address into the cache, unless it is there; needs no network then.

    Raises:
        UserError: It cannot be had, or is refused.
    """
    if re.match(r"https?://", source):
        return _fetch_archive(source, limits)
    folder = _cache() / _slug(source)

    def download(directory: Path) -> None:
        from espnet3_core.catalog import current_catalog

        current_catalog().fetch_bundle(source, directory)
        try:
            check_bundle(directory, limits)
        except UserError:
            shutil.rmtree(directory, ignore_errors=True)
            raise

    return _filled(folder, download)


def _fetch_archive(source: str, limits: Limits) -> Path:
    from espnet3_core.data.download import download

    url, _, fragment = source.partition("#")
    match = re.fullmatch(r"sha256=([0-9a-f]{64})", fragment)
    if match is None:
        raise UserError(
            f"{source}: which bytes are meant is not said",
            hint="end the address with #sha256=…, the sum that its publisher names (sha256sum FILE)",
        )
    digest = match[1]
    folder = _cache() / digest
    if folder.is_dir():
        return folder
    archive = _cache() / f"{digest}.archive"
    download(url, archive, sha256=digest)
    try:
        return _unpacked(archive, digest, limits)
    finally:
        archive.unlink(missing_ok=True)


def _unpacked(archive: Path, digest: str, limits: Limits) -> Path:
    """The folder that an archive was unpacked into; several processes may do so at once."""
    folder = _cache() / digest
    if folder.is_dir():
        return folder
    listed = open_archive(archive, limits)
    if MANIFEST not in listed.sizes:
        raise UserError(
            f"{archive}: it is not a bundle: it has no {MANIFEST}",
            hint="`espnet3 pack RECIPE` writes bundles",
        )
    manifest = parse_manifest(listed.read(MANIFEST), archive, limits)
    check_listed(archive, manifest, listed.sizes)
    make_directory(folder.parent)
    with disk_errors(folder):
        part = Path(tempfile.mkdtemp(prefix=f".{digest[:16]}.", dir=folder.parent))
    try:
        listed.unpack(part, manifest.files, allowed(manifest) - manifest.files.keys())
        _settle(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def _filled(folder: Path, fill: Callable[[Path], None]) -> Path:
    """A folder that is filled under another name, where an attempt that broke off is gone on with."""
    if folder.is_dir():
        return folder
    with file_lock(folder.with_name(f".{folder.name}.lock")):
        part = make_directory(folder.with_name(f"{folder.name}.part"))
        fill(part)
        _settle(part, folder)
    return folder


def _settle(part: Path, folder: Path) -> None:
    """Give a whole folder its name, unless another process was faster."""
    with disk_errors(folder):
        try:
            part.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    sync_directory(folder.parent)
    _log.info("the bundle is kept in %s", folder)


def _cache() -> Path:
    return cache_directory() / "bundles"


def _slug(source: str) -> str:
    """A readable name for the folder of an address, with a digest of it so that no two share one."""
    parts = urlsplit(source)
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{parts.netloc}{parts.path}").strip("-.")[:80]
    return f"{readable}-{hashlib.sha256(source.encode()).hexdigest()[:16]}"
