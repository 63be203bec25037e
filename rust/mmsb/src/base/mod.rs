//! Below layer 0 (base): ids, limits, codec, checksum, clock; plain data that every room may use.

pub mod crc;
