//! Every limit of the engine in one place, each with its reason.

/// Longest body of one frame of the log, in bytes. Above this a commit is refused before anything is written;
/// it keeps a frame's length far below the 48 bits of its header, and a reader's buffer boundable.
pub const MAX_FRAME: u64 = 4 << 30;
