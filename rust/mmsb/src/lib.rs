//! `mmsb`: the Memory-Mapped State Bus.
//!
//! Typed arrays in pages, every change a delta in one log, every past state back bit for bit.
//!
//! ```
//! use mmsb::bus::handle::Bus;
//! use mmsb::bus::options::{Note, Options};
//! use mmsb::page::dtype::DType;
//! use mmsb::page::schema::Schema;
//! use mmsb::page::select::Select;
//!
//! # fn main() -> Result<(), mmsb::bus::error::Error> {
//! let bus = Bus::memory(&Options::default())?;
//! let page = bus.create_page("heights", Schema::array(DType::F32, vec![], false, None)?, 4, &Note::default())?;
//! let empty = bus.state()?;
//! bus.assign(page, 0, Select::range(1, 3), &[1.5f32, 2.5], &Note::default())?;
//! assert_eq!(bus.state()?.cells::<f32>(page, 0)?, [0.0, 1.5, 2.5, 0.0]);
//! assert_eq!(empty.cells::<f32>(page, 0)?, [0.0; 4], "a state never changes");
//! assert_eq!(bus.at(empty.epoch())?.digest()?, empty.digest()?);
//! # Ok(())
//! # }
//! ```
#![deny(unsafe_code)]

#[cfg(target_endian = "big")]
compile_error!("mmsb keeps its bytes little endian and does not build for a big-endian target");

pub mod base;
pub mod memory;

// What is lock-free lies in those two, and loom builds them alone.
#[cfg(not(mmsb_loom))]
pub mod algebra;
#[cfg(not(mmsb_loom))]
pub mod bus;
#[cfg(not(mmsb_loom))]
pub mod graph;
#[cfg(not(mmsb_loom))]
pub mod page;
#[cfg(not(mmsb_loom))]
pub mod propagation;
