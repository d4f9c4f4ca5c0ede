"""Questions that take many trainings: comparisons, experiments, privacy audits."""
