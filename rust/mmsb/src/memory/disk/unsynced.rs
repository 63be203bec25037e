//! The state of a simulated disk: its files, the changes that are not synced, and what a power cut makes of them.

use crate::memory::disk::error::DiskError;
use std::collections::BTreeMap;
use std::io::ErrorKind;

/// Smallest piece that a disk is trusted to write whole, in bytes.
const WORD: u64 = 8;
/// Smallest piece that the page cache writes back, in bytes.
const PAGE: u64 = 4096;

/// What a power cut does to the changes that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// All of them were on the disk already.
    KeepAll,
    /// None of them was.
    KeepNone,
    /// Each has its own fate, drawn from this seed.
    Random(u64),
}

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// EIO.
    Io,
    /// ENOSPC.
    Full,
}

#[derive(Clone, Debug, Default)]
pub struct State {
    pub files: Vec<FileState>,
    pub names: BTreeMap<String, usize>,
    pub durable_names: BTreeMap<String, usize>,
    pub pending: Vec<Change>,
    /// A write under way when the process stopped: not in `live`, perhaps on the disk.
    pub in_flight: Option<Change>,
    pub random: u64,
    pub ops: u64,
    pub syncs: u64,
    pub stop: Option<u64>,
    pub faults: Vec<(u64, Fault, bool)>,
    pub short_reads: bool,
    /// Bytes read, by file.
    pub read: BTreeMap<usize, u64>,
    pub locked: bool,
}

#[derive(Clone, Debug, Default)]
pub struct FileState {
    pub live: Vec<u8>,
    pub durable: Vec<u8>,
}

#[derive(Clone, Debug)]
pub enum Change {
    /// `lost`: a sync failed after it; the system has forgotten that it is not on the disk.
    Data {
        file: usize,
        data: Data,
        lost: bool,
    },
    Name {
        path: String,
        now: Option<usize>,
    },
    Rename {
        from: String,
        to: String,
        file: usize,
    },
}

#[derive(Clone, Debug)]
pub enum Data {
    Write { at: u64, bytes: Vec<u8> },
    Extend { len: u64 },
    Trim { len: u64 },
}

impl Data {
    pub fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => write(file, *at, bytes),
            Self::Extend { len } => file.resize(file.len().max(*len as usize), 0),
            Self::Trim { len } => file.truncate(*len as usize),
        }
    }
}

pub fn write(file: &mut Vec<u8>, at: u64, bytes: &[u8]) {
    let (start, end) = (at as usize, at as usize + bytes.len());
    file.resize(file.len().max(end), 0);
    file[start..end].copy_from_slice(bytes);
}

/// Splitmix64 (Steele, Lea, Flood, OOPSLA 2014).
pub fn next(random: &mut u64) -> u64 {
    *random = random.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *random;
    z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}

/// A number below `bound`, which is not 0.
pub fn below(random: &mut u64, bound: u64) -> u64 {
    next(random) % bound
}

/// What is left of an unsynced write.
pub fn damaged(random: &mut u64, file: &mut Vec<u8>, at: u64, bytes: &[u8]) {
    let len = bytes.len() as u64;
    let words = len / WORD + 1;
    let fate = below(random, 8);
    match fate {
        0..3 => write(file, at, bytes),
        3 | 4 => {}
        5 => {
            // Torn: a run of whole words of the file.
            let from = (below(random, words) * WORD).min(len);
            let to = (from + below(random, words + 1) * WORD).min(len);
            write(file, at + from, &bytes[from as usize..to as usize]);
        }
        6 => {
            let mut from = 0;
            while from < len {
                let to = ((at + from) / PAGE * PAGE + PAGE - at).min(len);
                if below(random, 2) == 0 {
                    write(file, at + from, &bytes[from as usize..to as usize]);
                }
                from = to;
            }
        }
        _ => {
            let mut bytes = bytes.to_vec();
            let from = below(random, words) * WORD;
            let to = from + (below(random, 64) + 1) * WORD;
            for byte in bytes.iter_mut().take(to as usize).skip(from as usize) {
                *byte = next(random) as u8;
            }
            write(file, at, &bytes);
        }
    }
}

impl State {
    pub fn error(&self, fault: Fault, path: &str, op: &'static str, wanted: u64) -> DiskError {
        let kind = match fault {
            Fault::Io => ErrorKind::Other,
            Fault::Full => ErrorKind::StorageFull,
        };
        DiskError::of(std::io::Error::new(kind, "simulated"), path, op, wanted)
    }

    /// Counts an operation; its fault if it is to fail.
    pub fn step(&mut self) -> Option<Fault> {
        let op = self.ops;
        self.ops += 1;
        if self.stop.is_some_and(|stop| op >= stop) {
            return Some(Fault::Io);
        }
        let hit = |&&(at, _, forever): &&(u64, Fault, bool)| op == at || forever && op > at;
        self.faults.iter().find(hit).map(|&(_, fault, _)| fault)
    }

    fn stops_here(&self) -> bool {
        self.stop.is_some_and(|stop| self.ops == stop + 1)
    }

    pub fn change(&mut self, file: usize, data: Data, path: &str, op: &'static str) -> Result<(), DiskError> {
        let wanted = match &data {
            Data::Write { bytes, .. } => bytes.len() as u64,
            Data::Extend { len } => *len,
            Data::Trim { .. } => 0,
        };
        let Some(fault) = self.step() else {
            data.apply(&mut self.files[file].live);
            self.pending.push(Change::Data { file, data, lost: false });
            return Ok(());
        };
        if self.stops_here() {
            self.in_flight = Some(Change::Data { file, data, lost: false });
        } else if self.stop.is_none()
            && let Data::Write { at, mut bytes } = data
        {
            // A failed write has written some of it.
            let part = below(&mut self.random, bytes.len() as u64 + 1);
            bytes.truncate(part as usize);
            write(&mut self.files[file].live, at, &bytes);
            self.pending.push(Change::Data { file, data: Data::Write { at, bytes }, lost: false });
        }
        Err(self.error(fault, path, op, wanted))
    }

    pub fn sync(&mut self, file: usize, path: &str) -> Result<(), DiskError> {
        let fault = self.step();
        let stopped = self.stop.is_some();
        self.syncs += 1;
        if self.stop.is_some_and(|stop| self.ops > stop) {
            // Who is gone did not sync; what the system holds is as it was.
            return Err(self.error(Fault::Io, path, "sync", 0));
        }
        for change in &mut self.pending {
            if let Change::Data { file: of, data, lost } = change
                && *of == file
            {
                match fault {
                    None if *lost => {}
                    None => data.apply(&mut self.files[file].durable),
                    // A process that is stopped leaves its writes to the system; one that fails has lost them.
                    Some(_) => *lost |= !stopped,
                }
            }
        }
        if let Some(fault) = fault {
            return Err(self.error(fault, path, "sync", 0));
        }
        self.pending
            .retain(|change| !matches!(change, Change::Data { file: of, lost: false, .. } if *of == file));
        Ok(())
    }

    pub fn sync_names(&mut self, dir: &str) -> Result<(), DiskError> {
        if let Some(fault) = self.step() {
            return Err(self.error(fault, dir, "sync", 0));
        }
        self.syncs += 1;
        let mut pending = std::mem::take(&mut self.pending);
        pending.retain(|change| {
            let here = match change {
                Change::Data { .. } => false,
                Change::Name { path, .. } | Change::Rename { to: path, .. } => parent(path) == dir,
            };
            if here {
                apply_name(change, &mut self.durable_names);
            }
            !here
        });
        self.pending = pending;
        Ok(())
    }

    /// What a power cut leaves.
    pub fn after_power_cut(mut self, how: Crash) -> Self {
        let mut random = match how {
            Crash::Random(seed) => seed,
            Crash::KeepAll | Crash::KeepNone => 0,
        };
        let changes: Vec<Change> = self.pending.drain(..).chain(self.in_flight.take()).collect();
        for change in &changes {
            match (change, how) {
                (_, Crash::KeepNone) => {}
                (Change::Data { file, data: Data::Write { at, bytes }, .. }, Crash::Random(_)) => {
                    damaged(&mut random, &mut self.files[*file].durable, *at, bytes);
                }
                (_, Crash::Random(_)) if below(&mut random, 2) == 0 => {}
                (Change::Data { file, data, .. }, _) => data.apply(&mut self.files[*file].durable),
                (name, _) => apply_name(name, &mut self.durable_names),
            }
        }
        for file in &mut self.files {
            file.live.clone_from(&file.durable);
        }
        self.names.clone_from(&self.durable_names);
        self.restarted()
    }

    /// What the death of the process leaves.
    pub fn after_death(mut self) -> Self {
        if let Some(Change::Data { file, mut data, lost }) = self.in_flight.take() {
            if let Data::Write { bytes, .. } = &mut data {
                let words = bytes.len() as u64 / WORD + 2;
                bytes.truncate((below(&mut self.random, words) * WORD) as usize);
            }
            data.apply(&mut self.files[file].live);
            self.pending.push(Change::Data { file, data, lost });
        }
        self.restarted()
    }

    /// The same files, nobody at work on them, nothing armed.
    fn restarted(self) -> Self {
        let Self { files, names, durable_names, pending, random, short_reads, .. } = self;
        Self { files, names, durable_names, pending, random, short_reads, ..Self::default() }
    }
}

pub fn apply_name(change: &Change, names: &mut BTreeMap<String, usize>) {
    match change {
        Change::Data { .. } => {}
        Change::Name { path, now: Some(file) } => {
            names.insert(path.clone(), *file);
        }
        Change::Name { path, now: None } => {
            names.remove(path);
        }
        Change::Rename { from, to, file } => {
            names.remove(from);
            names.insert(to.clone(), *file);
        }
    }
}

pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}
