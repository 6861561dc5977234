"""Configuration of the publishers. Who you are is not part of it: see docs/publishing.md."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(kw_only=True)
class HubConfig:
    """A repository of the Hub."""

    repo: str
    """``ORG/NAME``; it is made when it does not exist."""
    private: bool = True
    """Who may see it. A repository that exists keeps its visibility; sending what is meant to be private to a
    public one is refused."""
    revision: str = "main"
    """Branch; it is made when it does not exist."""
    message: str = "Upload with espnet3"
    """First line of the commit's message."""
    delete: bool = False
    """Delete the files of the branch that are not sent; each is named in the log. Otherwise nothing is ever
    deleted."""
