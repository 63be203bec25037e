//! The writer's lock between real processes: one that waits is woken, one that is stopped keeps the lock, and the lock of
//! one that was killed is taken over.
//!
//! The other process is this test program itself, told by an environment variable what to do.
#![cfg(all(target_os = "linux", not(mmsb_loom)))]
#![allow(unsafe_code, clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mmsb::memory::machine::mapping::{Access, Mapping};
use mmsb::memory::shared::lock::{Holder, Lock, Taken};
use mmsb::memory::shared::slots::Slot;

const CHILD: &str = "MMSB_LOCK_CHILD";
const BYTES: usize = 4096;

/// What two processes share: a file of one page, and the file of their slots.
struct Shared {
    mapping: Mapping,
    slot: Slot,
}

impl Shared {
    fn open(dir: &Path) -> Shared {
        let mut options = std::fs::OpenOptions::new();
        let file =
            options.read(true).write(true).create(true).truncate(false).open(dir.join("page")).unwrap();
        file.set_len(BYTES as u64).unwrap();
        let mapping = Mapping::of_file(&file, BYTES, Access::Write).unwrap();
        // SAFETY: as in `lock`.
        let lock: &Lock = unsafe { &*mapping.base().cast() };
        let is_free = |slot| lock.holder().is_none_or(|holder| holder.slot != slot);
        let slot = Slot::claim(&dir.join("slots"), is_free).unwrap();
        Shared { mapping, slot }
    }

    fn lock(&self) -> &Lock {
        // SAFETY: the page begins with the lock's word, zero at first and mapped for as long as this is.
        unsafe { &*self.mapping.base().cast() }
    }

    /// Two words that holders count up one after the other.
    fn words(&self) -> &[AtomicU64; 2] {
        // SAFETY: they follow the lock in the page.
        unsafe { &*self.mapping.base().add(8).cast() }
    }

    fn take(&self, within: Duration) -> Result<Taken, Holder> {
        self.lock().take(self.slot.number(), &self.slot, within)
    }

    fn give(&self) {
        self.lock().give(self.slot.number(), &self.slot);
    }

    /// Counts both words up with the lock held; false where they were not the same before.
    fn count(&self) -> bool {
        let [first, second] = self.words();
        let (one, other) = (first.load(Ordering::Relaxed), second.load(Ordering::Relaxed));
        first.store(one + 1, Ordering::Relaxed);
        second.store(other + 1, Ordering::Relaxed);
        one == other
    }
}

/// Does what each line says, and answers each with one.
fn child(dir: &str) {
    let shared = Shared::open(Path::new(dir));
    let mut out = std::io::stdout().lock();
    let mut say = |text: &str| {
        writeln!(out, "\nchild: {text}").unwrap();
        out.flush().unwrap();
    };
    say(&format!("slot {}", shared.slot.number()));
    for line in std::io::stdin().lines().map_while(Result::ok) {
        match line.as_str() {
            "take" => assert_eq!(shared.take(Duration::from_secs(10)), Ok(Taken::Free)),
            "give" => shared.give(),
            "fork" => {
                // SAFETY: the child of this process's one thread calls nothing but what may be called there.
                match unsafe { libc::fork() } {
                    0 => unsafe {
                        // SAFETY: system calls, and nothing comes back.
                        libc::sleep(60);
                        libc::_exit(0);
                    },
                    child => say(&format!("child {child}")),
                }
                continue;
            }
            "half" => drop(shared.words()[0].fetch_add(1, Ordering::Relaxed)),
            "count" => {
                for _ in 0..20_000 {
                    assert_eq!(shared.take(Duration::from_secs(10)), Ok(Taken::Free));
                    assert!(shared.count(), "two at once");
                    shared.give();
                }
            }
            other => panic!("told to {other}"),
        }
        say("done");
    }
}

struct Other {
    process: Child,
    to: ChildStdin,
    from: BufReader<std::process::ChildStdout>,
    slot: u32,
}

impl Other {
    fn start(dir: &Path, test: &str) -> Other {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(CHILD, dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        let mut other = Other { process, to, from, slot: 0 };
        other.slot = other.hear().strip_prefix("slot ").unwrap().parse().unwrap();
        other
    }

    fn hear(&mut self) -> String {
        let said = |line: std::io::Result<String>| line.unwrap().strip_prefix("child: ").map(str::to_owned);
        (&mut self.from).lines().find_map(said).expect("the child says something")
    }

    fn tell(&mut self, what: &str) {
        writeln!(self.to, "{what}").unwrap();
    }

    fn does(&mut self, what: &str) {
        self.tell(what);
        assert_eq!(self.hear(), "done");
    }

    fn signal(&self, name: &str) {
        let pid = rustix::process::Pid::from_child(&self.process);
        let signal = match name {
            "stop" => rustix::process::Signal::STOP,
            _ => rustix::process::Signal::CONT,
        };
        rustix::process::kill_process(pid, signal).unwrap();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where two processes meet, this one, and another one that does what this test tells it; nothing in that other one, which
/// has done so then.
fn two(test: &str) -> Option<(tempfile::TempDir, Shared, Other)> {
    if let Ok(dir) = std::env::var(CHILD) {
        child(&dir);
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let (shared, other) = (Shared::open(dir.path()), Other::start(dir.path(), test));
    Some((dir, shared, other))
}

#[test]
fn two_processes_count_in_turns() {
    let Some((_dir, shared, mut other)) = two("two_processes_count_in_turns") else { return };
    assert_eq!((shared.slot.number(), other.slot), (0, 1));
    other.tell("count");
    for _ in 0..20_000 {
        assert_eq!(shared.take(Duration::from_secs(10)), Ok(Taken::Free));
        assert!(shared.count(), "two at once");
        shared.give();
    }
    assert_eq!(other.hear(), "done");
    assert_eq!(shared.words().each_ref().map(|word| word.load(Ordering::Relaxed)), [40_000; 2]);
}

#[test]
fn a_sleeper_is_woken_long_before_it_looks_by_itself() {
    let Some((_dir, shared, mut other)) = two("a_sleeper_is_woken_long_before_it_looks_by_itself") else {
        return;
    };
    let mut waits = Vec::new();
    for _ in 0..20 {
        assert_eq!(shared.take(Duration::from_secs(10)), Ok(Taken::Free));
        other.tell("take");
        while !shared.lock().is_waited_for() {
            std::thread::yield_now();
        }
        let given = Instant::now();
        shared.give();
        assert_eq!(other.hear(), "done");
        waits.push(given.elapsed());
        other.does("give");
    }
    waits.sort();
    assert!(waits[5] < Duration::from_millis(5), "it slept out its time: {waits:?}");
}

#[test]
fn a_stopped_holder_keeps_it_and_a_killed_one_does_not() {
    let Some((dir, shared, mut other)) = two("a_stopped_holder_keeps_it_and_a_killed_one_does_not") else {
        return;
    };
    other.does("take");
    other.does("half");
    other.signal("stop");
    let began = Instant::now();
    let held = shared.take(Duration::from_millis(200));
    assert_eq!(held.map_err(|holder| holder.slot), Err(other.slot), "it lives, and may go on");
    assert!(began.elapsed() >= Duration::from_millis(200));
    other.process.kill().unwrap();
    other.process.wait().unwrap();
    let next = Other::start(dir.path(), "a_stopped_holder_keeps_it_and_a_killed_one_does_not");
    assert_ne!(next.slot, other.slot, "or the dead holder would seem to live");
    let began = Instant::now();
    assert_eq!(shared.take(Duration::from_secs(10)), Ok(Taken::FromDead(other.slot)));
    assert!(began.elapsed() < Duration::from_secs(1), "nobody waits for the dead");
    assert_eq!(shared.words()[0].load(Ordering::Relaxed), 1, "what it had done is seen");
    shared.give();
    assert!(shared.slot.is_dead(other.slot));
    let next = Other::start(dir.path(), "a_stopped_holder_keeps_it_and_a_killed_one_does_not");
    assert_eq!(next.slot, other.slot, "its slot is free again");
}

#[test]
fn a_parent_does_not_live_on_in_its_children() {
    let Some((_dir, shared, mut other)) = two("a_parent_does_not_live_on_in_its_children") else { return };
    other.does("take");
    other.tell("fork");
    let child = other.hear().strip_prefix("child ").unwrap().parse().unwrap();
    let child = rustix::process::Pid::from_raw(child).unwrap();
    assert!(!shared.slot.is_dead(other.slot), "the child lets go of its copy, not of its parent's slot");
    other.process.kill().unwrap();
    other.process.wait().unwrap();
    assert_eq!(shared.take(Duration::from_secs(10)), Ok(Taken::FromDead(other.slot)));
    rustix::process::test_kill_process(child).expect("the child lives");
    rustix::process::kill_process(child, rustix::process::Signal::KILL).unwrap();
}
