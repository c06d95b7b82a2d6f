"""Cryptographic primitives; what they are used for is in ``repository``."""
