"""Tests of ``strongroom.compression``."""
