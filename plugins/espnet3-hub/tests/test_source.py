"""``hf://`` addresses: what comes from a Hub is what was published, once, and whole."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from espnet3_core.bundle.manifest import read_manifest
from espnet3_core.bundle.source import fetch, local_bundle
from espnet3_core.errors import UserError
from espnet3_hub.config import HubConfig
from espnet3_hub.publish import ModelPublisher
from hub_bundles import MODEL, contents, pack
from hub_server import Hub

FETCH = """
import sys
from espnet3_core.bundle.source import fetch
print(fetch(sys.argv[1]))
"""


@pytest.fixture
def address(hub: Hub, bundle: Path) -> str:
    """Of the bundle, published."""
    return ModelPublisher(HubConfig(repo="acme/digits")).publish(bundle)


def test_what_comes_back_has_the_same_bytes(hub: Hub, address: str, bundle: Path) -> None:
    folder = local_bundle(address)
    assert contents(folder) == contents(bundle)
    assert read_manifest(folder) == read_manifest(bundle)


def test_once_fetched_no_network_is_needed(
    hub: Hub, address: str, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fetch(address)
    hub.go()
    assert fetch(address) == folder
    assert contents(folder) == contents(bundle)
    with pytest.raises(UserError, match="the Hub cannot be reached"):
        fetch("hf://acme/digits@other")


def test_a_tag_is_a_revision_and_a_later_commit_does_not_matter(hub: Hub, address: str, bundle: Path) -> None:
    repo = hub.repos[MODEL]
    repo.tags["v1"] = repo.branches["main"]
    ModelPublisher(HubConfig(repo="acme/digits")).publish(pack(bundle.with_name("later"), seed=1))
    assert contents(fetch("hf://acme/digits@v1")) == contents(bundle)
    assert contents(fetch(address)) == contents(bundle)


@pytest.mark.parametrize(("revision", "said"), [("", "without a revision"), ("@main", "main is a branch")])
def test_a_revision_whose_contents_may_change_is_refused(
    hub: Hub, address: str, revision: str, said: str
) -> None:
    with pytest.raises(UserError, match=said) as caught:
        fetch(f"hf://acme/digits{revision}")
    assert caught.value.hint == f"now it is {address}"


def test_files_beside_the_bundle_stay_where_they_are(hub: Hub, address: str, bundle: Path) -> None:
    repo = hub.repos[MODEL]
    more = {**repo.commits[repo.branches["main"]], "notes.txt": (b"mine", False), "x.bin": (b"\x80", True)}
    sha = repo.commit("main", more, "by hand")
    assert contents(fetch(f"hf://acme/digits@{sha}")) == contents(bundle)


def test_a_fetch_that_was_killed_goes_on(
    hub: Hub, address: str, bundle: Path, tmp_path: Path, start: Callable[..., Any]
) -> None:
    hub.hold = "GET /cdn/"
    process = start(FETCH, address)
    assert hub.held.wait(60)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    (part,) = [path for path in (tmp_path / "cache/bundles").iterdir() if path.is_dir()]
    assert part.suffix == ".part"
    hub.hold, hub.requests = "", []
    assert contents(fetch(address)) == contents(bundle)
    assert not hub.asked("GET .*/manifest.json"), "what had arrived was fetched again"


@pytest.mark.parametrize("change", [b"same length, other bytes", b"longer"])
def test_files_that_are_not_those_of_the_manifest_are_refused(
    hub: Hub, address: str, tmp_path: Path, change: bytes
) -> None:
    repo = hub.repos[MODEL]
    files = dict(repo.commits[repo.branches["main"]])
    weights = files["model.safetensors"][0]
    other = change + (weights[len(change) :] if change.startswith(b"same") else weights)
    files["model.safetensors"] = (other, True)
    sha = repo.commit("main", files, "by hand")
    hub.requests = []
    said = "another SHA-256" if change.startswith(b"same") else "are expected"
    with pytest.raises(UserError, match=said):
        fetch(f"hf://acme/digits@{sha}")
    assert bool(hub.asked("GET /cdn")) is change.startswith(b"same")
    left = [path for path in (tmp_path / "cache/bundles").iterdir() if path.is_dir()]
    assert {path.suffix for path in left} <= {".part"}


def test_a_private_bundle_needs_a_token(hub: Hub, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "")
    with pytest.raises(UserError, match="there is no such repository, or you may not see it") as caught:
        fetch(address)
    assert "hf auth login" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("hf://acme/nothing@v1", "there is no such repository"),
        ("hf://acme/digits@v9", "no such revision"),
        ("hf://digits@v1", "is not an address of the Hub"),
        ("hf://acme/digits@{first}", "it is not a bundle"),
    ],
)
def test_what_is_not_there(hub: Hub, address: str, uri: str, said: str) -> None:
    first = next(iter(hub.repos[MODEL].commits))
    with pytest.raises(UserError, match=said):
        fetch(uri.format(first=first))
