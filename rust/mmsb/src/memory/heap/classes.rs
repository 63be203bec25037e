//! Size classes of small blocks: every multiple of 64 bytes up to 2 KiB, which most pages' versions are below, then eight
//! to a doubling, so that at most an eighth of a block is waste.

use crate::base::limits::CHUNK;

/// How many size classes there are. Blocks of the last one are whole chunks.
pub const CLASSES: usize = class_of(CHUNK) + 1;

/// Bytes up to which there is a class for every multiple of 64.
const FINE: usize = 2048;

const _: () = assert!(size_of_class(CLASSES - 1) == CHUNK);

/// The class of blocks of `bytes` bytes.
#[inline]
pub const fn class_of(bytes: usize) -> usize {
    let last = bytes.saturating_sub(1);
    if last < FINE {
        last / 64
    } else {
        let doubling = last.ilog2() as usize;
        FINE / 64 + 8 * (doubling - FINE.ilog2() as usize) + (last >> (doubling - 3)) - 8
    }
}

/// Bytes of the blocks of a class.
#[inline]
pub const fn size_of_class(class: usize) -> usize {
    match class.checked_sub(FINE / 64) {
        None => (class + 1) * 64,
        Some(above) => (above % 8 + 9) << (above / 8 + FINE.ilog2() as usize - 3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_the_least_that_fits() {
        for bytes in 0..=CHUNK {
            let class = class_of(bytes);
            let size = size_of_class(class);
            assert!(size >= bytes && size.is_multiple_of(64), "{bytes} in {size}");
            assert!(class == 0 || size_of_class(class - 1) < bytes, "{bytes} in {size}");
            assert!(size - bytes <= 64 || (size - bytes) * 8 <= size, "{bytes} in {size}");
        }
        assert_eq!(class_of(CHUNK), CLASSES - 1);
    }
}
