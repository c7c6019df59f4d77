"""The only package that writes: the writer, the executor with its journal, rollback, revert, the privileged process."""
