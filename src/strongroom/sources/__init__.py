"""What is backed up: one package for each kind of source."""
