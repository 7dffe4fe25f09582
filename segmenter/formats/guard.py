"""Keeps decoding libraries quiet and turns their failures into our errors.

Shared: warning filters and logger levels are process-wide (until Python 3.14), so the first decode
that enters saves and sets them and the last that leaves restores them. Guaranteed: while any
decode runs, no library prints, logs or raises a warning of its own.
"""

import logging
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from segmenter.errors import BrokenImage

LIBRARIES = ("PIL", "pydicom", "pylibjpeg", "openjpeg", "nibabel.global", "tifffile")
_SILENT = logging.CRITICAL + 1

# What decoders written in Python raise on bytes they did not expect. MemoryError: they allocate
# what a field says. Our own errors and BaseException pass.
DECODER_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    Warning,
    struct.error,
    zlib.error,
)


class _Silence:
    """Counts the decodes in progress; the first silences the libraries, the last lets go."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._restore = ExitStack()

    def enter(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside > 1:
                return
            self._restore.enter_context(warnings.catch_warnings())
            for name in LIBRARIES:
                warnings.filterwarnings("ignore", module=rf"{name}(\.|$)")
                library = logging.getLogger(name)
                self._restore.callback(library.setLevel, library.level)
                library.setLevel(_SILENT)

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._restore.close()


_silence = _Silence()


@contextmanager
def guarded(what: str, *errors: type[Exception]) -> Iterator[None]:
    """Run a library on untrusted bytes: silent, and failing only with `BrokenImage`.

    Args:
        what: the format, for the message; never text from the file.
        *errors: the library's own, beside `DECODER_ERRORS`.

    Raises:
        BrokenImage.
    """
    _silence.enter()
    try:
        yield
    except DECODER_ERRORS + errors:
        # From None: a library's words quote what it read, which may be about a patient.
        raise BrokenImage(f"this {what} does not decode: damaged or cut short") from None
    finally:
        _silence.leave()
