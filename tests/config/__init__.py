"""Flags, environment variables and the configuration file."""
