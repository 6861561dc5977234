"""What the Hub answers, as messages for people; neither tokens nor signed addresses come into a log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
from espnet3_core.errors import UserError
from huggingface_hub import get_token
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

LOG_IN = (
    "log in with `hf auth login`, or set HF_TOKEN; https://huggingface.co/settings/tokens makes tokens, "
    "and publishing needs one with write permission"
)


def require_token(address: str) -> None:
    """Refuse, before anything is sent, when nobody is logged in.

    Raises:
        UserError: There is no token in the usual places.
    """
    if get_token() is None:
        raise UserError(f"{address}: you are not logged in to the Hub", hint=LOG_IN)


@contextmanager
def hub_errors(address: str) -> Iterator[None]:
    """Raise the client's errors as :class:`UserError` that names ``address``."""
    # It logs every address that it asks, and those of the Hub's storage let whoever reads them in.
    requests = logging.getLogger("httpx2")
    level = requests.level
    requests.setLevel(logging.WARNING)
    try:
        yield
    except (HfHubHTTPError, httpx2.TransportError, ConnectionError) as error:
        raise _message(address, error) from error
    except (RuntimeError, LocalEntryNotFoundError) as error:
        # So the client wraps what stops the transfer of one file.
        if not isinstance(error.__cause__, (HfHubHTTPError, httpx2.TransportError, ConnectionError)):
            raise
        raise _message(address, error.__cause__) from error
    except ValueError as error:
        if "Invalid metadata in README.md" not in str(error):
            raise
        raise UserError(
            f"{address}: the Hub refuses the model card: {' '.join(str(error).split())}",
            hint="its head is made of publication.license, language and datasets: mend them and pack again",
        ) from error
    finally:
        requests.setLevel(level)


def _message(address: str, error: BaseException) -> UserError:
    if isinstance(error, HfHubHTTPError):
        return _refused(address, error)
    if isinstance(error, OfflineModeIsEnabled):
        return UserError(
            f"{address}: HF_HUB_OFFLINE is set, and it was not fetched before",
            hint="unset it, or run espnet3 fetch where there is a network",
        )
    if isinstance(error, ConnectionError):
        # From hf_xet, which does not tell refusals from lost connections.
        return UserError(
            f"{address}: the Hub's storage of large files cannot be reached, or refuses",
            hint="the same command goes on; with HF_HUB_DISABLE_XET=1 files go another way",
        )
    return UserError(
        f"{address}: the Hub cannot be reached ({type(error).__name__})",
        hint="the same command goes on from here, once there is a network",
    )


def _refused(address: str, error: HfHubHTTPError) -> UserError:
    status = error.response.status_code
    if isinstance(error, GatedRepoError):
        return UserError(
            f"{address}: its owners decide who may read it", hint="ask for access on its page, and log in"
        )
    if isinstance(error, RevisionNotFoundError):
        return UserError(
            f"{address}: the repository has no such revision",
            hint="its page on the Hub lists branches, tags and commits",
        )
    if isinstance(error, RepositoryNotFoundError):
        hint = "check the name" if get_token() else f"check the name; if it is private, {LOG_IN}"
        return UserError(f"{address}: there is no such repository, or you may not see it", hint=hint)
    if status == 401:
        return UserError(f"{address}: the Hub does not accept your token", hint=LOG_IN)
    if status == 403:
        return UserError(f"{address}: your token may not write there", hint=LOG_IN)
    if status in (409, 412):
        return UserError(
            f"{address}: it was changed meanwhile, and nothing was published",
            hint="run the same command again",
        )
    said = error.server_message or f"status {status}"
    again = "try again later: the same command goes on" if status >= 500 or status == 429 else None
    return UserError(f"{address}: the Hub refuses: {said}", hint=again)
