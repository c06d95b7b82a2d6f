"""Tests of ``strongroom.chunking``."""
