//! What many threads put and one takes, without a lock: a list that is pushed to as R. K. Treiber's stack (1986) is, and
//! emptied as a whole. Nothing is ever taken off its top alone, so no node comes back while somebody looks at it (ABA).
#![allow(unsafe_code)]

use std::ptr;

use crate::base::sync::{AtomicPtr, Ordering};

/// One that was put, and the one put before it.
#[derive(Debug)]
struct Node<T> {
    value: T,
    before: *mut Node<T>,
}

/// What was put and not taken yet.
#[derive(Debug)]
pub struct Inbox<T> {
    newest: AtomicPtr<Node<T>>,
}

// SAFETY: values go from the threads that put them to the one that takes them; no two threads look at one value.
unsafe impl<T: Send> Send for Inbox<T> {}
// SAFETY: as above: a shared inbox gives nobody a reference to a value in it.
unsafe impl<T: Send> Sync for Inbox<T> {}

impl<T> Inbox<T> {
    /// An empty one.
    #[allow(clippy::new_without_default)] // loom's atomics have no constant default
    pub fn new() -> Self {
        Inbox { newest: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Puts a value. It waits for nobody: where another thread was first, it tries again, and that one is through.
    pub fn put(&self, value: T) {
        let mut newest = self.newest.load(Ordering::Relaxed);
        let node = Box::into_raw(Box::new(Node { value, before: newest }));
        // Release, so that whoever takes the node sees what is in it.
        while let Err(now) =
            self.newest.compare_exchange_weak(newest, node, Ordering::Release, Ordering::Relaxed)
        {
            newest = now;
            // SAFETY: nobody else knows the node before the exchange succeeds.
            unsafe { (*node).before = newest };
        }
    }

    /// Takes all, in the order in which they were put.
    pub fn take(&self) -> Vec<T> {
        // Acquire: what lies under the top was put by exchanges, too, which go on its release sequence.
        let mut next = self.newest.swap(ptr::null_mut(), Ordering::Acquire);
        let mut taken = Vec::new();
        while !next.is_null() {
            // SAFETY: a node comes from `Box::into_raw`, and the list is this thread's alone since the swap.
            let node = unsafe { Box::from_raw(next) };
            next = node.before;
            taken.push(node.value);
        }
        taken.reverse();
        taken
    }
}

impl<T> Drop for Inbox<T> {
    fn drop(&mut self) {
        self.take();
    }
}
