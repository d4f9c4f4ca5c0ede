"""Semantic segmentation: the task, and its losses and metrics by overlap."""
