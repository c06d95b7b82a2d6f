"""Where data is cut: content-defined and fixed chunkers. Pure."""
