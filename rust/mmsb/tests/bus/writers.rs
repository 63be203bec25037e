//! Real processes that write one bus in turn, read it, and are killed: at points of their work that have names, and at any
//! moment. What was said to be committed is there, what is read is whole, counts are true, nothing is lost of memory.
//!
//! The processes are this test program itself, told by an environment variable what to do. `MMSB_KILLS` sets how many die.

use std::borrow::Cow;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::model::{Chance, setting};
use mmsb::bus::error::Code;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Mode, Note, Options};
use mmsb::bus::state::State;
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::dtype::DType;
use mmsb::page::log::{Durability, LogConfig};
use mmsb::page::operator::OperatorId;
use mmsb::page::schema::Schema;
use mmsb::page::select::Select;

const CHILD: &str = "MMSB_WRITERS_CHILD";
/// Rows of each writer's page, 8 bytes each: a few chunks.
const ROWS: u64 = 3000;
/// Deaths on one bus, of whose log most die with a segment.
const ON_ONE_BUS: u64 = 500;
/// Writers at a time; as many pages are written, one by each.
const WRITERS: usize = 3;

/// Every point at which a writer may die, and how often it may come past it before.
const POINTS: &[(&str, u64)] = &[
    ("appended", 30),
    ("settling", 90),
    ("settled", 30),
    ("noting", 60),
    ("shown", 30),
    ("published", 30),
    ("reclaimed", 30),
    ("control settled", 6),
    ("rolling", 3),
    ("sealed", 3),
    ("rolled", 3),
    ("taken", 40),
    ("repairing", 6),
    ("adopting", 1),
    ("making a span", 1),
    ("forking", 3),
    ("dropping", 3),
    ("claimed", 1),
];
/// At one of these a writer dies with the lock, and another one has to put right what it was at.
const WITH_LOCK: &[&str] = &["appended", "settling", "settled", "shown", "rolled"];

fn schema() -> Schema {
    Schema::array(DType::I64, vec![], false, None).unwrap()
}

fn name(writer: usize) -> String {
    format!("of {writer}")
}

fn fill(bus: &Bus, page: &str, value: u64, note: &Note) {
    let bytes: Vec<u8> = (0..ROWS).flat_map(|_| value.to_le_bytes()).collect();
    let page = bus.state().unwrap().find(page).unwrap();
    let part = Part { column: 0, select: Select::range(0, ROWS), data: Data::Dense(Cow::Owned(bytes)) };
    bus.write(Delta::single(page, OperatorId::ASSIGN, part), note).unwrap();
}

/// What every cell of a page is; nobody ever sees half of a commit.
fn value(state: &State, page: &str) -> u64 {
    let page = state.find(page).unwrap();
    let view = state.view(page, 0, None).unwrap();
    let mut cells = view.bytes().chunks_exact(8).map(|cell| u64::from_le_bytes(cell.try_into().unwrap()));
    let first = cells.next().unwrap();
    assert!(cells.all(|cell| cell == first), "half of a commit is seen");
    first
}

fn open(path: &Path, mode: Mode) -> Bus {
    // Segments are full soon.
    let log = LogConfig { first_segment: 256 << 10, max_segment: 256 << 10, ..LogConfig::default() };
    Bus::open(path, &Options { mode, log, ..Options::default() }).unwrap()
}

/// Commits to its own page, forks, drops, makes pages and reads, until it is killed; says what it has committed.
fn write(path: &Path, me: usize) {
    let bus = open(path, Mode::ReadWrite);
    let mut chance = Chance(u64::from(std::process::id()));
    let mut out = std::io::stdout().lock();
    let branch = format!("by {me}");
    // What the one before left when it died.
    if let Ok(left) = bus.checkout(&branch) {
        left.drop_branch().unwrap();
    }
    for n in value(&bus.state().unwrap(), &name(me)) + 1.. {
        let durability = if chance.one_in(8) { Durability::Disk } else { Durability::Process };
        fill(&bus, &name(me), n, &Note { durability: Some(durability), ..Note::default() });
        writeln!(out, "made {n}").unwrap();
        out.flush().unwrap();
        match chance.below(8) {
            0 => {
                let side = bus.branch(&branch, None).unwrap();
                fill(&side, &name((me + 1) % WRITERS), n, &Note::default());
                side.drop_branch().unwrap();
            }
            1 => {
                let made = format!("page {me} {n}");
                let page = bus.create_page(&made, schema(), 1 + chance.below(500), &Note::default()).unwrap();
                bus.drop_page(page, &Note::default()).unwrap();
            }
            2 => check(&bus),
            _ => {}
        }
    }
}

/// Reads until it is killed.
fn read(path: &Path) {
    let bus = open(path, Mode::Read);
    assert!(bus.follows());
    let mut last = 0;
    loop {
        let epoch = bus.state().unwrap().epoch().0;
        assert!(epoch >= last, "time went back");
        last = epoch;
        check(&bus);
    }
}

fn check(bus: &Bus) {
    let state = bus.state().unwrap();
    (0..WRITERS).for_each(|writer| assert!(value(&state, &name(writer)) < u64::MAX));
}

/// A process that writes or reads, and what it has said.
struct Other {
    process: Child,
    said: Arc<AtomicU64>,
    listener: Option<JoinHandle<()>>,
}

impl Other {
    fn start(path: &Path, what: &str, point: Option<(&str, u64)>) -> Other {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "writers::what_processes_commit_survives_their_deaths", "--nocapture"])
            .env(CHILD, format!("{what} {}", path.display()))
            .stdout(Stdio::piped());
        if let Some((name, times)) = point {
            command.env("MMSB_FAIL", format!("{name}:{times}"));
        }
        let mut process = command.spawn().unwrap();
        let (said, lines) = (Arc::new(AtomicU64::new(0)), BufReader::new(process.stdout.take().unwrap()));
        let of = Arc::clone(&said);
        let listener = std::thread::spawn(move || {
            let made = |line: String| line.rsplit_once("made ").and_then(|(_, n)| n.parse::<u64>().ok());
            lines.lines().map_while(Result::ok).filter_map(made).for_each(|n| of.store(n, Ordering::Relaxed));
        });
        Other { process, said, listener: Some(listener) }
    }

    /// Whether it died by itself within a time.
    fn died(&mut self, within: Duration) -> bool {
        let end = Instant::now() + within;
        while Instant::now() < end {
            if let Some(status) = self.process.try_wait().unwrap() {
                assert!(status.code().is_none(), "it failed and was not killed");
                return true;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        false
    }

    /// Kills it, and what it said last.
    fn kill(mut self) -> u64 {
        assert!(self.process.try_wait().unwrap().is_none_or(|status| status.code().is_none()), "it failed");
        let _ = self.process.kill();
        self.process.wait().unwrap();
        self.listener.take().unwrap().join().unwrap();
        self.said.load(Ordering::Relaxed)
    }
}

struct House {
    path: PathBuf,
    bus: Bus,
    writers: Vec<Other>,
    readers: Vec<Other>,
    died_at: Vec<u64>,
}

impl House {
    /// After a writer died: what it said is there, and no more than one commit beside.
    fn check(&self, writer: usize, said: u64) {
        let found = value(&self.bus.state().unwrap(), &name(writer));
        assert!(
            said == 0 || (said..=said + 1).contains(&found),
            "{said} was said to be made, {found} is there"
        );
    }

    /// Kills a writer and starts another in its place, which may die at a point.
    fn replace(&mut self, writer: usize, point: Option<(&str, u64)>) {
        let said = self.writers.remove(writer).kill();
        self.check(writer, said);
        self.writers.insert(writer, Other::start(&self.path, &format!("write {writer}"), point));
    }

    fn one_dies(&mut self, chance: &mut Chance, round: u64) {
        let writer = chance.below(WRITERS as u64) as usize;
        // By turns at each of the points and at no point.
        let which = (round as usize / 2) % POINTS.len();
        let point = POINTS.get(which).filter(|_| round.is_multiple_of(2));
        let point = point.map(|(name, most)| (*name, 1 + chance.below(*most)));
        self.replace(writer, point);
        if point.is_some_and(|(name, _)| name == "repairing") {
            let name = WITH_LOCK[chance.below(WITH_LOCK.len() as u64) as usize];
            self.replace((writer + 1) % WRITERS, Some((name, 1 + chance.below(20))));
        }
        if point.is_some() && self.writers[writer].died(Duration::from_millis(400)) {
            self.died_at[which] += 1;
        } else if point.is_none() {
            std::thread::sleep(Duration::from_millis(chance.below(60)));
        }
        if chance.one_in(4) {
            let reader = chance.below(self.readers.len() as u64) as usize;
            let old = std::mem::replace(&mut self.readers[reader], Other::start(&self.path, "read", None));
            old.kill();
        }
        if round % 8 == 7 {
            // This process has its turn, too, and finds whatever the dead left.
            self.bus.audit().unwrap();
            check(&self.bus);
        }
    }
}

#[test]
fn what_processes_commit_survives_their_deaths() {
    if let Ok(what) = std::env::var(CHILD) {
        return match what.split_once(' ').unwrap() {
            ("read", path) => read(Path::new(path)),
            (_, rest) => {
                let (me, path) = rest.split_once(' ').unwrap();
                write(Path::new(path), me.parse().unwrap());
            }
        };
    }
    let kills = u64::from(setting("MMSB_KILLS", 100));
    let (mut left, mut died_at) = (kills, vec![0; POINTS.len()]);
    while left > 0 {
        let now = left.min(ON_ONE_BUS);
        deaths_on_a_bus(now, Chance(u64::from(std::process::id()) << 32 | left), &mut died_at);
        left -= now;
    }
    let missed = POINTS.iter().zip(&died_at).filter(|(_, died)| **died == 0).count();
    assert!(missed <= if kills < 1000 { POINTS.len() / 2 } else { 0 }, "nobody died at {missed} points");
    let points = POINTS.iter().zip(&died_at).map(|((point, _), died)| format!("{point} {died}"));
    println!("died at: {}", points.collect::<Vec<_>>().join(", "));
}

/// So many deaths on a bus of its own, and what is there in the end.
fn deaths_on_a_bus(kills: u64, mut chance: Chance, died_at: &mut Vec<u64>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus");
    let bus = open(&path, Mode::Append);
    for writer in 0..WRITERS {
        bus.create_page(&name(writer), schema(), ROWS, &Note::default()).unwrap();
    }
    let writers = (0..WRITERS).map(|writer| Other::start(&path, &format!("write {writer}"), None)).collect();
    let readers = (0..2).map(|_| Other::start(&path, "read", None)).collect();
    let mut house = House { path, bus, writers, readers, died_at: std::mem::take(died_at) };
    for round in 0..kills {
        house.one_dies(&mut chance, round);
    }
    *died_at = std::mem::take(&mut house.died_at);
    let said: Vec<u64> = house.writers.drain(..).map(Other::kill).collect();
    for reader in house.readers.drain(..) {
        reader.kill();
    }
    house.bus.audit().unwrap();
    said.into_iter().enumerate().for_each(|(writer, said)| house.check(writer, said));
    let bus = &house.bus;
    // All is taken over by now, or with the next commit.
    for n in 0..3 {
        std::thread::sleep(Duration::from_millis(120));
        bus.create_page(&format!("last {n}"), schema(), 1, &Note::default()).unwrap();
    }
    assert_eq!(bus.leaked().unwrap(), 0, "memory of dead processes is lost");
    let now = bus.replay_digest(true).unwrap();
    assert_eq!(now, bus.replay_digest(false).unwrap());
    let digest = now.iter().find(|of| of.branch == "main").unwrap().digest;
    assert_eq!(bus.state().unwrap().digest().unwrap(), digest, "the log says something else than memory");
    let stats = bus.stats().unwrap();
    println!("{kills} killed; {} commits; {} spans", stats.seq.0, stats.arena.spans);
}

/// As on the file system of a network: another process gets an error at once, and a copy to read.
#[test]
fn a_bus_that_is_not_shared_is_had_by_one() {
    if let Ok(path) = std::env::var(CHILD) {
        let (path, options) = (Path::new(&path), Options { mode: Mode::ReadWrite, ..Options::default() });
        assert_eq!(Bus::open(path, &options).unwrap_err().code(), Code::Locked);
        let copy = open(path, Mode::Read);
        assert!(!copy.follows());
        assert_eq!(value(&copy.state().unwrap(), "p"), 3);
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus");
    let bus = Bus::open(&path, &Options { alone: true, ..Options::default() }).unwrap();
    bus.create_page("p", schema(), ROWS, &Note::default()).unwrap();
    fill(&bus, "p", 3, &Note::default());
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", "writers::a_bus_that_is_not_shared_is_had_by_one", "--nocapture"])
        .env(CHILD, &path);
    let begun = Instant::now();
    assert!(child.status().unwrap().success());
    assert!(begun.elapsed() < Duration::from_secs(10), "it waited for what does not come");
    drop(bus);
    open(&path, Mode::ReadWrite);
}
