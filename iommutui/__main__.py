"""``python -m iommutui`` is the same program as ``iommutui``."""

import sys

from iommutui.cli import main

if __name__ == "__main__":
    sys.exit(main())
