//! A real process that commits and is killed at any moment: every commit it said was made is there.
//!
//! The process is this test program itself, told by an environment variable what to do. `MMSB_ROUNDS` sets how often it is
//! killed.

use std::borrow::Cow;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::model::{Chance, setting};
use mmsb::base::ids::{Epoch, PageId};
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Mode, Note, Options};
use mmsb::bus::transaction::Isolation;
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::dtype::DType;
use mmsb::page::operator::OperatorId;
use mmsb::page::schema::Schema;
use mmsb::page::select::Select;

const CHILD: &str = "MMSB_KILL_CHILD";
const ROWS: u64 = 40_000;

/// What epoch `n` writes: a stretch of both pages. Epochs 1 and 2 make them.
fn change(n: u64) -> (u64, Vec<u8>) {
    let mut chance = Chance(n);
    let length = if chance.one_in(20) { 20_000 } else { 1 + chance.below(200) };
    (chance.below(ROWS - length), chance.bytes(length))
}

/// What the pages are after epoch `n`.
fn model(n: u64) -> Vec<u8> {
    let mut bytes = vec![0; ROWS as usize];
    for (at, written) in (3..=n).map(change) {
        bytes[at as usize..at as usize + written.len()].copy_from_slice(&written);
    }
    bytes
}

fn commit(bus: &Bus, n: u64) -> Epoch {
    let pages: Vec<PageId> = bus.state().unwrap().ids();
    let (at, bytes) = change(n);
    let mut tx = bus.begin(Isolation::Snapshot, Note::default()).unwrap();
    for page in pages {
        let select = Select::range(at, at + bytes.len() as u64);
        let part = Part { column: 0, select, data: Data::Dense(Cow::Borrowed(&bytes)) };
        tx.write(Delta::single(page, OperatorId::ASSIGN, part)).unwrap();
    }
    tx.commit().unwrap().unwrap().epoch
}

/// Commits until it is killed, and says each epoch when it is made.
fn child(path: &str) {
    let bus = Bus::open(path, &Options { mode: Mode::ReadWrite, ..Options::default() }).unwrap();
    let mut out = std::io::stdout().lock();
    for n in bus.epoch().unwrap().0 + 1.. {
        let made = commit(&bus, n);
        assert_eq!(made.0, n);
        writeln!(out, "made {n}").unwrap();
        out.flush().unwrap();
    }
}

/// Runs a process for a while; the last epoch it said was made, if it came so far.
fn run_and_kill(path: &Path, chance: &mut Chance) -> Option<u64> {
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::every_commit_survives_the_death_of_its_process", "--nocapture"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap());
    let reader = std::thread::spawn(move || {
        let made = |line: String| line.rsplit_once("made ").and_then(|(_, n)| n.parse::<u64>().ok());
        lines.lines().map_while(Result::ok).filter_map(made).last()
    });
    std::thread::sleep(Duration::from_micros(chance.below(120_000)));
    process.kill().unwrap();
    process.wait().unwrap();
    reader.join().unwrap()
}

#[test]
fn every_commit_survives_the_death_of_its_process() {
    if let Ok(path) = std::env::var(CHILD) {
        return child(&path);
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus");
    let schema = || Schema::array(DType::U8, vec![], false, None).unwrap();
    let bus = Bus::open(&path, &Options::default()).unwrap();
    for name in ["a", "b"] {
        bus.create_page(name, schema(), ROWS, &Note::default()).unwrap();
    }
    drop(bus);
    let (mut chance, mut made) = (Chance(std::process::id().into()), 2);
    for round in 0..setting("MMSB_ROUNDS", 6) {
        let said = run_and_kill(&path, &mut chance).unwrap_or(made);
        let bus = Bus::open(&path, &Options { mode: Mode::ReadWrite, ..Options::default() }).unwrap();
        let found = bus.epoch().unwrap().0;
        assert!(found >= said.max(made), "round {round}: {said} was said to be made, {found} is there");
        let state = bus.state().unwrap();
        let wanted = model(found);
        for page in state.ids() {
            assert!(state.view(page, 0, None).unwrap().bytes() == wanted, "round {round}: epoch {found}");
        }
        let past = made + chance.below(found - made + 1);
        let then = bus.at(Epoch(past)).unwrap();
        assert!(
            then.view(then.ids()[0], 0, None).unwrap().bytes() == model(past),
            "round {round}: epoch {past}"
        );
        bus.audit().unwrap();
        commit(&bus, found + 1);
        made = found + 1;
    }
    println!("{made} commits");
}
