//! Where blocks that are in memory lie on disk, so that the next checkpoint does not write them again.

use crate::memory::addr::Addr;
use crate::page::checkpoint::chunks::Image;

/// A block, and where it lies on disk. Its file is below 2^32: the number of checkpoints ever made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Placed {
    block: u64,
    born: u64,
    at: u64,
    file: u32,
    crc: u32,
}

// A bus of many small pages has one for each of them, for as long as it is open.
const _: () = assert!(size_of::<Placed>() == 32);

/// What is being found out of where blocks lie, in any order.
#[derive(Debug, Default)]
pub struct Notes(Vec<Placed>);

impl Notes {
    /// Notes where a block lies, by where and when it was made: a block is never both at once anew.
    pub fn note(&mut self, block: Addr, born: u64, image: Image) {
        // One that cannot be noted is written again.
        if let Ok(file) = u32::try_from(image.file) {
            self.0.push(Placed { block: block.0, born, at: image.at, file, crc: image.crc });
        }
    }

    /// Takes over what others noted.
    pub fn append(&mut self, mut others: Notes) {
        self.0.append(&mut others.0);
    }

    /// To be asked from now on.
    pub fn into_known(self) -> Known {
        let mut placed = self.0;
        placed.sort_unstable();
        placed.dedup_by_key(|placed| (placed.block, placed.born));
        Known(placed.into_boxed_slice())
    }
}

/// Where blocks lie on disk.
#[derive(Debug, Default)]
pub struct Known(Box<[Placed]>);

impl Known {
    /// Where the block that was made there and then lies.
    pub fn get(&self, block: Addr, born: u64) -> Option<Image> {
        let found =
            self.0.binary_search_by_key(&(block.0, born), |placed| (placed.block, placed.born)).ok()?;
        Some(self.0[found].image())
    }

    /// The same blocks, each where `to` says that it lies now.
    pub fn moved(&self, to: impl Fn(Image) -> Image) -> Known {
        let mut notes = Notes(Vec::with_capacity(self.0.len()));
        self.0.iter().for_each(|placed| notes.note(Addr(placed.block), placed.born, to(placed.image())));
        notes.into_known()
    }
}

impl Placed {
    fn image(&self) -> Image {
        Image { file: self.file.into(), at: self.at, crc: self.crc }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn image(n: u64) -> Image {
        Image { file: 1 + n % 3, at: n * 64, crc: n as u32 }
    }

    proptest! {
        #[test]
        fn tells_of_every_block_what_was_noted(blocks in prop::collection::hash_set((0u64..40, 0u64..9), 0..200)) {
            let (mut notes, mut others, mut model) = (Notes::default(), Notes::default(), HashMap::new());
            for (n, &(at, born)) in blocks.iter().enumerate() {
                let to = if n % 2 == 0 { &mut notes } else { &mut others };
                to.note(Addr(at * 64), born, image(n as u64));
                model.insert((at, born), image(n as u64));
            }
            notes.append(others);
            let known = notes.into_known();
            let moved = known.moved(|image| Image { file: image.file + 1, ..image });
            for at in 0..41 {
                for born in 0..10 {
                    let expected = model.get(&(at, born)).copied();
                    prop_assert_eq!(known.get(Addr(at * 64), born), expected);
                    let expected = expected.map(|image| Image { file: image.file + 1, ..image });
                    prop_assert_eq!(moved.get(Addr(at * 64), born), expected);
                }
            }
        }
    }

    #[test]
    fn a_file_of_a_number_out_of_range_is_not_known() {
        let mut notes = Notes::default();
        notes.note(Addr(64), 1, Image { file: 1 << 32, at: 0, crc: 0 });
        assert_eq!(notes.into_known().get(Addr(64), 1), None);
    }
}
