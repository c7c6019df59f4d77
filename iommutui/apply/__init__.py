"""The only package that writes: the kernel, the executor with its journal, rollback, revert, the applying process."""
