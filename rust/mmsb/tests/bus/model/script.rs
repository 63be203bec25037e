//! Scripts of commits whose every outcome is known: what crash tests run and compare with.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use mmsb::base::clock::ManualClock;
use mmsb::base::ids::Epoch;
use mmsb::bus::error::Error;
use mmsb::bus::handle::Bus;
use mmsb::bus::merge::three_way::OnConflict;
use mmsb::bus::options::{Note, Options};
use mmsb::bus::transaction::Isolation;
use mmsb::memory::disk::Disk;
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::digest::Digest;
use mmsb::page::dtype::DType;
use mmsb::page::log::{Durability, LogConfig};
use mmsb::page::operator::OperatorId;
use mmsb::page::schema::Schema;
use mmsb::page::select::Select;

/// One step: at most one frame of the log.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// Makes a page of so many bytes.
    Create(&'static str, u64),
    /// Fills so many bytes of a page from a byte on.
    Write(&'static str, u64, u64, u8, Durability),
    Resize(&'static str, u64),
    Drop(&'static str),
    /// Writes two pages and makes a third in a transaction.
    Several(&'static str, &'static str, &'static str),
    Branch(&'static str, Option<u64>),
    DropBranch(&'static str),
    /// Goes on with another branch.
    On(&'static str),
    /// Merges a branch into the present one.
    Merge(&'static str),
    Revert(u64),
    Sync,
}

use Step::*;
use mmsb::page::log::Durability::{Disk as Synced, Memory, Process};

/// Commits of every durability, pages of every layout, frames larger than a segment.
pub const COMMITS: &[Step] = &[
    Create("a", 100),
    Write("a", 10, 50, 1, Process),
    Create("b", 30_000),
    Write("b", 5000, 300, 2, Synced),
    Write("b", 0, 9000, 3, Memory),
    Write("a", 0, 100, 4, Process),
    Resize("b", 20_000),
    Several("a", "b", "c"),
    Write("b", 100, 19_000, 5, Synced),
    Write("c", 1, 2, 6, Process),
    Drop("a"),
    Sync,
    Create("a", 5),
    Write("c", 0, 64, 7, Memory),
    Revert(7),
    Write("a", 0, 3, 8, Synced),
];

/// Branches at heads and in the past, merges both ways, a name used twice, a branch of a dropped one.
pub const BRANCHES: &[Step] = &[
    Create("a", 12_000),
    Write("a", 0, 100, 1, Process),
    Branch("plan", None),
    On("plan"),
    Write("a", 9000, 100, 2, Synced),
    Create("p", 10),
    On("main"),
    Write("a", 200, 100, 3, Process),
    Merge("plan"),
    Branch("old", Some(1)),
    On("old"),
    Write("a", 11_000, 900, 4, Process),
    Branch("older", None),
    DropBranch("old"),
    On("older"),
    Write("a", 10_500, 5, 5, Synced),
    On("main"),
    Merge("older"),
    DropBranch("plan"),
    Branch("plan", Some(3)),
    On("plan"),
    Write("a", 7, 7, 7, Process),
    Merge("main"),
];

/// What a bus is: its branches' epochs and digests.
pub type Snapshot = BTreeMap<String, (u64, Digest)>;

/// What a script makes of a bus when nothing fails: after each number of steps, and at each epoch of each branch.
#[derive(Debug)]
pub struct Expected {
    pub after: Vec<Snapshot>,
    /// By the digest of the branch's head and an epoch of it: a name may be used twice.
    pub epochs: BTreeMap<(Digest, u64), Vec<(u64, Digest)>>,
}

pub fn options() -> Options {
    let log = LogConfig { first_segment: 6144, max_segment: 8192, background: false };
    Options { log, ..Options::default() }
}

pub fn open(disk: &(impl Disk + Clone + 'static)) -> Result<Bus, Error> {
    Bus::on_disk(Arc::new(disk.clone()), &options(), Arc::new(ManualClock::new(1)))
}

pub fn snapshot(bus: &Bus) -> Result<Snapshot, Error> {
    let mut found = Snapshot::new();
    for info in bus.branches()? {
        let state = bus.checkout(&info.name)?.state()?;
        found.insert(info.name, (state.epoch().0, state.digest()?));
    }
    Ok(found)
}

/// Does one step on the branch whose name is in `on`.
pub fn step(main: &Bus, on: &mut &'static str, step: Step) -> Result<(), Error> {
    if let On(name) = step {
        *on = name;
        return Ok(());
    }
    let bus = main.checkout(on)?;
    let note = Note { source: Some("script".into()), ..Note::default() };
    let id = |name: &str| bus.state()?.find(name).ok_or(Error::NoPageNamed(name.into()));
    let fill = |name: &str, from: u64, n: u64, byte: u8| -> Result<Delta<'static>, Error> {
        let bytes: Vec<u8> = (0..n).map(|i| byte ^ (i / 3) as u8).collect();
        let part =
            Part { column: 0, select: Select::range(from, from + n), data: Data::Dense(Cow::Owned(bytes)) };
        Ok(Delta::single(id(name)?, OperatorId::ASSIGN, part))
    };
    match step {
        Create(name, rows) => {
            bus.create_page(name, Schema::array(DType::U8, vec![], false, None).unwrap(), rows, &note)?;
        }
        Write(name, from, n, byte, durability) => {
            bus.write(fill(name, from, n, byte)?, &Note { durability: Some(durability), ..note })?;
        }
        Resize(name, rows) => return bus.resize(id(name)?, rows, &note).map(|_| ()),
        Drop(name) => drop(bus.drop_page(id(name)?, &note)?),
        Several(a, b, new) => {
            let mut tx = bus.begin(Isolation::Snapshot, note)?;
            tx.write(fill(a, 1, 9, 11)?)?;
            tx.write(fill(b, 8190, 9, 12)?)?;
            tx.create_page(new, Schema::array(DType::U8, vec![], false, None).unwrap(), 70)?;
            tx.commit()?;
        }
        Branch(name, at) => drop(bus.branch(name, at.map(Epoch))?),
        DropBranch(name) => bus.checkout(name)?.drop_branch()?,
        On(_) => {}
        Merge(from) => drop(bus.merge(&bus.checkout(from)?, OnConflict::Theirs, &note)?),
        Revert(to) => drop(bus.revert(Epoch(to), &note)?),
        Sync => bus.sync()?,
    }
    Ok(())
}

/// Does the steps from `first` on; how many were done in all, and why no more were.
pub fn run(bus: &Bus, steps: &[Step], first: usize) -> (usize, Option<Error>) {
    let mut on = branch_after(steps, first);
    for (i, &one) in steps.iter().enumerate().skip(first) {
        if let Err(error) = step(bus, &mut on, one) {
            return (i, Some(error));
        }
    }
    (steps.len(), None)
}

fn branch_after(steps: &[Step], n: usize) -> &'static str {
    let ons = steps[..n].iter().rev().find_map(|step| if let On(name) = step { Some(*name) } else { None });
    ons.unwrap_or("main")
}

/// What the steps make of an empty bus.
pub fn expected(disk: &(impl Disk + Clone + 'static), steps: &[Step]) -> Expected {
    let bus = open(disk).unwrap();
    let mut expected = Expected { after: Vec::new(), epochs: BTreeMap::new() };
    let mut on = "main";
    for one in [On("main")].iter().chain(steps) {
        step(&bus, &mut on, *one).unwrap();
        let now = snapshot(&bus).unwrap();
        for (name, &(epoch, digest)) in &now {
            let branch = bus.checkout(name).unwrap();
            let past = (0..=epoch).map(|e| (e, branch.at(Epoch(e)).unwrap().digest().unwrap()));
            expected.epochs.insert((digest, epoch), past.collect());
        }
        expected.after.push(now);
    }
    expected
}

/// How many steps must be there when the first `done` were acknowledged: of a power cut those before the last sync.
pub fn kept(steps: &[Step], done: usize, power_cut: bool) -> usize {
    if !power_cut {
        return done;
    }
    let synced = |step: &Step| matches!(step, Sync | Write(_, _, _, _, Synced));
    steps[..done].iter().rposition(synced).map_or(0, |last| last + 1)
}
