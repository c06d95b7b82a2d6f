"""Retention: what stays, and why."""
