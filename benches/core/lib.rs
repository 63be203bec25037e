//! What the benches of the core share: a bus of one kind of page, and deltas of one size.

use std::borrow::Cow;
use std::path::Path;

use mmsb::base::ids::PageId;
use mmsb::bus::error::Error;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Note, Options};
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::dtype::DType;
use mmsb::page::operator::OperatorId;
use mmsb::page::schema::Schema;
use mmsb::page::select::Select;

/// A bus on disk, at the default durability: a commit survives `kill -9`.
///
/// # Errors
/// Those of [`Bus::open`].
pub fn bus(dir: &Path) -> Result<Bus, Error> {
    Bus::open(dir.join("bus"), &Options::default())
}

/// A page of `bytes` bytes.
///
/// # Errors
/// Those of [`Bus::create_page`].
pub fn page(bus: &Bus, name: &str, bytes: u64) -> Result<PageId, Error> {
    bus.create_page(name, Schema::array(DType::U8, vec![], false, None)?, bytes, &Note::default())
}

/// The delta that assigns `bytes` from byte `at` on.
pub fn delta(page: PageId, at: u64, bytes: &[u8]) -> Delta<'_> {
    let select = Select::range(at, at + bytes.len() as u64);
    let part = Part { column: 0, select, data: Data::Dense(Cow::Borrowed(bytes)) };
    Delta::single(page, OperatorId::ASSIGN, part)
}
