//! Views by rewiring against a plain copy, their accounting, and the folders of arenas, of the living and of the dead.
#![allow(unsafe_code, clippy::unwrap_used, clippy::undocumented_unsafe_blocks)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use mmsb::base::limits::{CHUNK, VIEW_MAPPINGS_MAX};
use mmsb::memory::addr::Addr;
use mmsb::memory::arena::Arena;
use mmsb::memory::error::MemoryError;
use mmsb::memory::machine::place::{Home, Place, sweep};
use mmsb::memory::view::{OwnedBuffer, ViewRange, mappings};
use proptest::prelude::*;

const BUDGET: u64 = 64 << 20;

/// The count of mappings is the process's: a test that looks at it runs while no other makes views.
static TURN: RwLock<()> = RwLock::new(());

fn alone() -> RwLockWriteGuard<'static, ()> {
    TURN.write().unwrap_or_else(PoisonError::into_inner)
}

fn among_others() -> RwLockReadGuard<'static, ()> {
    TURN.read().unwrap_or_else(PoisonError::into_inner)
}

fn chunks(arena: &Arena, n: usize) -> Addr {
    let addr = arena.alloc_chunks(n).unwrap();
    for i in 0..n {
        let at = addr.plus((i * CHUNK) as u64);
        unsafe { std::slice::from_raw_parts_mut(arena.write_ptr(at), CHUNK) }
            .fill((at.0 / CHUNK as u64) as u8);
    }
    addr
}

fn bytes(view: &ViewRange) -> &[u8] {
    unsafe { std::slice::from_raw_parts(view.as_ptr(), view.len()) }
}

/// How many mappings the kernel has in the range.
fn kernel_mappings(view: &ViewRange) -> usize {
    let (from, to) = (view.as_ptr() as usize, view.as_ptr() as usize + view.len());
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let starts = maps.lines().map(|line| usize::from_str_radix(line.split('-').next().unwrap(), 16).unwrap());
    starts.filter(|start| (from..to).contains(start)).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn a_view_shows_what_was_mapped(pieces in prop::collection::vec((0usize..32, 1usize..8, any::<bool>()), 1..60)) {
        let _alone = alone();
        let arena = Arena::new(Place::Memory, BUDGET).unwrap();
        let before = mappings();
        let mut view = ViewRange::new(32 * CHUNK).unwrap();
        view.map_zero(0, 32 * CHUNK).unwrap();
        let mut model = vec![0; 32 * CHUNK];
        for (at, n, zero) in pieces {
            let n = n.min(32 - at);
            let (offset, len) = (at * CHUNK, n * CHUNK);
            if zero {
                view.map_zero(offset, len).unwrap();
                model[offset..offset + len].fill(0);
            } else {
                let addr = chunks(&arena, n);
                view.map_piece(offset, &arena, addr, len).unwrap();
                let source = unsafe { std::slice::from_raw_parts(arena.read_ptr(addr), len) };
                model[offset..offset + len].copy_from_slice(source);
            }
            prop_assert!(bytes(&view) == model);
            prop_assert_eq!(mappings(), before + view.pieces());
            prop_assert!(kernel_mappings(&view) <= view.pieces());
        }
        drop(view);
        prop_assert_eq!(mappings(), before);
    }
}

#[test]
fn a_view_outlives_the_arena_and_sees_one_memory() {
    let _turn = among_others();
    let arena = Arena::new(Place::Memory, BUDGET).unwrap();
    let addr = chunks(&arena, 2);
    let mut view = ViewRange::new(2 * CHUNK).unwrap();
    view.map_piece(0, &arena, addr.plus(CHUNK as u64), CHUNK).unwrap();
    view.map_piece(CHUNK, &arena, addr, CHUNK).unwrap();
    unsafe { arena.write_ptr(addr).write(77) };
    drop(arena);
    assert_eq!(bytes(&view)[CHUNK], 77);
}

#[test]
fn too_many_mappings_are_refused_before_the_kernel_does() {
    let _alone = alone();
    let arena = Arena::new(Place::Memory, BUDGET).unwrap();
    let addr = chunks(&arena, 1);
    let n = VIEW_MAPPINGS_MAX + 10;
    let mut view = ViewRange::new(n * CHUNK).unwrap();
    // The same chunk everywhere: nothing for the kernel to join.
    let refused = (0..n).map(|i| view.map_piece(i * CHUNK, &arena, addr, CHUNK)).find(|done| done.is_err());
    assert!(matches!(refused, Some(Err(MemoryError::TooManyMappings { .. }))));
    assert!(mappings() <= VIEW_MAPPINGS_MAX && mappings() > VIEW_MAPPINGS_MAX - 10);
    assert_eq!(bytes(&view)[0], unsafe { *arena.read_ptr(addr) });
    // Gathering still works: from the heap when there are no mappings left.
    let held: Vec<OwnedBuffer> =
        (0..20).map(|i| OwnedBuffer::build(10_000, |to| to.fill(i)).unwrap()).collect();
    assert!(held.iter().zip(0..).all(|(buffer, i)| buffer.as_slice().iter().all(|b| *b == i)));
    assert!(mappings() <= VIEW_MAPPINGS_MAX);
    drop((view, held));
    assert_eq!(mappings(), 0);
}

#[test]
fn buffers_are_aligned_and_hold_what_they_were_filled_with() {
    let _alone = alone();
    for len in [0, 1, 63, 4095, 4096, 4097, 1 << 20, 5 << 20] {
        let buffer = OwnedBuffer::build(len, |to| {
            assert!(to.len() == len && to.iter().all(|b| *b == 0));
            to.iter_mut().enumerate().for_each(|(i, b)| *b = i as u8);
        });
        let buffer = buffer.unwrap();
        assert_eq!(buffer.as_ptr() as usize % 64, 0);
        assert_eq!((buffer.len(), buffer.is_empty()), (len, len == 0));
        assert!(buffer.as_slice().iter().enumerate().all(|(i, b)| *b == i as u8));
    }
    assert_eq!(mappings(), 0);
}

/// Runs this test file again, one test of it as a child process with `MMSB_CHILD` set.
fn child(test: &str, what: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env("MMSB_CHILD", what);
    command
}

#[test]
fn a_stray_write_is_a_crash_and_not_corruption() {
    use std::os::unix::process::ExitStatusExt;
    let test = "a_stray_write_is_a_crash_and_not_corruption";
    if let Ok(what) = std::env::var("MMSB_CHILD") {
        let arena = Arena::new(Place::Memory, BUDGET).unwrap();
        let addr = chunks(&arena, 1);
        let mut view = ViewRange::new(2 * CHUNK).unwrap();
        view.map_piece(0, &arena, addr, CHUNK).unwrap();
        view.map_zero(CHUNK, CHUNK).unwrap();
        let buffer = OwnedBuffer::build(8192, |to| to.fill(1)).unwrap();
        let target = match what.as_str() {
            "arena" => arena.read_ptr(addr),
            "view" => view.as_ptr(),
            "zero" => view.as_ptr().wrapping_add(CHUNK),
            _ => buffer.as_ptr(),
        };
        unsafe { target.cast_mut().write_volatile(9) };
        return;
    }
    for what in ["arena", "view", "zero", "buffer"] {
        let output = child(test, what).output().unwrap();
        assert_eq!(output.status.signal(), Some(11), "{what}");
    }
}

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("mmsb-place-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    fn entries(&self) -> Vec<PathBuf> {
        fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn use_it(arena: &Arc<Arena>) {
    let _turn = among_others();
    let addr = chunks(arena, 10);
    let mut view = ViewRange::new(CHUNK).unwrap();
    view.map_piece(0, arena, addr, CHUNK).unwrap();
    assert_eq!(bytes(&view)[0], (addr.0 / CHUNK as u64) as u8);
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_tmpfs_folder_is_private_and_goes_with_the_arena() {
    let scratch = Scratch::new("tmpfs");
    let place = Place::Tmpfs { dir: scratch.0.clone() };
    let (one, two) = (Arena::new(place.clone(), BUDGET).unwrap(), Arena::new(place, BUDGET).unwrap());
    use_it(&one);
    use_it(&two);
    // A living arena's folder is not swept.
    assert_eq!(sweep(&scratch.0), 0);
    let folders = scratch.entries();
    assert_eq!(folders.len(), 2);
    for folder in folders {
        assert_eq!((mode(&folder), mode(&folder.join("span-0"))), (0o700, 0o600));
    }
    drop(one);
    assert_eq!(scratch.entries().len(), 1);
    drop(two);
    assert!(scratch.entries().is_empty());
    // With what others put there, too.
    let home = Home::open(&Place::Tmpfs { dir: scratch.0.clone() }).unwrap();
    fs::create_dir_all(home.path().unwrap().join("log")).unwrap();
    drop(home);
    assert!(scratch.entries().is_empty());
}

#[test]
fn arenas_in_a_directory_have_a_folder_each_and_leave_nothing() {
    let scratch = Scratch::new("directory");
    let dir = scratch.0.join("bus/arena");
    let place = Place::Directory { dir: dir.clone() };
    let arena = Arena::new(place.clone(), BUDGET).unwrap();
    use_it(&arena);
    let other = Arena::new(place.clone(), BUDGET).unwrap();
    use_it(&other);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 2);
    assert!([&arena, &other].iter().all(|arena| arena.folder().unwrap().starts_with(&dir)));
    drop((arena, other));
    assert!(!dir.exists());
    // What is not an arena's stays.
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("other"), "not ours").unwrap();
    drop(Arena::new(place, BUDGET).unwrap());
    assert!(dir.join("other").exists());
}

#[test]
fn what_a_killed_process_left_is_swept_by_the_next_open() {
    let test = "what_a_killed_process_left_is_swept_by_the_next_open";
    if let Ok(dir) = std::env::var("MMSB_CHILD") {
        let arena = Arena::new(Place::Tmpfs { dir: dir.into() }, BUDGET).unwrap();
        use_it(&arena);
        // Others may keep things there too.
        let folder = PathBuf::from(arena.place());
        fs::create_dir_all(folder.join("log/more")).unwrap();
        fs::write(folder.join("log/more/file"), "x").unwrap();
        println!("ready");
        std::thread::sleep(std::time::Duration::from_secs(60));
        return;
    }
    let scratch = Scratch::new("killed");
    let mut process = child(test, scratch.0.to_str().unwrap()).stdout(Stdio::piped()).spawn().unwrap();
    let output = BufReader::new(process.stdout.take().unwrap());
    assert!(output.lines().any(|line| line.unwrap().contains("ready")));
    assert_eq!((scratch.entries().len(), sweep(&scratch.0)), (1, 0));
    process.kill().unwrap();
    process.wait().unwrap();
    // Not an arena's folder, not this user's name: neither is touched.
    fs::create_dir(scratch.0.join("mmsb-somebody")).unwrap();
    let arena = Arena::new(Place::Tmpfs { dir: scratch.0.clone() }, BUDGET).unwrap();
    assert_eq!(scratch.entries().len(), 2);
    drop(arena);
    assert_eq!(scratch.entries(), [scratch.0.join("mmsb-somebody")]);
}

#[test]
fn many_opens_and_sweeps_at_once_harm_nobody() {
    let scratch = Scratch::new("race");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    use_it(&Arena::new(Place::Tmpfs { dir: scratch.0.clone() }, BUDGET).unwrap());
                }
            });
        }
    });
    assert!(scratch.entries().is_empty());
}
