"""The collector: what nobody needs any more is removed, while others work."""
