"""Plans: intents, their writes, the smallest fix, presets, and drift."""
