"""The pictures of a search."""
