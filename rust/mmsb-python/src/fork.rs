//! What belongs to the process that made it: a child that `fork` made may look at views, and touch nothing else.

use std::sync::atomic::{AtomicU32, Ordering};

use pyo3::prelude::*;

/// How often this process came out of a fork. What was made under another number belongs to an ancestor.
static GENERATION: AtomicU32 = AtomicU32::new(0);

fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// Runs in a child after `fork`.
#[pyfunction]
pub fn _after_fork() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// A value of the process that made it. In a forked child it is forgotten instead of dropped: dropping it would let go
/// what the parent still holds, in memory that both see.
pub struct Own<T> {
    value: Option<T>,
    generation: u32,
}

impl<T> Own<T> {
    pub fn new(value: T) -> Self {
        Own { value: Some(value), generation: generation() }
    }

    /// Whether it came into this process by a fork.
    pub fn is_foreign(&self) -> bool {
        self.generation != generation()
    }

    /// The value, whoever made it.
    pub fn get(&self) -> &T {
        self.value.as_ref().expect("only who drops it takes the value")
    }

    /// The value to change.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("only who drops it takes the value")
    }

    /// Takes the value, of which there is no other use then than to drop this; `None` where a fork brought it here.
    pub fn take(&mut self) -> Option<T> {
        if self.is_foreign() { None } else { self.value.take() }
    }

    /// The value out of its wrapper.
    pub fn into_inner(mut self) -> T {
        self.value.take().expect("taken once, here")
    }
}

impl<T> Drop for Own<T> {
    fn drop(&mut self) {
        if self.is_foreign() {
            std::mem::forget(self.value.take());
        }
    }
}
