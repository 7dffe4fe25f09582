"""Where the tests find things, wherever they are kept themselves."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "api" / "samples"
SHARED = Path(os.environ.get("MEDSAM3_SHARED", ROOT.parent / "shared"))
