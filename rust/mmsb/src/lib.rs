//! `mmsb`: the Memory-Mapped State Bus.
//!
//! Typed arrays in pages, every change a delta in one log, every past state back bit for bit.
#![deny(unsafe_code)]

#[cfg(target_endian = "big")]
compile_error!("mmsb keeps its bytes little endian and does not build for a big-endian target");

pub mod algebra;
pub mod base;
pub mod bus;
pub mod memory;
pub mod page;
