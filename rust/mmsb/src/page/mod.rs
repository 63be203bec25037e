//! Layer 1 (page): typed pages, versions, deltas, the log, checkpoints, replay.
