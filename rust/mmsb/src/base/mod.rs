//! Below layer 0 (base): ids, limits, codec, checksum, clock; plain data that every room may use.

pub mod ahead;
pub mod clock;
pub mod codec;
pub mod crc;
pub mod fail;
pub mod ids;
pub mod inbox;
pub mod limits;
pub mod spread;
pub mod sync;
pub mod wait;
pub mod wide;
