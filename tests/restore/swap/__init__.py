"""Tests of swapping things in a folder that is in use."""
