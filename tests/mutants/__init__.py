"""The collector with one small fault at a time: each must be noticed by a test."""
