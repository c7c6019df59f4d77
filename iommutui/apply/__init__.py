"""The only rooms that write: the writer, the executor with its journal, rollback and revert, and the privileged entry."""
