"""The backup procedures guide, typed as it stands there."""
