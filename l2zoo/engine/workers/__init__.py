"""Where trainings run: in this process, or on Ray, on one machine or many."""
