"""``python -m api``: the same as ``medsam3``."""

import sys

from api.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
