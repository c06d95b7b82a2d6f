"""Cryptographic primitives under one small interface; what they are used for is in ``repository``."""
