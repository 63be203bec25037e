//! Size classes of small blocks: multiples of 64 bytes, eight to a doubling, so that above 512 bytes at most an eighth
//! of a block is waste.

use crate::base::limits::{CHUNK, CLASSES_MAX};

/// How many size classes there are. Blocks of the last one are whole chunks.
pub const CLASSES: usize = class_of(CHUNK) + 1;

const _: () = assert!(CLASSES <= CLASSES_MAX && size_of_class(CLASSES - 1) == CHUNK);

/// The class of blocks of `bytes` bytes.
#[inline]
pub const fn class_of(bytes: usize) -> usize {
    let last = bytes.saturating_sub(1);
    if last < 512 {
        last / 64
    } else {
        let doubling = last.ilog2() as usize;
        8 * (doubling - 9) + (last >> (doubling - 3))
    }
}

/// Bytes of the blocks of a class.
#[inline]
pub const fn size_of_class(class: usize) -> usize {
    if class < 8 { (class + 1) * 64 } else { (class % 8 + 9) << (class / 8 + 5) }
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
            assert!(bytes <= 512 || (size - bytes) * 8 <= size, "{bytes} in {size}");
        }
        assert_eq!(class_of(CHUNK), CLASSES - 1);
    }
}
