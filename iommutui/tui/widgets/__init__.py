"""Widgets: thin, they draw what the pure views give them."""
