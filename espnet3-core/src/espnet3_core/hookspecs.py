"""Every hook that a plugin may implement."""

from __future__ import annotations

import pluggy

hookspec = pluggy.HookspecMarker("espnet3")
hookimpl = pluggy.HookimplMarker("espnet3")
