"""``medsam3 serve`` that is killed at the n-th step that a store takes for one job.

Started by `test_kill_points_processes` with the job's id and n; a step is the moment before and
after a command about the job, before and after its transaction is kept, and before and after its
answer is read. Nothing of ours is changed: it is the clients of Redis and SQL that are listened to.
"""

import os
import signal
import sys
from itertools import count
from typing import Any

from redis.asyncio.connection import AbstractConnection
from sqlalchemy import Engine, Pool, event

from api.cli.main import main

JOB_ID, DIES_AT = sys.argv[1], int(sys.argv[2])
STEPS = count(1)


def step() -> None:
    if next(STEPS) == DIES_AT:
        os.kill(os.getpid(), signal.SIGKILL)


@event.listens_for(Engine, "before_cursor_execute")
def begins(connection: Any, cursor: Any, statement: Any, values: Any, *rest: Any) -> None:
    if JOB_ID in repr(values):
        connection.info["job"] = True
        step()


@event.listens_for(Engine, "after_cursor_execute")
def done(connection: Any, cursor: Any, statement: Any, values: Any, *rest: Any) -> None:
    if JOB_ID in repr(values):
        step()


@event.listens_for(Engine, "commit")
def before_it_is_kept(connection: Any) -> None:
    if connection.info.get("job"):
        step()


@event.listens_for(Pool, "checkin")
def after_it_is_kept(connection: Any, record: Any) -> None:
    if record.info.pop("job", False):
        step()


def listen_to_redis() -> None:
    send, read = AbstractConnection.send_packed_command, AbstractConnection.read_response
    ours = set()

    async def sends(self: Any, command: Any, *rest: Any, **more: Any) -> None:
        parts = [command] if isinstance(command, bytes) else list(command)
        is_ours = JOB_ID.encode() in b"".join(parts)
        if is_ours:
            step()
        await send(self, command, *rest, **more)
        if is_ours:
            ours.add(self)
            step()

    async def reads(self: Any, *rest: Any, **more: Any) -> Any:
        answer = await read(self, *rest, **more)
        if self in ours:
            ours.discard(self)
            step()
        return answer

    AbstractConnection.send_packed_command = sends  # type: ignore[method-assign]
    AbstractConnection.read_response = reads  # type: ignore[method-assign]


if __name__ == "__main__":
    listen_to_redis()
    sys.exit(main(sys.argv[3:]))
