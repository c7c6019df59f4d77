"""The journal of an apply: its lines, who writes them, who reads them, and the directory that they are in."""
