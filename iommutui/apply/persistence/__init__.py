"""Persistent bindings, set at the next boot before host drivers load: a declaration, and the files that apply it."""
