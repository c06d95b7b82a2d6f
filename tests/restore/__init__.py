"""Tests of the restore targets."""
