"""Screens: the desk with its panes, and the dialogs over it."""
