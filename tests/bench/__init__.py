"""Speed, always as a ratio to a reference measured in the same run: ``python -m tests.bench``."""
