"""The doors to the machine: file system, randomness, child processes."""
