"""Speed, always as a ratio to a reference that is measured in the same run: ``python -m tests.bench``."""
