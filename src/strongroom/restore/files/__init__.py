"""A directory of this machine as the target of a restore."""
