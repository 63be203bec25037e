//! Telling the processor what will be read, so that reads all over a large array do not wait one for the other.
#![allow(unsafe_code)]

/// Has the processor fetch a cell that will be read soon; nothing where there is none.
#[inline(always)]
pub fn read<T>(cells: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(cell) = cells.get(at) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint, for a cell that is there: nothing is read, and nothing faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(cell).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (cells, at);
}
