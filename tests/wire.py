"""A wire to a server that breaks when a certain command has gone over it."""

import socket
import threading
import time
from types import TracebackType

PIECE_BYTES = 65536


class BreakingWire:
    """A TCP proxy on the loopback; `url_of` gives an address that goes through it.

    Args:
        port: of the server.
        word: the command that breaks the wire holds it.
        silent_s: so long after the command nothing goes over, neither way.
        swallow: the command still reaches the server, and its answer is lost.
    """

    def __init__(self, port: int, word: bytes, *, silent_s: float, swallow: bool) -> None:
        self._server_port = port
        self._word = word
        self._silent_s = silent_s
        self._swallow = swallow
        self._silent_until = 0.0
        self.breaks = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> "BreakingWire":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    @property
    def _is_silent(self) -> bool:
        return time.monotonic() < self._silent_until

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._is_silent:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self._server_port))
            broken = threading.Event()
            for ends in ((client, server), (server, client)):
                args = (*ends, ends[0] is client, broken)
                threading.Thread(target=self._carry, args=args, daemon=True).start()

    def _carry(
        self,
        source: socket.socket,
        target: socket.socket,
        is_command: bool,
        broken: threading.Event,
    ) -> None:
        try:
            while piece := source.recv(PIECE_BYTES):
                if is_command and not self.breaks and self._word in piece:
                    self.breaks += 1
                    broken.set()
                    self._silent_until = time.monotonic() + self._silent_s
                    if self._swallow:
                        target.sendall(piece)
                        time.sleep(0.1)
                if self._is_silent or broken.is_set():
                    break
                target.sendall(piece)
        except OSError:
            pass
        finally:
            for end in (source, target):
                end.close()
