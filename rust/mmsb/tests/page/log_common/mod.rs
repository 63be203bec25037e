//! A log driven by plain numbers: frame `n` has a body, a page, a source and an epoch that follow from `n` alone.

use mmsb::base::ids::{BranchId, Epoch, PageId, Seq};
use mmsb::memory::disk::Disk;
use mmsb::page::log::{
    Durability, FrameHead, FrameNotes, Kind, Log, LogConfig, LogError, LogReader, NewFrame, Notes, Recovered,
};
use std::sync::Arc;

/// Segments of a few frames each, no thread.
pub const SMALL: LogConfig = LogConfig { first_segment: 6144, max_segment: 8192, background: false };

/// Bytes of frame `n`'s body, among them whole zero pages and lengths that need padding.
pub fn body(n: u64) -> Vec<u8> {
    let length = [40, 200, 0, 7, 900, 64, 1, 333][(n % 8) as usize];
    let mut body = n.to_le_bytes().to_vec();
    body.resize(8 + length, if n.is_multiple_of(3) { 0 } else { n as u8 });
    body
}

pub fn page(n: u64) -> PageId {
    PageId(n % 5)
}

pub fn source(n: u64) -> Option<&'static str> {
    [None, Some("a"), Some("bc")][(n % 3) as usize]
}

pub fn branch(n: u64) -> BranchId {
    BranchId((n % 4 == 3).into())
}

/// Every seventh frame is a control record.
pub fn kind(n: u64) -> Kind {
    if n % 7 == 6 { Kind::Control } else { Kind::Commit }
}

/// Commits of the frame's branch up to it.
pub fn epoch(n: u64) -> Epoch {
    Epoch((1..=n).filter(|&m| branch(m) == branch(n) && kind(m) == Kind::Commit).count() as u64)
}

pub fn describe(_: &FrameHead, body: &[u8]) -> Notes {
    let n = u64::from_le_bytes(body[..8].try_into().unwrap());
    Notes { pages: vec![page(n)], source: source(n).map(str::to_owned), catalog: n % 6 == 1 }
}

/// Appends frame `n` (from 1).
pub fn append(log: &mut Log, n: u64) -> Result<FrameHead, LogError> {
    append_body(log, n, &body(n))
}

pub fn append_body(log: &mut Log, n: u64, body: &[u8]) -> Result<FrameHead, LogError> {
    let frame = NewFrame {
        seq: Seq(n),
        epoch: epoch(n),
        branch: branch(n),
        durability: Durability::Process,
        kind: kind(n),
        time: n * 1000,
    };
    let (first, rest) = body.split_at(body.len() / 2);
    let notes = FrameNotes { pages: &[page(n)], source: source(n), catalog: n % 6 == 1 };
    log.append(frame, &[first, rest], notes)
}

pub fn open(disk: &(impl Disk + Clone + 'static), config: LogConfig) -> Result<(Log, Recovered), LogError> {
    Log::open(Arc::new(disk.clone()), config, &describe)
}

/// Reads every frame and checks it against what its number says; the number of the last one. `first` is the number of
/// the oldest frame kept.
pub fn read_all(reader: &LogReader, first: u64) -> Result<u64, LogError> {
    let end = reader.head();
    let mut frames = reader.frames(reader.start(), u64::MAX);
    let mut n = first - 1;
    while let Some((head, bytes)) = frames.next_frame()? {
        n += 1;
        assert_eq!((head.seq, head.epoch, head.branch, head.kind), (Seq(n), epoch(n), branch(n), kind(n)));
        assert_eq!(head.time, n * 1000);
        assert_eq!(bytes, body(n), "frame {n}");
    }
    assert!(frames.position() >= end, "all that was there, and perhaps what came meanwhile");
    Ok(n)
}

/// Asks every index everything and compares with a walk over all frames.
pub fn check_indexes(reader: &LogReader, first: u64, last: u64) {
    let mut at = Vec::new();
    let mut frames = reader.frames(reader.start(), u64::MAX);
    while let Some((head, _)) = frames.next_frame().unwrap() {
        at.push(head.position);
    }
    assert_eq!(at.len() as u64, last + 1 - first);
    let having = |want: &dyn Fn(u64) -> bool| -> Vec<u64> {
        (first..=last).filter(|&n| want(n)).map(|n| at[(n - first) as usize]).collect()
    };
    // Everything, and what lies between two frames.
    let third = at.get(at.len() / 3).map_or(0, |&from| from);
    for (from, to) in [(0, u64::MAX), (third, at.get(at.len() * 2 / 3).map_or(third, |&to| to))] {
        let having = |want: &dyn Fn(u64) -> bool| -> Vec<u64> {
            having(want).into_iter().filter(|at| (from..to).contains(at)).collect()
        };
        for id in 0..6 {
            let found = reader.frames_of_page(PageId(id), from, to).unwrap();
            assert_eq!(found, having(&|n| page(n) == PageId(id)));
        }
        for name in ["a", "bc", "d"] {
            let found = reader.frames_of_source(name, from, to).unwrap();
            assert_eq!(found, having(&|n| source(n) == Some(name)));
        }
        assert_eq!(reader.catalog_frames(from, to).unwrap(), having(&|n| n % 6 == 1));
        for id in [0, 1, 2].map(BranchId) {
            let commit = |n: u64| branch(n) == id && kind(n) == Kind::Commit;
            assert_eq!(reader.frames_of_branch(id, from, to).unwrap(), having(&commit));
        }
    }
    for id in [0, 1, 2].map(BranchId) {
        let commit = |n: u64| branch(n) == id && kind(n) == Kind::Commit;
        for n in 1..=last {
            if commit(n) {
                let kept = (n >= first).then(|| at[(n - first) as usize]);
                assert_eq!(reader.commit_of(id, epoch(n)).unwrap(), kept, "commit {n}");
            }
        }
        assert_eq!(reader.commit_of(id, Epoch(last + 10)).unwrap(), None);
    }
    for n in first..=last {
        let here = at[(n - first) as usize];
        assert_eq!(reader.first_at(n * 1000).unwrap(), Some(here), "time of frame {n}");
        assert_eq!(reader.first_at(n * 1000 - 999).unwrap(), Some(here));
        assert_eq!(reader.frame(here).unwrap().body, body(n));
    }
    assert_eq!(reader.first_at(last * 1000 + 1).unwrap(), None);
}
