"""The only rooms that write: the writer, the executor with its journal, the way back, and the privileged entry."""
