"""``python -m iommutui`` runs the same program as ``iommutui``."""

from iommutui.cli import run

if __name__ == "__main__":
    run()
