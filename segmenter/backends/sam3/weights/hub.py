"""Finds weights by their Hugging Face name: in the local cache, or fetched on request."""

import re
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)

from segmenter.backends.sam3.errors import WeightsError

NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
PATTERNS = ("*.json", "*.safetensors", "*.txt", "*.pt")
DOWNLOAD = "medsam3 convert {name} OUT fetches it"
ACCESS = "ask for access at https://huggingface.co/{name} and accept its licence"
TOKEN = "make a read token at https://huggingface.co/settings/tokens and run: hf auth login"
TIMEOUT_S = 30.0


def locate(source: str, *, download: bool, endpoint: str | None = None) -> Path:
    """Return the folder or file of weights.

    Args:
        source: a path, or a name like ``facebook/sam3``; a path that is there wins.
        download: whether the network may be used for a name that is not in the cache.
        endpoint: of the hub; None for the usual one.

    Raises:
        WeightsError: says in plain words what to do.
    """
    path = Path(source).expanduser()
    if path.exists() or not NAME.fullmatch(source):
        return path
    try:
        return Path(
            snapshot_download(
                source,
                allow_patterns=list(PATTERNS),
                local_files_only=not download,
                endpoint=endpoint,
                etag_timeout=TIMEOUT_S,
            )
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise WeightsError(_explain(source, error, download=download)) from error


def _explain(name: str, error: Exception, *, download: bool) -> str:
    """Say what a person can do; the hub's own words name neither cause nor cure."""
    if isinstance(error, GatedRepoError):
        return f"no access to {name} yet: {ACCESS.format(name=name)}, then {TOKEN}"
    if isinstance(error, RepositoryNotFoundError):
        return (
            f"the hub shows no {name} to you: check the name; if it is right you are not logged in:"
            f" {TOKEN}"
        )
    # A refusal while nothing is cached comes as a missing cache entry, for this reason.
    refusal = error if isinstance(error, HfHubHTTPError) else error.__cause__
    if isinstance(refusal, HfHubHTTPError):
        return f"the hub refused {name} (HTTP {refusal.response.status_code}): {TOKEN}"
    if not download:
        return f"{name} is no path and not in the local cache: {DOWNLOAD.format(name=name)}"
    return (
        f"{name} cannot be fetched: the hub does not answer; copy its files here, give their path"
    )
