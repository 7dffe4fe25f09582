"""Program of the child process that decodes one frame with GDCM, whose C++ may abort on damage.

Run as a script, not as a module: it must import pydicom and numpy only. Standard input is a line of
JSON (`syntax` and pydicom's decoding options) and the encoded frame; standard output a line of JSON
(`dtype`, `shape`, `photometric`) and the decoded values. Any failure is an exit status.
"""

import json
import resource
import sys
from contextlib import suppress

from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

# The largest frame (40 million pixels of 2 bytes) exists three times within GDCM and Python.
MAX_MEMORY_BYTES = 2 * 1024 * 1024 * 1024
MAX_CPU_S = 20


def main() -> None:
    """Decode standard input to standard output."""
    _limit()
    options = json.loads(sys.stdin.buffer.readline())
    frame = encapsulate([sys.stdin.buffer.read()], has_bot=False)
    decoder = get_decoder(UID(options.pop("syntax")))
    values, meaning = decoder.as_array(frame, index=0, raw=True, decoding_plugin="gdcm", **options)
    answer = {
        "dtype": values.dtype.str,
        "shape": values.shape,
        "photometric": str(meaning["photometric_interpretation"]),
    }
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
    sys.stdout.buffer.write(values.tobytes())


def _limit() -> None:
    """Bound memory and time; leave no core file, it would hold pixels."""
    for kind, bound in (
        (resource.RLIMIT_AS, MAX_MEMORY_BYTES),
        (resource.RLIMIT_CPU, MAX_CPU_S),
        (resource.RLIMIT_CORE, 0),
    ):
        # Some systems refuse some limits.
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (bound, bound))


if __name__ == "__main__":
    main()
