//! The recycled chunks of one span: a bitmap, searched next-fit for runs, with the hottest single chunks remembered.

use std::ops::Range;

/// Words that a search for a run reads before it prefers fresh memory: 16 KiB of bitmap, a few microseconds.
pub const SEARCH_WORDS: usize = 2048;

/// Chunks freed last that are tried first, at least so many: what was written last is most likely still in a cache.
const HOT: usize = 256;

/// A set of free chunk numbers. Neighbours join by lying side by side in the bitmap.
#[derive(Debug, Default)]
pub struct Runs {
    words: Vec<u64>,
    free: usize,
    cursor: usize,
    /// Words that this pass over what can go has behind it.
    passed: usize,
    hot: Vec<u32>,
}

impl Runs {
    /// How many chunks are free.
    pub fn free(&self) -> usize {
        self.free
    }

    /// Frees chunk `index`.
    ///
    /// # Panics
    /// If it is free already: two owners of one chunk would corrupt each other.
    pub fn insert(&mut self, index: usize) {
        let (word, bit) = (index / 64, 1 << (index % 64));
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        assert!(self.words[word] & bit == 0, "chunk {index} is freed twice");
        self.words[word] |= bit;
        self.free += 1;
        self.remember(index);
    }

    fn remember(&mut self, index: usize) {
        if self.hot.len() == 2 * HOT {
            self.hot.drain(..HOT);
        }
        self.hot.extend(u32::try_from(index));
    }

    /// Whether chunk `index` is free.
    pub fn has(&self, index: usize) -> bool {
        self.words.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// Begins a pass of [`Runs::take_some`].
    pub fn rewind(&mut self) {
        self.passed = 0;
    }

    /// Takes up to `most` free chunks in a row, the next such run of at least `least` in this pass.
    pub fn take_some(&mut self, least: usize, most: usize) -> Option<Range<usize>> {
        let found = self.scan(self.passed.min(self.words.len()), self.words.len(), least);
        self.passed = found.map_or(self.words.len(), |first| first / 64);
        let first = found?;
        let mut end = first + least;
        while end - first < most && self.has(end) {
            end += 1;
        }
        self.clear(first, end - first);
        Some(first..end)
    }

    /// The first `n` chunks in a row each of which is free here or in `other`, looked for in `search` words and as many as
    /// it takes to hold the run, from the one at `from` on, which moves on where there is none.
    pub fn run_with(&self, other: &Runs, n: usize, from: &mut usize, search: usize) -> Option<usize> {
        let (len, run) = (self.words.len().max(other.words.len()), n.div_ceil(64));
        let start = if *from < len { *from } else { 0 };
        let end = search.saturating_add(run).saturating_add(start).min(len);
        let word = |runs: &Runs, at: usize| runs.words.get(at).copied().unwrap_or_default();
        let words = (start..end).map(|at| word(self, at) | word(other, at)).collect();
        let found = Runs { words, ..Runs::default() }.scan(0, end - start, n);
        // A run may begin in what was looked through and end behind it.
        *from = if found.is_some() { start } else { end.saturating_sub(if end < len { run } else { 0 }) };
        Some(start * 64 + found?)
    }

    /// Takes `n` chunks in a row that are free.
    pub fn take_at(&mut self, index: usize, n: usize) {
        self.clear(index, n);
    }

    /// Takes one chunk: the one freed last if it is still free.
    pub fn take_one(&mut self) -> Option<usize> {
        if self.free == 0 {
            return None;
        }
        while let Some(hint) = self.hot.pop() {
            let index = hint as usize;
            if self.words[index / 64] >> (index % 64) & 1 == 1 {
                self.clear(index, 1);
                return Some(index);
            }
        }
        let len = self.words.len();
        let word = (0..len).map(|i| (self.cursor + i) % len).find(|w| self.words[*w] != 0)?;
        self.cursor = word;
        let index = word * 64 + self.words[word].trailing_zeros() as usize;
        self.clear(index, 1);
        Some(index)
    }

    /// Takes `n` chunks in a row, the first such run after the last one taken; gives up after `search` bitmap words.
    pub fn take_run(&mut self, n: usize, search: usize) -> Option<usize> {
        if n == 1 {
            return self.take_one();
        }
        if self.free < n {
            return None;
        }
        let split = self.cursor.min(self.words.len());
        let first = (split + search).min(self.words.len());
        let found = self.scan(split, first, n).or_else(|| {
            let left = search.saturating_sub(first - split);
            // A run may begin before the cursor and go on behind it.
            self.scan(0, (split + n.div_ceil(64)).min(left).min(self.words.len()), n)
        })?;
        self.clear(found, n);
        self.cursor = (found + n) / 64;
        Some(found)
    }

    /// The first run of `n` free chunks within the words `from..to`.
    fn scan(&self, from: usize, to: usize, n: usize) -> Option<usize> {
        let (mut start, mut len) = (from * 64, 0);
        for at in from..to {
            let word = self.words[at];
            if word == u64::MAX {
                len += 64;
            } else if word == 0 {
                (start, len) = (at * 64 + 64, 0);
            } else {
                let mut bit = 0;
                while bit < 64 {
                    let ones = (!(word >> bit)).trailing_zeros().min(64 - bit);
                    len += ones as usize;
                    if len >= n {
                        return Some(start);
                    }
                    bit += ones;
                    if bit < 64 {
                        bit += (word >> bit).trailing_zeros().min(64 - bit);
                        (start, len) = (at * 64 + bit as usize, 0);
                    }
                }
            }
            if len >= n {
                return Some(start);
            }
        }
        None
    }

    fn clear(&mut self, index: usize, n: usize) {
        let (mut at, end) = (index, index + n);
        while at < end {
            let bits = (64 - at % 64).min(end - at);
            let mask = if bits == 64 { u64::MAX } else { ((1 << bits) - 1) << (at % 64) };
            debug_assert!(self.words[at / 64] & mask == mask);
            self.words[at / 64] &= !mask;
            at += bits;
        }
        self.free -= n;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    impl Runs {
        fn rewound(&mut self) -> &mut Runs {
            self.rewind();
            self
        }
    }

    fn has_run(model: &BTreeSet<usize>, n: usize) -> bool {
        model.iter().any(|first| (*first..first + n).all(|i| model.contains(&i)))
    }

    proptest! {
        #[test]
        fn behaves_like_a_set(steps in prop::collection::vec((0usize..5, 0usize..300, 1usize..150), 1..300)) {
            let mut runs = Runs::default();
            let mut model = BTreeSet::new();
            for (what, index, n) in steps {
                match what {
                    0 => if model.insert(index) { runs.insert(index) },
                    1 => for i in index..index + n { if model.insert(i) { runs.insert(i) } },
                    2 => match runs.take_one() {
                        Some(i) => prop_assert!(model.remove(&i)),
                        None => prop_assert!(model.is_empty()),
                    },
                    3 => match runs.rewound().take_some(n, 2 * n) {
                        Some(run) => {
                            prop_assert!((n..=2 * n).contains(&run.len()));
                            prop_assert!(run.len() == 2 * n || !model.contains(&run.end));
                            for i in run { prop_assert!(model.remove(&i)) }
                        }
                        None => prop_assert!(!has_run(&model, n), "run of {n} in {model:?}"),
                    },
                    _ => match runs.take_run(n, usize::MAX / 2) {
                        Some(first) => for i in first..first + n { prop_assert!(model.remove(&i)) },
                        None => prop_assert!(!has_run(&model, n), "run of {n} in {model:?}"),
                    },
                }
                prop_assert_eq!(runs.free(), model.len());
            }
        }
    }

    proptest! {
        #[test]
        fn joins_two_sets(of in prop::collection::vec(0u8..4, 1..400), n in 1usize..70) {
            let (mut one, mut other, mut model) = (Runs::default(), Runs::default(), BTreeSet::new());
            for (index, of) in of.into_iter().enumerate() {
                match of {
                    0 => continue,
                    1 => other.insert(index),
                    _ => one.insert(index),
                }
                model.insert(index);
            }
            let (mut from, words) = (0, model.last().map_or(0, |last| last / 64 + 1));
            let found = (0..words).find_map(|_| one.run_with(&other, n, &mut from, 1));
            prop_assert_eq!(found, one.run_with(&other, n, &mut 0, usize::MAX));
            match found {
                Some(first) => prop_assert!((first..first + n).all(|i| one.has(i) != other.has(i))),
                None => prop_assert!(!has_run(&model, n)),
            }
        }
    }

    #[test]
    fn gives_the_chunk_freed_last() {
        let mut runs = Runs::default();
        for i in 0..1000 {
            runs.insert(i);
        }
        runs.insert(5000);
        runs.insert(1234);
        assert_eq!(runs.take_one(), Some(1234));
        assert_eq!(runs.take_one(), Some(5000));
        assert_eq!(runs.take_one(), Some(999));
    }

    #[test]
    #[should_panic(expected = "freed twice")]
    fn refuses_a_second_free() {
        let mut runs = Runs::default();
        runs.insert(7);
        runs.insert(7);
    }
}
