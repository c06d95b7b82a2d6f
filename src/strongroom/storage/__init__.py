"""Stores: where a repository keeps its objects."""
