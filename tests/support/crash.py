"""The end of the process, as far as a test without a child process can have it."""

from __future__ import annotations


class SimulatedCrash(BaseException):
    """The process is dead: whatever runs after this must have no effect.

    The faulty wrappers see to it: once one has raised this, each of its later calls raises it too,
    so that no ``finally`` and no ``except`` of the code under test tidies up what a real crash
    would have left.
    """
