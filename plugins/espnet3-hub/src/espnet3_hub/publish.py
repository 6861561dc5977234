"""``hub/model`` and ``hub/space``: a folder becomes one commit, or none."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from espnet3_core.errors import UserError

from espnet3_hub.config import HubConfig

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_log = logging.getLogger(__name__)
_KEPT = {".gitattributes"}
"""Files that the Hub itself puts there; the client does not delete them either."""


class HubPublisher:
    """Sends a folder to a repository.

    Large files go first, and come to nothing until a single commit names them: what breaks off leaves the
    branch as it was, and the next attempt does not send again what arrived.

    Args:
        config: The repository.
    """

    kind: ClassVar[str]

    def __init__(self, config: HubConfig) -> None:
        if config.repo.count("/") != 1:
            raise UserError(f"repo: {config.repo!r} is not ORG/NAME, as in my-name/digits")
        self.config = config
        self.name = f"hf://{'spaces/' if self.kind == 'space' else ''}{config.repo}"

    def publish(self, bundle: Path, *, dry_run: bool = False) -> str:
        """Send what is new.

        Args:
            bundle: The folder.
            dry_run: Log what belongs to the commit, with sizes, without asking the Hub anything.

        Returns:
            The address.

        Raises:
            UserError: Nobody is logged in, the Hub refuses, or it cannot be reached.
        """
        files = _files(bundle)
        space_sdk = self._sdk(bundle)
        if dry_run:
            for name, path in files.items():
                _log.info("would send %s (%d bytes)", name, path.stat().st_size)
            total = sum(path.stat().st_size for path in files.values())
            _log.info("%d files, %d bytes, to %s", len(files), total, self.name)
            return self._address(self.config.revision)

        from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

        from espnet3_hub.messages import hub_errors, require_token

        with hub_errors(self.name):
            require_token(self.name)
            api = HfApi(library_name="espnet3")
            head = self._head(api, space_sdk)
            removed = self._superfluous(api, files, head)
            done = api.create_commit(
                self.config.repo,
                [
                    *(CommitOperationDelete(name, is_folder=False) for name in removed),
                    *(CommitOperationAdd(name, path) for name, path in files.items()),
                ],
                commit_message=self.config.message,
                repo_type=self.kind,
                revision=self.config.revision,
                parent_commit=head,
            )
        if done.oid != head:
            _log.info("commit %s", done.commit_url)
        return self._address(done.oid)

    def _head(self, api: HfApi, space_sdk: str | None) -> str:
        """The commit that the branch stands at; repository and branch are made where they are missing."""
        repo, branch = self.config.repo, self.config.revision
        api.create_repo(
            repo, repo_type=self.kind, private=self.config.private, space_sdk=space_sdk, exist_ok=True
        )
        found = api.repo_info(repo, repo_type=self.kind)
        if self.config.private and not found.private:
            raise UserError(
                f"{self.name} is public, and what is sent is meant to be private",
                hint="set `private: false`, choose another repository, or make this one private on its page",
            )
        if found.private and not self.config.private:
            _log.warning("%s is private and remains so: its page has the switch", self.name)
        if branch != "main":
            api.create_branch(repo, branch=branch, repo_type=self.kind, exist_ok=True)
            found = api.repo_info(repo, repo_type=self.kind, revision=branch)
        return str(found.sha)

    def _superfluous(self, api: HfApi, files: Mapping[str, Path], head: str) -> list[str]:
        """Files of the branch that are not sent, if they are to be deleted."""
        if not self.config.delete:
            return []
        from huggingface_hub import RepoFile

        tree = api.list_repo_tree(self.config.repo, recursive=True, revision=head, repo_type=self.kind)
        names = sorted(
            entry.path
            for entry in tree
            if isinstance(entry, RepoFile) and entry.path not in _KEPT | files.keys()
        )
        for name in names:
            _log.info("deleting %s of %s", name, self.name)
        return names

    def _sdk(self, folder: Path) -> str | None:
        return None

    def _address(self, revision: str) -> str:
        return f"{self.name}@{revision}"


class ModelPublisher(HubPublisher):
    """``hub/model``: bundles; the address is one that :func:`espnet3_core.load` takes."""

    kind = "model"


class SpacePublisher(HubPublisher):
    """``hub/space``: a folder whose ``README.md`` says which kit its page is made with."""

    kind = "space"

    def _sdk(self, folder: Path) -> str | None:
        from huggingface_hub.repocard import metadata_load

        card = folder / "README.md"
        sdk = (metadata_load(card) or {}).get("sdk") if card.is_file() else None
        if not isinstance(sdk, str):
            raise UserError(
                f"{card}: its head names no `sdk`, so that this is not a Space",
                hint="the stage pack_demo writes such a folder",
            )
        return sdk

    def _address(self, revision: str) -> str:
        from huggingface_hub import constants

        return f"{constants.ENDPOINT}/spaces/{self.config.repo}"


def _files(folder: Path) -> dict[str, Path]:
    """The files below a folder by name, sorted.

    Raises:
        UserError: There are none, or links among them, which could lead anywhere.
    """
    paths = sorted(folder.rglob("*"))
    if links := [path for path in paths if path.is_symlink()]:
        raise UserError(
            f"{links[0]}: it is a link, and only files are published", hint="put the file itself in its place"
        )
    if not any(path.is_file() for path in paths):
        raise UserError(f"{folder}: there is nothing to publish", hint="espnet3 pack RECIPE makes bundles")
    return {path.relative_to(folder).as_posix(): path for path in paths if path.is_file()}
