//! The disk's contract on both disks, and what a simulated power cut may and may not do.

use mmsb::memory::disk::{Crash, Disk, DiskError, DiskFile, Fault, Open, Real, Sim};
use std::path::PathBuf;
use std::sync::Arc;

/// A directory of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("mmsb-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn bytes(file: &dyn DiskFile) -> Vec<u8> {
    let mut into = vec![0; file.len().unwrap() as usize];
    assert_eq!(file.read_full_at(&mut into, 0).unwrap(), into.len());
    into
}

fn contract(disk: &dyn Disk) {
    disk.create_dir("").unwrap();
    disk.create_dir("log").unwrap();
    disk.create_dir("log").unwrap();
    assert_eq!(disk.list("log").unwrap(), Vec::<String>::new());
    assert_eq!(disk.list("absent").unwrap(), Vec::<String>::new());
    assert!(matches!(disk.open("log/a", Open::Read), Err(DiskError::NotFound { path }) if path == "log/a"));
    assert!(matches!(disk.open("log/a", Open::Write), Err(DiskError::NotFound { .. })));
    let file = disk.open("log/a", Open::Create).unwrap();
    assert!(matches!(disk.open("log/a", Open::Create), Err(DiskError::Exists { .. })));
    assert!(file.is_empty().unwrap());
    file.allocate(10_000).unwrap();
    assert_eq!(bytes(&*file), vec![0; 10_000]);
    file.append(8, &[b"abc", b"", b"defgh"]).unwrap();
    file.allocate(20_000).unwrap();
    file.append(9_996, &[b"over", b"it"]).unwrap();
    file.allocate(100).unwrap();
    assert_eq!(file.len().unwrap(), 20_000, "allocate never shortens");
    let mut into = [0; 10];
    assert_eq!(file.read_full_at(&mut into, 7).unwrap(), 10);
    assert_eq!(&into, b"\0abcdefgh\0");
    file.sync_data().unwrap();
    file.seal();
    file.append(19_999, &[b"end"]).unwrap();
    assert_eq!(file.len().unwrap(), 20_002);
    file.trim(9_998).unwrap();
    let kept = bytes(&*file);
    assert_eq!((kept.len(), &kept[9_996..]), (9_998, &b"ov"[..]));
    assert_eq!(file.read_at(&mut into, 9_998).unwrap(), 0);
    drop(file);

    let reading = disk.open("log/a", Open::Read).unwrap();
    disk.open("b", Open::Create).unwrap().write_at(b"xyz", 2).unwrap();
    disk.rename("b", "log/b").unwrap();
    disk.sync_dir("log").unwrap();
    disk.sync_dir("").unwrap();
    assert_eq!(disk.list("log").unwrap(), ["a", "b"]);
    assert!(disk.exists("log/b") && !disk.exists("b"));
    disk.remove("log/a").unwrap();
    assert!(matches!(disk.remove("log/a"), Err(DiskError::NotFound { .. })));
    assert_eq!(bytes(&*reading).len(), 9_998, "an open file outlives its name");
    assert_eq!(bytes(&*disk.open("log/b", Open::Write).unwrap()), b"\0\0xyz");
    assert_ne!(disk.random(), disk.random());
    assert!(disk.free_bytes().unwrap() > 0);

    let held = disk.lock().unwrap();
    assert!(matches!(disk.lock(), Err(DiskError::Locked { .. })));
    drop(held);
    disk.lock().unwrap();
}

#[test]
fn the_real_disk_keeps_the_contract() {
    let folder = Folder::new("contract");
    contract(&Real::new(&folder.0, false));
    let shared = PathBuf::from("/dev/shm");
    if shared.is_dir() {
        let folder = Folder(shared.join(format!("mmsb-contract-{}", std::process::id())));
        contract(&Real::new(&folder.0, false));
    }
}

#[test]
fn the_simulated_disk_keeps_the_contract() {
    contract(&Sim::new(1));
    let sim = Sim::new(1);
    sim.short_reads();
    contract(&sim);
}

#[test]
fn reading_only_changes_nothing() {
    let folder = Folder::new("reading");
    let writer = Real::new(&folder.0, false);
    let sim = Sim::new(1);
    let pairs: [(&dyn Disk, &dyn Disk); 2] =
        [(&writer, &Real::new(&folder.0, true)), (&sim, &sim.for_reading())];
    for (writer, reader) in pairs {
        writer.create_dir("").unwrap();
        writer.open("a", Open::Create).unwrap();
        assert!(reader.read_only() && !writer.read_only());
        assert!(matches!(reader.open("b", Open::Create), Err(DiskError::Permission { .. })));
        assert!(matches!(reader.open("a", Open::Write), Err(DiskError::Permission { .. })));
        assert!(matches!(reader.remove("a"), Err(DiskError::Permission { .. })));
        assert!(matches!(reader.rename("a", "b"), Err(DiskError::Permission { .. })));
        assert!(matches!(reader.lock(), Err(DiskError::Permission { .. })));
        reader.open("a", Open::Read).unwrap();
    }
}

#[test]
fn the_lock_names_its_holder() {
    let folder = Folder::new("holder");
    let disk = Real::new(&folder.0, false);
    disk.create_dir("").unwrap();
    let _held = disk.lock().unwrap();
    let error = Real::new(&folder.0, false).lock().unwrap_err();
    assert!(matches!(error, DiskError::Locked { by: Some(pid) } if pid == std::process::id()), "{error}");
}

fn written(sim: &Sim) -> Arc<dyn DiskFile> {
    let file = sim.open("f", Open::Create).unwrap();
    sim.sync_dir("").unwrap();
    file.append(0, &[&[1; 6000]]).unwrap();
    file.sync_data().unwrap();
    file.append(6000, &[&[2; 6000]]).unwrap();
    file
}

#[test]
fn a_power_cut_takes_only_what_was_not_synced() {
    let sim = Sim::new(7);
    let _file = written(&sim);
    assert_eq!(sim.crash(Crash::KeepNone).contents("f").unwrap(), [1; 6000]);
    assert_eq!(sim.crash(Crash::KeepAll).contents("f").unwrap().len(), 12_000);
    assert_eq!(sim.kill().contents("f").unwrap().len(), 12_000);
    assert_eq!(sim.kill().crash(Crash::KeepNone).contents("f").unwrap().len(), 6000, "death syncs nothing");
    let (mut whole, mut none, mut part, mut garbage) = (0, 0, 0, 0);
    for seed in 0..200 {
        let left = sim.crash(Crash::Random(seed)).contents("f").unwrap();
        assert_eq!(left[..6000], [1; 6000], "seed {seed}");
        let tail = &left[6000..];
        match tail {
            [] => none += 1,
            _ if tail.iter().any(|&byte| byte != 2 && byte != 0) => garbage += 1,
            _ if tail == [2; 6000] => whole += 1,
            _ => part += 1,
        }
    }
    assert!(whole > 20 && none > 20 && part > 10 && garbage > 5, "{whole} {none} {part} {garbage}");
}

#[test]
fn names_vanish_until_their_directory_is_synced() {
    let sim = Sim::new(7);
    sim.open("log/a", Open::Create).unwrap().sync_data().unwrap();
    assert!(sim.crash(Crash::KeepNone).paths().is_empty(), "syncing the file does not keep its name");
    sim.sync_dir("log").unwrap();
    sim.rename("log/a", "log/b").unwrap();
    assert_eq!(sim.crash(Crash::KeepNone).paths(), ["log/a"]);
    assert_eq!(sim.crash(Crash::KeepAll).paths(), ["log/b"]);
    sim.sync_dir("").unwrap();
    assert_eq!(sim.crash(Crash::KeepNone).paths(), ["log/a"], "another directory");
    sim.sync_dir("log").unwrap();
    sim.remove("log/b").unwrap();
    assert_eq!(sim.crash(Crash::KeepNone).paths(), ["log/b"]);
    assert!(sim.crash(Crash::KeepAll).paths().is_empty());
}

#[test]
fn faults_strike_where_they_were_set() {
    let sim = Sim::new(7);
    let file = written(&sim);
    sim.fail(sim.ops(), Fault::Full, false);
    assert!(matches!(file.allocate(99_999), Err(DiskError::Full { wanted: 99_999, .. })));
    file.allocate(12_000).unwrap();
    sim.fail(sim.ops(), Fault::Io, false);
    assert!(matches!(file.sync_data(), Err(DiskError::Io { op: "sync", .. })));
    file.sync_data().unwrap();
    let left = sim.crash(Crash::KeepNone).contents("f").unwrap();
    assert_eq!(left.len(), 6000, "what a failed sync was to keep, no later sync keeps");
    sim.fail(sim.ops(), Fault::Io, true);
    assert!(file.append(0, &[b"a"]).is_err() && file.append(0, &[b"a"]).is_err());
    sim.heal();
    file.append(0, &[b"a"]).unwrap();
}

#[test]
fn a_stopped_write_is_under_way() {
    let sim = Sim::new(7);
    let file = written(&sim);
    file.sync_data().unwrap();
    sim.stop_at(sim.ops());
    assert!(file.append(0, &[&[9; 80]]).is_err());
    assert!(file.append(80, &[&[9; 80]]).is_err());
    assert!(sim.open("g", Open::Create).is_err());
    assert_eq!(sim.crash(Crash::KeepNone).contents("f").unwrap()[..160], sim.contents("f").unwrap()[..160]);
    let kept = sim.crash(Crash::KeepAll).contents("f").unwrap();
    assert_eq!((&kept[..80], &kept[80..160]), (&[9; 80][..], &[1; 80][..]));
    let killed = sim.kill().contents("f").unwrap();
    assert!(killed[..80].chunks(8).is_sorted_by_key(|word| word[0] == 1), "a first part");
    assert!(!sim.kill().exists("g"));
}
