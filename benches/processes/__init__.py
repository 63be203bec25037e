"""Measures state that processes share, beside other ways to share it, in one run: `make bench-processes`."""
