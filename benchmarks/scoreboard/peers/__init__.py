"""Adapters: a peer's optimizer as the kit's `start`. They map names, and compute nothing."""
