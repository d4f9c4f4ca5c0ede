"""Work in processes of its own, which end with this one."""
