"""Screens: the desk with its panes, and the dialogs that are laid over it."""
