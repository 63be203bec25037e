//! What the operations work on: buses that do nothing behind the caller's back, pages, deltas.

use std::borrow::Cow;
use std::path::Path;

use mmsb::base::ids::PageId;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Note, Options};
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::dtype::DType;
use mmsb::page::log::{Durability, LogConfig};
use mmsb::page::operator::OperatorId;
use mmsb::page::schema::Schema;
use mmsb::page::select::Select;

/// 2^10 bytes.
pub const KIB: u64 = 1 << 10;
/// 2^20 bytes.
pub const MIB: u64 = 1 << 20;

/// The memory that a bus may take. What this machine has does not matter.
const BUDGET: u64 = 1 << 30;

/// The log of a bus without threads of its own.
pub const ALONE: LogConfig = LogConfig { first_segment: 64 * MIB, max_segment: 64 * MIB, background: false };

fn options() -> Options {
    Options {
        durability: Durability::Process,
        budget: Some(BUDGET),
        checkpoint_after: None,
        history_budget: None,
        log: ALONE,
        threads: Some(1),
        ..Options::default()
    }
}

/// A bus on disk: what it commits survives `kill -9`.
pub fn bus(folder: &Path) -> Bus {
    Bus::open(folder.join("bus"), &options()).unwrap()
}

/// A bus in memory.
pub fn bus_in_memory() -> Bus {
    Bus::memory(&options()).unwrap()
}

/// A page of `bytes` bytes, none of them zero.
pub fn page(bus: &Bus, name: &str, bytes: u64) -> PageId {
    let schema = Schema::array(DType::U8, vec![], false, None).unwrap();
    let id = bus.create_page(name, schema, bytes, &Note::default()).unwrap();
    write(bus, delta(id, 0, &vec![1; bytes as usize]));
    id
}

/// The delta that assigns `bytes` from byte `at` on.
pub fn delta(page: PageId, at: u64, bytes: &[u8]) -> Delta<'_> {
    let select = Select::range(at, at + bytes.len() as u64);
    let part = Part { column: 0, select, data: Data::Dense(Cow::Borrowed(bytes)) };
    Delta::single(page, OperatorId::ASSIGN, part)
}

/// Commits a delta.
pub fn write(bus: &Bus, delta: Delta<'_>) {
    bus.write(delta, &Note::default()).unwrap();
}

/// Commits 256 bytes of a page of `bytes` bytes, at a place and of a value that `step` decides.
pub fn write_256(bus: &Bus, page: PageId, bytes: u64, step: u64) {
    write(bus, delta(page, place(step, bytes / 256) * 256, &[step as u8 | 1; 256]));
}

/// The place of step `i` among `0..n`: all over it, and the same in every run.
pub fn place(i: u64, n: u64) -> u64 {
    (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20) % n
}
