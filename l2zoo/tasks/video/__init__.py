"""Clips that go on: one step, many steps, rules that learn nothing, and how alike frames are."""
