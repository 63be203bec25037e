//! What is done to all of a large page, to a branch of it, and to a log: mmsb alone, beside the machine's limits.

use std::fs::File;
use std::hint::black_box;
use std::io::Read as _;
use std::path::Path;

use mmsb::base::crc::crc32c;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Note, Options};
use mmsb::page::dtype::DType;
use mmsb::page::schema::Schema;
use mmsb::page::select::Select;

use crate::measure::{Failed, Scale, each, place, tell, timed};
use crate::ours::assign;

/// All of it.
pub fn all(scale: &Scale, folder: &Path) -> Result<(), Failed> {
    large(scale, folder)?;
    branches(scale, folder)?;
    for (name, deltas, bytes, batch) in
        [("16 B", scale.epochs, 16, 1000), ("1 KiB", scale.epochs / 16, 1024, 100)]
    {
        replay(scale, folder, name, (deltas, bytes, batch))?;
    }
    Ok(())
}

/// Never a checkpoint, so that the log is what is opened.
fn quiet(folder: &Path) -> Result<Bus, Failed> {
    Ok(Bus::open(folder.join("bus"), &Options { checkpoint_after: None, ..Options::default() })?)
}

fn bytes() -> Result<Schema, Failed> {
    Ok(Schema::array(DType::U8, vec![], false, None)?)
}

fn large(scale: &Scale, folder: &Path) -> Result<(), Failed> {
    let (own, note, size) = (tempfile::tempdir_in(folder)?, Note::default(), scale.large as u64);
    let bus = quiet(own.path())?;
    let page = bus.create_page("large", bytes()?, size, &note)?;
    let data = [vec![1; scale.large], vec![2; scale.large]];
    // The log would grow by the page with every step.
    let shrink = |n: u64| bus.squash(&mut |_| {}).map(|_| &data[n as usize % 2]).map_err(Failed::from);
    let wrote = each(scale.few, shrink, |data| {
        bus.write(assign(page, Select::range(0, size), data), &note)?;
        Ok(())
    });
    tell("64 MiB written", "mmsb", "process", &wrote?);
    let mut given = data[0].clone();
    bus.write(assign(page, Select::range(0, size), &given), &note)?;
    let some = |n: u64| {
        for i in 0..size / 256 / 1000 {
            given[place(i, size / 256) as usize * 256..][..256].fill(n as u8 + 5);
        }
        Ok(given.clone())
    };
    let updated = each(scale.samples, some, |given| {
        bus.update(page, 0, given, &note)?;
        Ok(())
    });
    tell("64 MiB updated", "mmsb", "process", &updated?);
    Ok(())
}

fn branches(scale: &Scale, folder: &Path) -> Result<(), Failed> {
    let (own, note, size) = (tempfile::tempdir_in(folder)?, Note::default(), scale.branched as u64);
    let bus = quiet(own.path())?;
    let page = bus.create_page("large", bytes()?, size, &note)?;
    let part = vec![1; 64 << 20];
    for at in (0..size).step_by(part.len()) {
        bus.write(assign(page, Select::range(at, at + part.len() as u64), &part), &note)?;
    }
    let mut next = 0;
    let forked = timed(scale.seconds, scale.samples, |n| {
        for _ in 0..n {
            next += 1;
            let branch = bus.branch(&next.to_string(), None)?;
            let at = place(next, size / 64) * 64;
            branch.write(assign(page, Select::range(at, at + 64), &[2; 64]), &note)?;
            branch.drop_branch()?;
        }
        Ok(())
    });
    tell("branch", "mmsb", "process", &forked?);
    Ok(())
}

fn replay(
    scale: &Scale,
    folder: &Path,
    name: &str,
    (deltas, width, batch): (u64, usize, usize),
) -> Result<(), Failed> {
    let (own, note) = (tempfile::tempdir_in(folder)?, Note::default());
    let bus = quiet(own.path())?;
    let schema = Schema::array(DType::U8, vec![width as u64], false, None)?;
    let (rows, data) = (1 << 16, vec![9; width]);
    let page = bus.create_page("page", schema, rows, &note)?;
    for first in (0..deltas).step_by(batch) {
        let write = |i| {
            let row = place(i, rows);
            mmsb::bus::commit::Change::Write(assign(page, Select::range(row, row + 1), &data))
        };
        let changes: Vec<_> = (first..deltas.min(first + batch as u64)).map(write).collect();
        bus.commit(&changes, &note)?;
    }
    let (digest, log) = (bus.state()?.digest()?, bus.stats()?.log);
    drop(bus);
    let opened = each(
        scale.few,
        |_| Ok(()),
        |()| {
            let bus = quiet(own.path())?;
            assert!(bus.stats()?.tail > 0, "everything is replayed");
            Ok(())
        },
    )?;
    assert!(quiet(own.path())?.state()?.digest()? == digest, "replay diverged");
    let opened: Vec<f64> = opened.into_iter().map(|all| all / deltas as f64).collect();
    tell(&format!("replay {name}"), "mmsb", "process", &opened);
    let file = own.path().join("limit");
    std::fs::write(&file, vec![5; log as usize])?;
    let mut buffer = Vec::new();
    let read = each(
        scale.few,
        |_| Ok(()),
        |()| {
            buffer.clear();
            File::open(&file)?.read_to_end(&mut buffer)?;
            black_box(crc32c(&buffer));
            Ok(())
        },
    )?;
    let read: Vec<f64> = read.into_iter().map(|all| all / deltas as f64).collect();
    tell(&format!("replay {name}"), "the machine: the log read and checksummed", "", &read);
    Ok(())
}
