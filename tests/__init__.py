"""Tests of strongroom."""
