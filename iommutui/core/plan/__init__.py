"""Plans: what is asked for, the writes that do it, the smallest fix, presets, and what has changed since."""
