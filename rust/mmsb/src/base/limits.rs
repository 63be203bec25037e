//! Every limit of the engine in one place, each with its reason.

use std::time::Duration;

/// Longest body of one frame of the log, in bytes. Above this a commit is refused before anything is written;
/// it keeps a frame's length far below the 48 bits of its header, and a reader's buffer boundable.
pub const MAX_FRAME: u64 = 4 << 30;

/// Threads that may make the pages of a level: more than any machine has, and few enough to start.
pub const THREADS_MAX: usize = 1024;

/// Bytes of posts of one producer that may wait to be collected unless it was made with another limit: some seconds of
/// what a fast producer makes, and little beside what the pages take.
pub const POSTED_MAX: u64 = 64 << 20;

/// Bytes of a chunk, the unit in which columns are copied on write. A power of two and whole memory pages, so that a
/// chunk can be remapped into a view; 8 KiB by measurement, `docs/decisions/0004-chunk-size.md`.
pub const CHUNK: usize = 8192;

/// Bytes of the first span of an arena: address space only, small enough for a process with little of it.
pub const SPAN_FIRST: u64 = 64 << 20;

/// Bytes at which spans stop doubling. Small blocks live in the first [`SMALL_REACH`] bytes of a span, so this also
/// keeps ordinary spans wholly usable for them.
pub const SPAN_MAX: u64 = 64 << 30;

/// Spans of one arena: about 15 TiB by the doubling schedule, and 8 bits in the head word of a free list.
pub const SPANS_MAX: usize = 256;

/// Bytes of the largest extent, which is also the largest page: an extent lies in one span.
pub const EXTENT_MAX: u64 = 1 << 40;

/// Bytes of a span in which small blocks may lie: 30 bits of 64-byte units, which leaves 26 bits of the free list's
/// head word for the tag against reuse.
pub const SMALL_REACH: u64 = 1 << 36;

/// Bytes of the control area at the head of span 0: a chunk.
pub const CONTROL_BYTES: usize = 8 << 10;

/// Bytes cut at once into small blocks of one size: large enough to waste little at its tail for any class.
pub const SLAB: usize = 64 << 10;

/// Bytes allocated to a span's file at once when a writer finds nothing ready: about 100 us of kernel time.
pub const GROW_STEP: u64 = 1 << 20;

/// Least and most fresh bytes that the background thread keeps ready ahead of the writer.
pub const AHEAD_MIN: u64 = 1 << 20;
/// See [`AHEAD_MIN`].
pub const AHEAD_MAX: u64 = 32 << 20;

/// Free bytes that stay with the arena whatever happens, beside a quarter of what is in use: the next burst finds them.
pub const KEEP_FREE: u64 = 32 << 20;

/// For so long nobody must have needed memory beyond that before it goes back to the machine.
pub const IDLE: Duration = Duration::from_secs(2);

/// Least and most free bytes side by side that go back at once, for a few microseconds to 100: smaller pieces would cost
/// more than they bring. As much is taken from the machine again at the least.
pub const GIVE_BACK_LEAST: u64 = 256 << 10;
/// See [`GIVE_BACK_LEAST`].
pub const GIVE_BACK_MOST: u64 = 1 << 20;

/// Bytes that the background thread makes ready at once: for so long it may hold up a writer that has caught up with
/// it, in the kernel's locks of the file.
pub const AHEAD_STEP: u64 = 256 << 10;

const _: () = assert!(CHUNK.is_power_of_two() && CHUNK >= 4096 && CHUNK <= 16384);
const _: () = assert!(CONTROL_BYTES.is_multiple_of(CHUNK) && SLAB.is_multiple_of(CHUNK));
const _: () = assert!(SPAN_MAX <= SMALL_REACH && SPAN_FIRST >= 4 * (CONTROL_BYTES as u64));
const _: () = assert!(AHEAD_MIN >= GROW_STEP && AHEAD_MAX >= AHEAD_MIN);
const _: () = assert!(GIVE_BACK_LEAST >= CHUNK as u64 && GIVE_BACK_MOST >= GIVE_BACK_LEAST);

/// Processes that may share one arena: whoever comes tries the lock of one byte after another until one is free.
pub const SLOTS_MAX: u32 = 1 << 16;

/// For so long whoever waits for the writer's lock sleeps before it asks whether the holder's process lives: that is a
/// system call, and a living writer is done long before.
pub const LOCK_CHECK: Duration = Duration::from_millis(10);
/// How often a thread looks whether the commits of its own process, which wait for the disk, were shown, where another process
/// wants its turn.
pub const TURN_LOOK: Duration = Duration::from_micros(50);
/// How often it is tried to take over memory that processes left which others may still read.
pub const TAKE_OVER_EVERY: Duration = Duration::from_millis(20);
/// Blocks noted for processes that are gone, from which on it is worth the trouble to find out what is in use in their spans.
pub const NOTED_MOST: u64 = 16 << 10;
/// How often a process that has functions looks for commits of others that it was not told of.
pub const FOLLOW_LOOK: Duration = Duration::from_secs(1);
/// Nanoseconds after which whoever commits looks again what waits for pins, where that is more than it may be.
pub const PINS_LOOK_EVERY: u64 = 100_000_000;
/// For how long a process that closes a bus waits for its turn; it leaves without it then.
pub const CLOSE_WAIT: Duration = Duration::from_secs(10);
/// How often a thread that waits for its turn without limit looks whether the bus is being closed.
pub const CLOSE_LOOK: Duration = Duration::from_millis(50);
/// How often a process that opens a bus looks whether another one has made it ready, or has left it.
pub const OPEN_LOOK: Duration = Duration::from_millis(2);
/// For how long it waits for its first turn; it looks at what others left when it commits then.
pub const OPEN_TURN: Duration = Duration::from_secs(1);
/// For how long it believes that memory which it cannot reach is being made or left.
pub const OPEN_UNREACHED: Duration = Duration::from_secs(2);

/// Nanoseconds after which a writer who has something waiting for a pin asks again which processes died: a system call for
/// each that has pins.
pub const REAP_EVERY: u64 = 100_000_000;

/// Bytes of a block of pin entries: some four thousand, as one process needs at the least.
pub const PIN_BLOCK_BYTES: usize = 64 << 10;

/// Blocks of pin entries in one arena: 4.2 million pins. A view or a snapshot takes one each.
pub const PIN_BLOCKS_MAX: usize = 1024;

/// Scans of the pins that may be disturbed before a commit gives up reclaiming: the next one will do it.
pub const PIN_SCANS_MAX: usize = 4;

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

/// Bytes of the smallest segment made where the disk has no room for one as large as it should be.
pub const LOG_SEGMENT_LEAST: u64 = 64 << 10;

/// Bytes of a frame's body from which it goes to the file by `pwrite`: that need not clear the pages that it fills.
pub const LOG_BY_WRITE: u64 = 256 << 10;

/// Bytes of a long frame that are checksummed and then written: they stay in a core's own cache meanwhile.
pub const LOG_WRITE_STEP: usize = 128 << 10;

/// Bytes of log without a wait for the disk after which those to come are made ready ahead, and most that are. A page of the
/// log's map that is touched first costs 2 us, as much as ten commits.
pub const LOG_READY_LEAST: u64 = 64 << 10;
/// See [`LOG_READY_LEAST`]: at 350 MB/s, 20 ms of commits.
pub const LOG_READY_MOST: u64 = 8 << 20;

/// Bytes of a segment's frames that are compressed as one: what reading one frame of it costs at most.
pub const LOG_BLOCK: u64 = 256 << 10;

/// Percent of a chunk file that kept checkpoints must need for pruning to leave it as it is: rewriting costs at most as
/// much as it gives back.
pub const CHUNK_FILE_LIVE: u64 = 50;

/// Bytes of log behind the newest checkpoint after which there is another one whatever it costs: about a second of replay.
pub const CHECKPOINT_AFTER: u64 = 128 << 20;

/// Bytes of log that are worth a checkpoint at the least: past states are rebuilt from the one before them, and this much
/// is replayed in a few hundredths of a second.
pub const CHECKPOINT_LEAST: u64 = 4 << 20;

/// The share of the log's length that is worth a checkpoint: about so many are made each time the log grows e-fold.
pub const CHECKPOINT_SHARE: u64 = 1024;

/// Chunk files of a checkpoint that are held open while pages are read in from it one by one; of one with more of them
/// all pages are read in at once. Processes are often allowed 1,024 open files.
pub const UNREAD_FILES: usize = 256;

/// For so long a process waits until the one that writes the bus has read in a page of a checkpoint, and so often it looks.
pub const READ_IN_WAIT: Duration = Duration::from_secs(30);
/// See [`READ_IN_WAIT`].
pub const READ_IN_LOOK: Duration = Duration::from_micros(200);

/// Bytes of history that a bus without a path keeps at most, unless a quarter of memory is less.
pub const HISTORY_BUDGET: u64 = 1 << 30;

const _: () = assert!(LOG_SEGMENT_FIRST <= LOG_SEGMENT_MAX && LOG_BLOCK < LOG_SEGMENT_FIRST);
const _: () = assert!(MAX_FRAME < 1 << 48, "a frame's header has 48 bits for the length");

/// Commits that are told of one part of a lineage, at most.
pub const LINEAGE_COMMITS: usize = 4096;

/// Parts of one lineage, at most: rows of pages with what made them.
pub const LINEAGE_PARTS: usize = 1 << 18;

/// Commits that are told of all parts of one lineage, at most: one that is in two parts counts twice.
pub const LINEAGE_TOLD: usize = 1 << 20;

/// Bytes of frames that are kept while a lineage is looked for, so that few are read for each page in them; twice the largest
/// frame where that is more.
pub const LINEAGE_BUDGET: usize = 64 << 20;

/// Nanoseconds of work in a level of propagation, beyond [`UNSHARED`] a page, from which on threads share it: waking one takes
/// some ten thousand.
pub const WORTH_THREADS: u64 = 50_000;

/// Nanoseconds of making a page that sharing a level does not save, or takes by itself: handing it over, and putting what came out
/// into the page, which one thread does.
pub const UNSHARED: u64 = 1_000;

/// Steps of propagation that a branch remembers, of 32 bytes each.
pub const TRACED: usize = 1 << 16;

/// Most bytes of a page's rule: an expression of a hundred thousand terms fits, and a frame of many rules still does.
pub const MAX_RULE: usize = 1 << 20;

/// Fewest pieces that a node over 64 chunks must be worse off by for compaction to copy it: half a MiB then spares as many
/// mappings, each worth 32 KiB of copying to every view that is made anew.
pub const COMPACT_GAIN: usize = 8;

/// Most chunks whose copies one commit takes over from compaction: 0.2 us each that it does not expect.
pub const COMPACT_AT_ONCE: usize = 1024;

/// Memory mappings that the views of a process may take together. The kernel allows 65,530 in all; the rest is for the
/// spans, libraries and allocators of the process.
pub const VIEW_MAPPINGS_MAX: usize = 49_152;

/// Fewest bytes of a plain range whose data the log takes from the staged page instead of from a copy in the frame's
/// body: from here on a second copy of the data costs more than looking up its chunks.
pub const LOG_FROM_PAGE: usize = 64 << 10;

const _: () = assert!(LOG_FROM_PAGE > CHUNK, "a column of so many bytes lies in chunks of its own");

/// How many merges of common states one below the other a merge makes at most to find its base: as many as criss-cross
/// merges came one right after the other. Below that the newest common state does; then a conflict may be seen where
/// there is none.
pub const MERGE_BASES_DEEP: usize = 64;

/// Bytes of a column from which an update looks at some of its cells before it compares all: as many caches as that miss cost
/// less than a hundredth of the comparison.
pub const UPDATE_SAMPLED: u64 = 1 << 20;

/// Cells that it looks at.
pub const UPDATE_SAMPLES: u64 = 64;

/// Most nodes of one expression: a sum of 100,000 products is far below, and the nodes take 32 MiB at most.
pub const EXPRESSION_NODES: usize = 1 << 20;

/// Cells that an expression is worked out for at once: so many of a dozen values stay in the first cache, and a step of the
/// way costs less for calling its loop than for the loop.
pub const EXPRESSION_BLOCK: usize = 512;

/// Bytes of the values on the way that one expression's kernel holds, from which on it works out fewer cells at once.
pub const EXPRESSION_BYTES: usize = 1 << 20;

/// Most groups that a reduction by key may have: what is remembered of each is 16 to 64 bytes.
pub const MAX_GROUPS: u64 = 1 << 26;

/// Most rows that a page may have whose rows are found by what they name: what is remembered of each numbers it in 4 bytes.
pub const MAX_RELATED_ROWS: u64 = u32::MAX as u64;

/// Most edges of a closure: what is remembered of each is 48 to 112 bytes, and 32 bits count them and their room.
pub const MAX_EDGES: u64 = 1 << 28;

/// Most cells of a closure, a start and a vertex each: of each its value is remembered, and an edge.
pub const MAX_CLOSURE_CELLS: u64 = 1 << 28;
