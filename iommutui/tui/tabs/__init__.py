"""The tabs of the details pane beside Why, each imported when it is first shown."""
