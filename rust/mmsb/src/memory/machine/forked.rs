//! Files that a forked child must not keep: those whose lock says that the parent lives.
//!
//! A child that is forked has copies of its parent's descriptors, and a lock of an open file description is let go of when the
//! last of them is closed. So a parent that dies would seem to live for as long as its children. Here the child lets go
//! of them, before it does anything else. Another program that it may become has none of them anyway.
#![allow(unsafe_code)]

use std::fs::File;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicI32, AtomicPtr, Ordering};

/// No descriptor.
const NONE: RawFd = -1;

/// A descriptor in the list of those that a child lets go of. The list never gets shorter: a child walks it as it finds it.
#[derive(Debug)]
struct Node {
    descriptor: AtomicI32,
    next: *const Node,
}

// SAFETY: nothing but the atomic ever changes, and nodes live for ever.
unsafe impl Sync for Node {}

static NEWEST: AtomicPtr<Node> = AtomicPtr::new(ptr::null_mut());

/// The nodes, newest first.
fn nodes() -> impl Iterator<Item = &'static Node> {
    let mut next: *const Node = NEWEST.load(Ordering::Acquire);
    std::iter::from_fn(move || {
        // SAFETY: null, or a node, which lives for ever.
        let node = unsafe { next.as_ref() }?;
        next = node.next;
        Some(node)
    })
}

/// A file that children let go of when they are forked, for as long as this is.
#[derive(Debug)]
pub struct Own {
    file: File,
    node: &'static Node,
}

impl Own {
    /// Has children let go of the file from now on. Lock it only then.
    pub fn new(file: File) -> Own {
        static WATCH: Once = Once::new();
        WATCH.call_once(watch);
        let descriptor = file.as_raw_fd();
        let take = |node: &&Node| {
            let taken =
                node.descriptor.compare_exchange(NONE, descriptor, Ordering::AcqRel, Ordering::Relaxed);
            taken.is_ok()
        };
        let node = nodes().find(take).unwrap_or_else(|| add(descriptor));
        Own { file, node }
    }

    /// The file; in a child, one that holds nothing.
    pub fn file(&self) -> &File {
        &self.file
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // Before the file is closed: its number may be another's at once. In a child the node may be another file's by now.
        let own = self.file.as_raw_fd();
        let _ = self.node.descriptor.compare_exchange(own, NONE, Ordering::AcqRel, Ordering::Relaxed);
    }
}

/// Adds a node to the list.
fn add(descriptor: RawFd) -> &'static Node {
    let mut newest = NEWEST.load(Ordering::Acquire);
    let node = Box::into_raw(Box::new(Node { descriptor: AtomicI32::new(descriptor), next: newest }));
    while let Err(now) = NEWEST.compare_exchange(newest, node, Ordering::AcqRel, Ordering::Acquire) {
        newest = now;
        // SAFETY: nobody else knows the node before the exchange succeeds.
        unsafe { (*node).next = newest };
    }
    // SAFETY: it is never freed.
    unsafe { &*node }
}

/// Has `let_go` called in every child.
#[cfg(target_os = "linux")]
fn watch() {
    // SAFETY: the handler calls nothing that may not be called between fork and exec (`signal-safety(7)`).
    let done = unsafe { libc::pthread_atfork(None, None, Some(let_go)) };
    assert_eq!(done, 0, "there is no memory for a handler of forks");
}

/// Elsewhere nothing is shared between processes.
#[cfg(not(target_os = "linux"))]
fn watch() {}

/// Puts nothing in the place of each descriptor, so that whoever closes it in the child closes nobody else's.
#[cfg(target_os = "linux")]
extern "C" fn let_go() {
    for node in nodes() {
        let descriptor = node.descriptor.swap(NONE, Ordering::Relaxed);
        if descriptor == NONE {
            continue;
        }
        // SAFETY: system calls on numbers; the child has one thread, so nobody takes the number in between.
        unsafe {
            libc::close(descriptor);
            let nothing = libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
            if nothing >= 0 && nothing != descriptor {
                libc::dup3(nothing, descriptor, libc::O_CLOEXEC);
                libc::close(nothing);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn one_that_a_child_let_go_of_leaves_its_node_to_the_next() {
        let first = Own::new(tempfile::tempfile().unwrap());
        // As the child does.
        let own = first.file.as_raw_fd();
        first.node.descriptor.store(NONE, Ordering::Release);
        let next = Own::new(tempfile::tempfile().unwrap());
        let has = next.file.as_raw_fd();
        assert_ne!(has, own);
        drop(first);
        assert_eq!(next.node.descriptor.load(Ordering::Relaxed), has);
    }
}
