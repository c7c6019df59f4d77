"""Widgets: thin layers that draw the pure views."""
