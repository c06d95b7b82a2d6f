"""The command line: knows the user, prints, and leaves the work to ``app``."""
