"""zstd or nothing, with bounds on what is decompressed."""
