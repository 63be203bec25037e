//! Sleeping on a word of shared memory until another process changes it.
#![allow(unsafe_code)]

#[cfg(target_os = "linux")]
use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// The low half of a word, which is what the kernel can wait for.
#[cfg(target_os = "linux")]
fn low_half(word: &AtomicU64) -> &AtomicU32 {
    const _: () = assert!(cfg!(target_endian = "little"));
    // SAFETY: the first half of an aligned word of atomics, on a little-endian machine its low one; the kernel only
    // compares it.
    unsafe { &*std::ptr::from_ref(word).cast() }
}

/// Sleeps while the low half of the word is `low`, for so long at most. It may return before that.
#[cfg(target_os = "linux")]
pub fn sleep(word: &AtomicU64, low: u32, at_most: Duration) {
    use rustix::thread::futex;
    let at_most = futex::Timespec::try_from(at_most).ok();
    // Not private: those who wake are in other processes. Why it returns does not matter to whoever looks again.
    let _ = futex::wait(low_half(word), futex::Flags::empty(), low, at_most.as_ref());
}

/// Wakes so many of those who sleep on the word.
#[cfg(target_os = "linux")]
pub fn wake(word: &AtomicU64, count: u32) {
    use rustix::thread::futex;
    let _ = futex::wake(low_half(word), futex::Flags::empty(), count);
}

/// As elsewhere, by looking every now and then.
#[cfg(not(target_os = "linux"))]
pub fn sleep(word: &AtomicU64, low: u32, at_most: Duration) {
    let end = std::time::Instant::now() + at_most;
    while word.load(std::sync::atomic::Ordering::Relaxed) as u32 == low && std::time::Instant::now() < end {
        std::thread::sleep(Duration::from_micros(100));
    }
}

/// Nobody sleeps but for a moment.
#[cfg(not(target_os = "linux"))]
pub fn wake(_word: &AtomicU64, _count: u32) {}
