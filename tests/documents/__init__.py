"""Tests of documents: objects of a bucket, saved and brought back."""
