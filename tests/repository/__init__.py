"""Tests of ``strongroom.repository``."""
