"""Tests of the doors to the machine."""
