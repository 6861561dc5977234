"""What a callback or logger must offer to Lightning's trainer."""

from __future__ import annotations

from typing import Any

from espnet3_core.catalog import current_catalog
from espnet3_core.testing.compare import difference
from espnet3_core.testing.conformance import Conformance


class CallbackConformance(Conformance):
    """A ``lightning`` callback, or a logger."""

    kind = "callback"

    def known_needs(self) -> dict[str, Any]:
        """Adds a small model."""
        import torch

        return {**super().known_needs(), "model": torch.nn.Linear(3, 2)}

    def test_it_is_what_its_role_says(self) -> None:
        """A ``lightning.Callback``, or a ``lightning`` logger."""
        from lightning.pytorch import Callback
        from lightning.pytorch.loggers import Logger

        role = current_catalog().find(self.kind, self.name).role
        wanted: type = Logger if role == "logger" else Callback
        made = self.build()
        self.expect(
            isinstance(made, wanted),
            f"it is a {type(made).__name__}, and its record says {role}",
            f"inherit from {wanted.__module__}.{wanted.__qualname__}, or say another role in the record",
        )

    def test_its_state_is_kept(self) -> None:
        """What ``state_dict`` gives, another one takes: it continues with a resumed training."""
        one, other = self.build(), self.build()
        if not hasattr(one, "load_state_dict"):
            return
        state = one.state_dict()
        other.load_state_dict(state)
        apart = difference(state, other.state_dict(), place="state_dict()")
        self.expect(
            not apart, f"saved and loaded: {apart}", "load_state_dict must take what state_dict gives"
        )
