"""Many small trainings on one traced model: what is trained, where, and what is finished."""
