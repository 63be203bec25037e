//! A vector that is read all over, in huge pages: with small ones, each read of a large one misses the processor's list of
//! pages first.
#![allow(unsafe_code)]

/// From so many bytes on huge pages are asked for.
pub const HUGE: usize = 4 << 20;

/// A huge page.
#[cfg(target_os = "linux")]
const PAGE: usize = 2 << 20;

/// Has a vector have so many words, those that are new 0.
pub fn resize(words: &mut Vec<u64>, count: usize) {
    if count > words.capacity() && count * 8 >= HUGE {
        words.reserve(count - words.len());
        #[cfg(target_os = "linux")]
        advise(words);
    }
    words.resize(count, 0);
}

/// Asks for huge pages for the vector's memory. Where the machine has none to give, nothing happens.
#[cfg(target_os = "linux")]
fn advise(words: &mut Vec<u64>) {
    let bytes = words.capacity() * 8;
    let base = words.as_mut_ptr().cast::<u8>();
    let before = base.align_offset(PAGE).min(bytes);
    let whole = (bytes - before) / PAGE * PAGE;
    // SAFETY: the pages lie inside the vector's memory, and the advice changes how they are backed, not what they hold.
    let _ = unsafe { rustix::mm::madvise(base.add(before).cast(), whole, rustix::mm::Advice::LinuxHugepage) };
}

#[cfg(test)]
mod tests {
    use super::resize;

    #[test]
    fn words_stay_as_they_are() {
        let mut words = Vec::new();
        for count in [0, 3, 5_000, 600_000, 700_000, 2_000_000, 10] {
            let kept = words.clone();
            resize(&mut words, count);
            let both = kept.len().min(count);
            assert_eq!((words.len(), &words[..both]), (count, &kept[..both]));
            assert!(words[both..].iter().all(|word| *word == 0));
            words.iter_mut().zip(1..).for_each(|(word, number)| *word = number);
        }
    }
}
