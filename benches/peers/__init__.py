"""mmsb beside its rivals, in one run, at the same work and the same durability. Run by `make bench-peers`."""
