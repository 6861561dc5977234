"""Publishing to a Hub that is really asked: what it then holds, and what is said when it refuses."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from espnet3_core.bundle.source import fetch
from espnet3_core.config.roles import PublicationConfig
from espnet3_core.config.schema import validate
from espnet3_core.errors import UserError
from espnet3_core.testing import PublisherConformance
from espnet3_hub.config import HubConfig
from espnet3_hub.publish import ModelPublisher, SpacePublisher
from hub_bundles import MODEL, contents, pack
from hub_server import READER, WRITER, Hub

PUBLISH = """
import sys, pathlib
from espnet3_hub.config import HubConfig
from espnet3_hub.publish import ModelPublisher
print(ModelPublisher(HubConfig(repo="acme/digits")).publish(pathlib.Path(sys.argv[1])))
"""


def publish(folder: Path, **options: Any) -> str:
    return ModelPublisher(HubConfig(repo="acme/digits", **options)).publish(folder)


def held(hub: Hub, revision: str = "main") -> dict[str, bytes]:
    """What a model repository holds, without the file that the Hub itself puts there."""
    return {k: v for k, v in hub.repos[MODEL].files(revision).items() if k != ".gitattributes"}


def test_the_repository_holds_the_bundle_in_one_commit(hub: Hub, bundle: Path) -> None:
    address = publish(bundle, message="First digits")
    repo = hub.repos[MODEL]
    assert held(hub) == contents(bundle)
    assert address == f"hf://acme/digits@{repo.branches['main']}"
    assert list(repo.messages.values()) == ["initial commit", "First digits"]


@pytest.mark.parametrize("private", [True, False])
def test_a_new_repository_is_private_or_public(hub: Hub, bundle: Path, private: bool) -> None:
    publish(bundle, private=private)
    assert hub.repos[MODEL].private is private


def test_private_things_are_not_sent_to_a_public_repository(hub: Hub, bundle: Path) -> None:
    publish(bundle, private=False)
    before = hub.received
    with pytest.raises(UserError, match="is public, and what is sent is meant to be private") as caught:
        publish(pack(bundle.with_name("other"), seed=1), private=True)
    assert "private: false" in str(caught.value.hint)
    assert hub.received == before


def test_the_second_time_nothing_is_sent(hub: Hub, bundle: Path) -> None:
    first = publish(bundle)
    before, commits = hub.received, len(hub.repos[MODEL].commits)
    assert publish(bundle) == first
    assert (hub.received, len(hub.repos[MODEL].commits)) == (before, commits)


def test_of_a_changed_bundle_only_what_changed_is_sent(hub: Hub, bundle: Path) -> None:
    publish(bundle)
    before = hub.received
    (bundle / "README.md").write_text((bundle / "README.md").read_text() + "More.\n")
    publish(bundle)
    assert hub.received - before == (bundle / "README.md").stat().st_size
    assert held(hub) == contents(bundle)


def test_a_branch_is_made_and_main_stays(hub: Hub, bundle: Path) -> None:
    publish(bundle, revision="large")
    assert held(hub, "large") == contents(bundle)
    assert held(hub) == {}
    publish(pack(bundle.with_name("b2"), seed=1), revision="large")
    assert held(hub, "large") == contents(bundle.with_name("b2"))


def test_nothing_is_deleted_unless_told(hub: Hub, bundle: Path, caplog: pytest.LogCaptureFixture) -> None:
    publish(bundle)
    repo = hub.repos[MODEL]
    own = {"notes/own.txt": (b"mine", False), "old.wav": (b"RIFF", True)}
    repo.commit("main", {**repo.commits[repo.branches["main"]], **own}, "by hand")
    with caplog.at_level(logging.INFO, "espnet3_hub"):
        publish(bundle)
        assert held(hub).keys() == contents(bundle).keys() | own.keys()
        assert "deleting" not in caplog.text
        publish(bundle, delete=True)
    assert held(hub) == contents(bundle)
    assert ".gitattributes" in repo.files()
    deleted = [record.message for record in caplog.records if "deleting" in record.message]
    assert deleted == [f"deleting {name} of hf://acme/digits" for name in ("notes/own.txt", "old.wav")]


def test_a_dry_run_lists_files_and_sizes_without_a_network(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the network was used")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with caplog.at_level(logging.INFO, "espnet3_hub"):
        publisher = ModelPublisher(HubConfig(repo="acme/digits"))
        assert publisher.publish(bundle, dry_run=True) == "hf://acme/digits@main"
    said = [record.message for record in caplog.records]
    sizes = {name: len(content) for name, content in sorted(contents(bundle).items())}
    assert said == [
        *(f"would send {name} ({size} bytes)" for name, size in sizes.items()),
        f"{len(sizes)} files, {sum(sizes.values())} bytes, to hf://acme/digits",
    ]


@pytest.mark.parametrize("moment", ["PUT /storage", "POST /api/models/acme/digits/commit"])
def test_what_was_killed_passes_for_nothing_and_the_same_command_finishes_it(
    hub: Hub, bundle: Path, tmp_path: Path, moment: str, start: Callable[..., Any]
) -> None:
    hub.hold = moment
    process = start(PUBLISH, str(bundle))
    assert hub.held.wait(60)
    process.send_signal(signal.SIGKILL)
    assert process.wait(30) == -signal.SIGKILL
    assert held(hub) == {}
    arrived = hub.received
    hub.hold = ""
    done = start(PUBLISH, str(bundle))
    out, err = done.communicate(timeout=60)
    assert done.returncode == 0, err
    assert out.strip() == f"hf://acme/digits@{hub.repos[MODEL].branches['main']}"
    assert held(hub) == contents(bundle)
    # What had arrived is not sent again.
    assert hub.received == sum(map(len, contents(bundle).values()))
    assert arrived == ((bundle / "model.safetensors").stat().st_size if "commit" in moment else 0)


def test_of_two_at_once_one_is_told_to_try_again(hub: Hub, bundle: Path) -> None:
    publish(bundle)
    repo = hub.repos[MODEL]
    hub.before_commit = lambda: repo.commit("main", {"a": (b"b", False)}, "meanwhile")
    with pytest.raises(UserError, match="changed meanwhile, and nothing was published"):
        publish(pack(bundle.with_name("other"), seed=1))
    assert repo.files() == {"a": b"b"}


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("", "you are not logged in"),
        ("hf_Expired00000000", "the Hub does not accept your token"),
        (READER, "your token may not write there"),
    ],
)
def test_who_may_not_is_told_how_to_log_in(
    hub: Hub, bundle: Path, token: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(UserError, match=said) as caught:
        publish(bundle)
    assert caught.value.message.startswith("hf://acme/digits: ")
    assert "hf auth login" in str(caught.value.hint)
    assert "HF_TOKEN" in str(caught.value.hint)
    assert token == "" or token not in str(caught.value)
    assert hub.received == 0


def test_a_token_that_was_stored_is_found(
    hub: Hub, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf/token").write_text(WRITER)
    publish(bundle)
    assert held(hub) == contents(bundle)


def test_neither_tokens_nor_signed_addresses_are_logged(
    hub: Hub, bundle: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.INFO):
        publish(bundle)
        fetch(publish(bundle))
    everything = caplog.text + "".join(capfd.readouterr())
    assert WRITER not in everything
    assert "X-Amz-Signature" not in everything
    assert hub.asked("PUT /storage"), "no signed address was used"
    assert hub.asked("GET /cdn"), "no signed address was used"


def test_a_card_that_the_hub_refuses_stops_before_files_are_sent(hub: Hub, bundle: Path) -> None:
    card = bundle / "README.md"
    card.write_text(card.read_text().replace("cc-by-sa-4.0", "my own"))
    with pytest.raises(UserError, match='refuses the model card.*"license" must be one of') as caught:
        publish(bundle)
    assert "publication.license" in str(caught.value.hint)
    assert hub.received == 0


def test_without_a_network_the_same_command_is_advised(
    hub: Hub, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.go()
    with pytest.raises(UserError, match="the Hub cannot be reached") as caught:
        publish(bundle)
    assert "the same command goes on" in str(caught.value.hint)


def test_publishers_are_built_by_name() -> None:
    upload = {"name": "hub/model", "repo": "acme/digits", "private": False}
    publisher = validate(PublicationConfig, {"upload": upload}, "publication").upload.build(recipe_dir=Path())
    assert isinstance(publisher, ModelPublisher)
    assert publisher.config == HubConfig(repo="acme/digits", private=False)


def test_links_are_not_followed(hub: Hub, bundle: Path) -> None:
    (bundle / "passwd").symlink_to("/etc/passwd")
    with pytest.raises(UserError, match="passwd: it is a link, and only files are published"):
        publish(bundle)


def test_repositories_are_named_with_their_owner() -> None:
    with pytest.raises(UserError, match="'digits' is not ORG/NAME"):
        ModelPublisher(HubConfig(repo="digits"))


def test_a_space_is_made_with_the_kit_that_its_card_names(hub: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "app.py").write_text("print()\n")
    space = SpacePublisher(HubConfig(repo="acme/demo", private=False))
    with pytest.raises(UserError, match="its head names no `sdk`"):
        space.publish(folder)
    (folder / "README.md").write_text("---\nsdk: gradio\n---\n# Demo\n")
    address = space.publish(folder)
    repo = hub.repos["space", "acme/demo"]
    assert {k: v for k, v in repo.files().items() if k != ".gitattributes"} == contents(folder)
    assert address == f"{hub.url}/spaces/acme/demo"


class TestModelPublisher(PublisherConformance):
    """hub/model."""

    name = "hub/model"
    config = {"repo": "acme/digits"}


class TestSpacePublisher(PublisherConformance):
    """hub/space, of a folder whose card names its kit."""

    name = "hub/space"
    config = {"repo": "acme/page"}

    def bundle(self) -> Path:
        """The kit's folder in the place of a bundle."""
        folder = self.folder / "demo"
        folder.mkdir(exist_ok=True)
        (folder / "README.md").write_text("---\nsdk: gradio\n---\n# Demo\n")
        return folder
