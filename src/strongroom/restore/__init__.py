"""Where snapshots come back to: one package for each kind of target."""
