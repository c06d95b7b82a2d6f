"""Replacing things in a folder that is in use, so that it is wholly as before or wholly as wanted.

The wanted things lie ready in ``staged/`` of a work folder on the same file system. Each changed
thing is two renames: what is there goes to ``undo/``, what is wanted takes its place. A journal,
written whole before the first of them, says which. It needs no record of progress: where each
thing is says how far it came, so ``resume`` and ``rollback`` can begin at any point, also within
each other. See ``swapping`` for the verbs, ``journal`` for the format, ``moving`` for the order.
"""
