"""strongroom: backs up a whole application, and proves that it comes back."""

__version__ = "0.1.0"
