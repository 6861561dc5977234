"""Large files by Xet, as the client sends and gets them where hf_xet is installed; the store is a folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from espnet3_core.bundle.source import fetch
from espnet3_core.errors import UserError
from espnet3_hub.config import HubConfig
from espnet3_hub.publish import ModelPublisher
from hub_bundles import contents
from hub_server import Hub

hf_xet = pytest.importorskip("hf_xet")


@pytest.fixture
def xet(hub: Hub, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """The Hub with such a store, still empty."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    monkeypatch.setenv("HF_XET_CLIENT_RETRY_MAX_ATTEMPTS", "1")
    hub.xet = tmp_path / "store"
    hub.xet.mkdir()
    weights = bundle / "model.safetensors"
    (about,) = hf_xet.hash_files([str(weights)])
    hub.xet_files[hashlib.sha256(weights.read_bytes()).hexdigest()] = (about.hash, weights.read_bytes())
    return hub


def test_there_and_back_with_the_same_bytes(xet: Hub, bundle: Path) -> None:
    publisher = ModelPublisher(HubConfig(repo="acme/digits"))
    address = publisher.publish(bundle)
    assert xet.xet is not None
    stored = sum(path.stat().st_size for path in xet.xet.rglob("*.*") if path.is_file())
    assert stored >= (bundle / "model.safetensors").stat().st_size * 0.8
    assert contents(fetch(address)) == contents(bundle)
    assert not xet.asked("/storage|/cdn"), "large files went another way"
    assert publisher.publish(bundle) == address


def test_a_store_that_refuses_is_told(xet: Hub, bundle: Path) -> None:
    xet.xet = None
    with pytest.raises(UserError, match="storage of large files cannot be reached, or refuses"):
        ModelPublisher(HubConfig(repo="acme/digits")).publish(bundle)
