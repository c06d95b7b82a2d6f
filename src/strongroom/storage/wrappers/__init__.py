"""Policy by wrapping: each wrapper is a store around a store, and does one thing."""
