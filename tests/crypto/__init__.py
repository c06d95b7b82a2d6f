"""Tests of ``strongroom.crypto``."""
