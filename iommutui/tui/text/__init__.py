"""Text as every view makes it, and the one way of it into Textual."""
