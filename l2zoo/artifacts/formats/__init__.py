"""The formats of an exported model, one a file, and their table."""
