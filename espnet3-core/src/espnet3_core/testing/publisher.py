"""What a publisher must offer: a dry run that touches nothing."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, NoReturn

import pytest

from espnet3_core.bundle.manifest import Manifest
from espnet3_core.bundle.pack import write_bundle
from espnet3_core.testing.conformance import Conformance


class PublisherConformance(Conformance):
    """Publishing without publishing: paths in ``config`` are relative to an empty folder."""

    kind = "publisher"

    def bundle(self) -> Path:
        """A small bundle in the folder."""
        import torch

        write_bundle(
            self.folder / "bundle",
            Manifest(system="conformance/test", title="a test"),
            {"model": {"name": "conformance/model"}},
            {"weight": torch.zeros(2)},
        )
        return self.folder / "bundle"

    def dry_run(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        """Publish dry; the network is an error."""
        bundle, publisher = self.bundle(), self.build()

        def refuse(*_: Any, **__: Any) -> NoReturn:
            raise _Network

        for place, name in (
            (socket.socket, "connect"), (socket.socket, "connect_ex"), (socket.socket, "sendto"),
            (socket, "create_connection"), (socket, "getaddrinfo"),
        ):  # fmt: skip
            monkeypatch.setattr(place, name, refuse)
        try:
            return publisher.publish(bundle, dry_run=True)
        except _Network:
            self.fail("a dry run uses the network", "with dry_run=True say what would be sent, and to where")
        finally:
            monkeypatch.undo()

    def test_a_dry_run_needs_no_network_and_tells_the_address(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It returns the address as a text."""
        address = self.dry_run(monkeypatch)
        self.expect(
            isinstance(address, str) and address,
            f"publish(dry_run=True) returns {address!r}",
            "return the address that the bundle would have",
        )

    def test_a_dry_run_writes_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Neither into the bundle, nor beside it."""
        self.bundle()
        before = _contents(self.folder)
        self.dry_run(monkeypatch)
        after = _contents(self.folder)
        changed = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
        self.expect(not changed, f"a dry run writes {', '.join(changed[:5])}", "write only without dry_run")


class _Network(BaseException):
    """Something asked for the network; not an Exception, so that nobody tries again."""


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }
