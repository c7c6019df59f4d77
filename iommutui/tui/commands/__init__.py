"""The commands of the screen, by topic. `iommutui.tui.registry` puts them together."""
