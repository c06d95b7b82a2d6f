"""Tests of the code and the checkout themselves."""
