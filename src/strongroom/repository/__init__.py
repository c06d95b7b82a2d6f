"""The repository: format, packs, index, snapshots, commit and check. ``docs/format.md`` is its law.

It stores entries and knows no source; it talks to a ``Store`` and knows no disk.
"""
