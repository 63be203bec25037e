//! Every limit of the engine in one place, each with its reason.

/// Longest body of one frame of the log, in bytes. Above this a commit is refused before anything is written;
/// it keeps a frame's length far below the 48 bits of its header, and a reader's buffer boundable.
pub const MAX_FRAME: u64 = 4 << 30;

/// Most bytes of a page, and of one row of a column: 1 TiB. Keeps every byte offset in a page far inside 48 bits.
pub const MAX_PAGE_BYTES: u64 = 1 << 40;

/// Most columns of a page, so that a head block that names a place for each stays small.
pub const MAX_COLUMNS: usize = 1024;

/// Most inner axes of a column: numpy 1 had 32 axes in all, and a selection names each one.
pub const MAX_INNER_AXES: usize = 32;

/// Longest name of a page or column, in bytes of UTF-8.
pub const MAX_NAME: usize = 255;

/// Columns begin at multiples of this many bytes: a cache line, and what Arrow and AVX-512 like best.
pub const COLUMN_ALIGN: u64 = 64;

/// Bytes of the first segment of a log: a small bus stays small.
pub const LOG_SEGMENT_FIRST: u64 = 1 << 20;

/// Bytes up to which segments grow: large enough that one sync and one footer per segment cost nothing, small enough
/// to verify one at open in some ten milliseconds.
pub const LOG_SEGMENT_MAX: u64 = 64 << 20;

/// Bytes of a segment's frames that are compressed as one: what reading one frame of it costs at most.
pub const LOG_BLOCK: u64 = 256 << 10;

const _: () = assert!(LOG_SEGMENT_FIRST <= LOG_SEGMENT_MAX && LOG_BLOCK < LOG_SEGMENT_FIRST);
const _: () = assert!(MAX_FRAME < 1 << 48, "a frame's header has 48 bits for the length");
