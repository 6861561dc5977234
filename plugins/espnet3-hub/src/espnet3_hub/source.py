"""Bundles at ``hf://ORG/NAME@REVISION``."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from espnet3_core.bundle.check import check_listed
from espnet3_core.bundle.limits import DEFAULT_LIMITS
from espnet3_core.bundle.manifest import MANIFEST, read_manifest
from espnet3_core.errors import UserError

from espnet3_hub.messages import hub_errors

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_ADDRESS = re.compile(r"hf://(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[^\s@]+))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def fetch(uri: str, directory: Path) -> None:
    """Download a bundle; files that an earlier attempt brought are not asked for again.

    Only what the manifest lists is taken: a repository may hold more.

    Args:
        uri: ``hf://ORG/NAME@REVISION``, where the revision is a commit or a tag.
        directory: An existing folder.

    Raises:
        UserError: The address names no fixed revision, there is no bundle, or it cannot be had.
    """
    match = _ADDRESS.fullmatch(uri)
    if match is None:
        raise UserError(f"{uri}: is not an address of the Hub", hint="hf://ORG/NAME@REVISION")
    from huggingface_hub import HfApi

    with hub_errors(uri):
        api, repo = HfApi(library_name="espnet3"), match["repo"]
        commit = _pinned(api, repo, match["revision"])
        manifest_size = _sizes(api, repo, commit, [MANIFEST]).get(MANIFEST)
        if manifest_size is None or manifest_size > DEFAULT_LIMITS.json_bytes:
            raise UserError(
                f"{uri}: it is not a bundle: it has no {MANIFEST} of reasonable size",
                hint="`espnet3 pack RECIPE` writes bundles, and the publisher hub/model uploads them",
            )
        api.hf_hub_download(repo, MANIFEST, revision=commit, local_dir=directory)
        manifest = read_manifest(directory)
        check_listed(uri, manifest, _sizes(api, repo, commit, [*manifest.files]))
        for name in manifest.files:
            api.hf_hub_download(repo, name, revision=commit, local_dir=directory)
    shutil.rmtree(directory / ".cache", ignore_errors=True)


def _pinned(api: HfApi, repo: str, revision: str | None) -> str:
    """The commit of a revision whose contents stay."""
    if revision is not None and _COMMIT.fullmatch(revision):
        return revision
    commit = str(api.repo_info(repo, revision=revision).sha)
    branches = {branch.name for branch in api.list_repo_refs(repo).branches}
    if revision is None or revision in branches or revision.startswith("refs/"):
        named = "without a revision" if revision is None else f"{revision} is a branch"
        raise UserError(
            f"hf://{repo}: {named}, and its contents may change",
            hint=f"now it is hf://{repo}@{commit}",
        )
    return commit


def _sizes(api: HfApi, repo: str, commit: str, names: list[str]) -> dict[str, int]:
    from huggingface_hub import RepoFile

    found = api.get_paths_info(repo, names, revision=commit)
    return {entry.path: entry.size for entry in found if isinstance(entry, RepoFile)}
