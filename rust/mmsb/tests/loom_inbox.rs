//! The inbox under every interleaving that loom finds:
//! `RUSTFLAGS="--cfg mmsb_loom" cargo test -p mmsb --test loom_inbox --release`.
#![cfg(mmsb_loom)]
#![allow(clippy::unwrap_used, unsafe_code)]

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use mmsb::base::inbox::Inbox;

/// Something that is written by who puts it and read by who takes it: loom fails where the one does not happen before the
/// other, and where it is never let go.
struct Letter {
    text: UnsafeCell<u32>,
    _leaks: Arc<()>,
}

// SAFETY: for the test: loom tells when two threads are in a cell at once.
unsafe impl Send for Letter {}

fn letter(number: u32) -> Letter {
    let text = UnsafeCell::new(0);
    // SAFETY: nobody else has it.
    text.with_mut(|text| unsafe { *text = number });
    Letter { text, _leaks: Arc::new(()) }
}

fn read(letters: Vec<Letter>) -> Vec<u32> {
    // SAFETY: loom looks whether the writing came before.
    letters.into_iter().map(|letter| letter.text.with(|text| unsafe { *text })).collect()
}

/// Puts letters of a thread's own numbers.
fn put(inbox: &Arc<Inbox<Letter>>, numbers: &'static [u32]) -> thread::JoinHandle<()> {
    let inbox = Arc::clone(inbox);
    thread::spawn(move || numbers.iter().for_each(|&number| inbox.put(letter(number))))
}

/// Whether numbers of one thread, those of the same tens, are in their order.
fn in_order(taken: &[u32]) -> bool {
    [1, 2].iter().all(|tens| taken.iter().filter(|number| *number / 10 == *tens).is_sorted())
}

#[test]
fn what_two_put_while_one_takes_comes_once_and_in_order() {
    loom::model(|| {
        let inbox = Arc::new(Inbox::new());
        let threads = [put(&inbox, &[10, 11]), put(&inbox, &[20])];
        let mut taken = read(inbox.take());
        taken.extend(read(inbox.take()));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        taken.extend(read(inbox.take()));
        assert!(in_order(&taken), "{taken:?}");
        taken.sort_unstable();
        assert_eq!(taken, [10, 11, 20]);
    });
}

#[test]
fn two_that_take_share_what_is_there() {
    loom::model(|| {
        let inbox = Arc::new(Inbox::new());
        inbox.put(letter(10));
        let putting = put(&inbox, &[20]);
        let other = {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || read(inbox.take()))
        };
        let mut taken = read(inbox.take());
        taken.extend(other.join().unwrap());
        putting.join().unwrap();
        taken.extend(read(inbox.take()));
        taken.sort_unstable();
        assert_eq!(taken, [10, 20]);
    });
}

#[test]
fn what_nobody_takes_is_let_go() {
    loom::model(|| {
        let inbox = Arc::new(Inbox::new());
        let putting = put(&inbox, &[10]);
        inbox.put(letter(20));
        putting.join().unwrap();
        // loom fails where what the letters hold is not dropped with the inbox.
    });
}
