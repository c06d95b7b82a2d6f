"""Repositories of every format version and feature: written once, read for ever, only added to."""
