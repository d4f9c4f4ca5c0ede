"""Artifacts with a name: where they lie, how one gets there, and their table."""
