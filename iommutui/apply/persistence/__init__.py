"""Bindings that are there at the next boot, before the host drivers: a declaration, and files that carry it out."""
