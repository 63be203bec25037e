//! Addresses inside an arena: a span and an offset in it, never a pointer.

use std::fmt;

/// Where a block lies: `span << 48 | offset`. The same in every process that maps the arena.
///
/// Blocks are aligned to 64 bytes, so the low six bits of a block's address are zero and a caller may keep a tag in
/// them; it must take the tag off before it hands the address back to the arena.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct Addr(pub u64);

impl Addr {
    /// No block: "absent", or "all zeros" where a chunk is meant. The control area lies there, so no block can.
    pub const NULL: Addr = Addr(0);

    /// The address of byte `offset` (below 2^48) of span `span`.
    #[inline]
    pub const fn new(span: u16, offset: u64) -> Addr {
        debug_assert!(offset >> 48 == 0);
        Addr((span as u64) << 48 | offset)
    }

    /// The number of the span.
    #[inline]
    pub const fn span(self) -> u16 {
        (self.0 >> 48) as u16
    }

    /// Bytes from the start of the span.
    #[inline]
    pub const fn offset(self) -> u64 {
        self.0 & ((1 << 48) - 1)
    }

    /// Whether this is [`Addr::NULL`].
    #[inline]
    pub const fn is_null(self) -> bool {
        self.0 == 0
    }

    /// The address `bytes` further on in the same span.
    #[inline]
    pub const fn plus(self, bytes: u64) -> Addr {
        Addr(self.0 + bytes)
    }
}

impl fmt::Debug for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_null() { f.write_str("null") } else { write!(f, "{}:{:#x}", self.span(), self.offset()) }
    }
}
