//! Waiting, for callers who hold something that others need meanwhile: an interpreter's lock.

use std::sync::OnceLock;

/// Does the work that is handed to it, with whatever the caller holds let go of for as long as that takes.
pub type Aside = fn(&mut dyn FnMut());

static ASIDE: OnceLock<Aside> = OnceLock::new();

/// Has every wait of this process go through a function: the one who lets go of what its threads hold. The first one
/// counts.
pub fn set_aside(aside: Aside) {
    let _ = ASIDE.set(aside);
}

/// Does what may wait for others.
pub fn aside<T>(work: impl FnOnce() -> T) -> T {
    let Some(aside) = ASIDE.get() else { return work() };
    let (mut work, mut done) = (Some(work), None);
    aside(&mut || done = work.take().map(|work| work()));
    match (done, work) {
        (Some(done), _) => done,
        (None, Some(work)) => work(),
        (None, None) => unreachable!("work that was taken is done"),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        static TIMES: Cell<u32> = const { Cell::new(0) };
    }

    #[test]
    fn waits_go_through_what_was_set_once() {
        assert_eq!(aside(|| 3), 3);
        set_aside(|work| {
            TIMES.set(TIMES.get() + 1);
            work();
        });
        set_aside(|_| {});
        let text = String::from("moved in");
        assert_eq!(aside(move || text.len()), 8);
        assert_eq!(TIMES.get(), 1);
    }
}
