"""Statistics as pure functions of arrays: paired differences, intervals, corrections, ROC."""
