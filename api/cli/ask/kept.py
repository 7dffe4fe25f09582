"""Where the thread of ``medsam3 ask`` lies after the process has ended.

In the stores that the settings name; else, if asked for, in a file in the folder of the results,
which holds the picture as it was given; else nowhere.
"""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from pydantic import SecretStr

from api.bootstrap.setup import Setup
from api.cli.output import UsageFault
from segmenter.settings import HOUR_S

THREAD_FILE = "thread.sqlite"
# Marks of an address, which the path of a file may not hold.
_MARKS = frozenset("?#%\t\r\n")


class Kept(NamedTuple):
    """Stores, and what to tell of a thread in them.

    Attributes:
        goes_on: options with which ``ask --thread ID`` finds it again; None where it is not kept.
        hours: it is kept after its last request.
    """

    setup: Setup
    goes_on: str | None
    hours: float = 0.0


def stores_of(setup: Setup, out: Path | None, *, keep: bool, in_thread: bool) -> Kept:
    """Choose the stores of a request.

    Args:
        setup: with the stores that are configured.
        out: folder of the results.
        keep: the caller asks for the file in it.
        in_thread: the request goes on in a thread.

    Raises:
        UsageFault: there is nowhere to keep a thread, or none is kept there.
    """
    settings = setup.settings
    hours = settings.record_ttl_s / HOUR_S
    if settings.redis_url is not None:
        # Runs are carried out by the service; one that comes and goes takes none of others.
        aside = settings.model_copy(update={"run_slots": 0})
        return Kept(replace(setup, settings=aside), "", hours)
    if settings.state_url is not None:
        return Kept(setup, "", hours)
    if not keep and not in_thread:
        return Kept(setup.embedded(), None)
    if out is None:
        raise UsageFault(
            "no store is set up: give --out DIR of a request that was asked with --keep, or set"
            " MEDSAM3_STATE_URL; medsam3 chat IMAGE holds a conversation without either"
        )
    path = (out / THREAD_FILE).resolve()
    if in_thread and not path.is_file():
        raise UsageFault(
            f"no thread is kept in {out}: ask with --keep --out {out} first, or use medsam3 chat"
        )
    return Kept(_on_file(setup, path), f" --out {shlex.quote(str(out))}", hours)


def _on_file(setup: Setup, path: Path) -> Setup:
    if _MARKS & set(str(path)):
        raise UsageFault(f"a thread cannot be kept under this name: {str(path)!r}")
    own = {
        "state_url": SecretStr(f"sqlite:///{path}"),
        # The picture is of no use without the thread, nor the thread without it.
        "image_ttl_s": setup.settings.record_ttl_s,
    }
    return replace(setup, settings=setup.settings.model_copy(update=own))
