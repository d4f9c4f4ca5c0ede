"""Files and folders on a disk: written whole or not at all, held by one process, read with suspicion."""
