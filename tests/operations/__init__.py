"""Tests of ``strongroom.operations``."""
