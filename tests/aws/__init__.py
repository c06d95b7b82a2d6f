"""Tests of what AWS alone has."""
