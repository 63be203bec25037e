//! Hashing of numbers that we give out ourselves: counters, ids, places. Nobody chooses them to collide.

use std::hash::{BuildHasherDefault, Hasher};

/// Makes hashers for maps whose keys are such numbers.
pub type Spread = BuildHasherDefault<SpreadHasher>;

/// One multiplication spreads a counter (Knuth, TAOCP 6.4); the high bits, which have it all, go where maps look first.
#[derive(Debug, Default)]
pub struct SpreadHasher(u64);

impl Hasher for SpreadHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(byte.into());
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32);
    }
}
