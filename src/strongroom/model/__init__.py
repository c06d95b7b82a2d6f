"""The vocabulary every layer shares: ids, entries, snapshots, events and ports. No I/O."""
