"""What goes on in threads: they read and compute, and post messages; only the desk changes anything."""
