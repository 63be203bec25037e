//! What opening costs after the writer was killed.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs, thread, time};

use crate::measure::{Failed, Scale, checked, each, place, tell};
use crate::ours::Ours;
use crate::store::{Level, Rows, Shape, Store};
use crate::with_fjall::Fjall;
use crate::with_lmdb::Lmdb;
use crate::with_redb::Redb;

const SHAPE: Shape = Shape { pages: 1, rows: 4096, width: 16 };

/// Each store, killed and opened.
pub fn all(scale: &Scale, folder: &Path) -> Result<(), Failed> {
    one::<Ours>(scale, folder)?;
    one::<Redb>(scale, folder)?;
    one::<Fjall>(scale, folder)?;
    one::<Lmdb>(scale, folder)?;
    equal(1000, scale, folder)?;
    equal(scale.epochs, scale, folder)
}

/// So many epochs, opened again and replayed from zero: the same epoch, the same bytes, then and at times before.
fn equal(count: u64, scale: &Scale, folder: &Path) -> Result<(), Failed> {
    let own = tempfile::tempdir_in(folder)?;
    let store = Ours::open(own.path(), Level::Process, SHAPE)?;
    let mut kept = Vec::new();
    for i in 0..count {
        store.put(0, place(i, SHAPE.rows), &value(i))?;
        if i % (count / 10) == 0 {
            let state = store.bus.state()?;
            kept.push((state.epoch(), state.digest()?));
        }
    }
    let state = store.bus.state()?;
    let (epoch, digest) = (state.epoch(), state.digest()?);
    drop((state, store));
    let bus = Ours::open(own.path(), Level::Process, SHAPE)?.bus;
    let replayed = each(
        scale.few,
        |_| Ok(()),
        |()| {
            let found = bus.replay_digest(true)?;
            let main = found.first().ok_or("no branch was replayed")?;
            assert!(main.epoch == epoch && main.digest == digest, "replay from zero diverged");
            Ok(())
        },
    )?;
    for (then, digest) in &kept {
        assert!(bus.at(*then)?.digest()? == *digest, "the state at {then} is another one");
    }
    let one: Vec<f64> = replayed.into_iter().map(|all| all / count as f64).collect();
    tell(&format!("epochs equal {}", if count == 1000 { "1000" } else { "many" }), "mmsb", "process", &one);
    checked(&format!(
        "mmsb: {count} epochs replayed from zero: epoch and bytes equal, {} past states too; 0 divergences. There is no \
         graph of rules yet whose equality could be asked",
        kept.len()
    ));
    Ok(())
}

/// The least durable level that survives a kill.
fn level<S: Store>() -> Level {
    if S::LEVELS.contains(&Level::Process) { Level::Process } else { Level::Disk }
}

/// The child: commits, says that it is through, and waits for its end.
pub fn fill(who: &str, folder: &Path, count: u64) -> Result<(), Failed> {
    match who {
        Ours::WHO => filled::<Ours>(folder, count),
        Redb::WHO => filled::<Redb>(folder, count),
        Fjall::WHO => filled::<Fjall>(folder, count),
        Lmdb::WHO => filled::<Lmdb>(folder, count),
        _ => Err(format!("nobody is called {who}").into()),
    }
}

fn filled<S: Store>(folder: &Path, count: u64) -> Result<(), Failed> {
    let store = S::open(folder, level::<S>(), SHAPE)?;
    if level::<S>() == Level::Process {
        for i in 0..count {
            store.put(0, place(i, SHAPE.rows), &value(i))?;
        }
    } else {
        // One that waits for the disk with each commit would take all day.
        for first in (0..count).step_by(1000) {
            let rows: Vec<u64> = (first..first + 1000).map(|i| place(i, SHAPE.rows)).collect();
            let values: Vec<u8> = (first..first + 1000).flat_map(value).collect();
            store.put_rows(&Rows::List(rows.into()), &values)?;
        }
    }
    println!("done");
    loop {
        thread::sleep(time::Duration::from_secs(1));
    }
}

fn value(i: u64) -> [u8; 16] {
    (u128::from(i) + 1).to_le_bytes()
}

fn one<S: Store>(scale: &Scale, folder: &Path) -> Result<(), Failed> {
    let own = tempfile::tempdir_in(folder)?;
    let (crashed, count) = (own.path().join("crashed"), scale.epochs);
    fs::create_dir(&crashed)?;
    let mut child = Command::new(env::current_exe()?)
        .args(["fill", S::WHO])
        .arg(&crashed)
        .arg(count.to_string())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut said = String::new();
    BufReader::new(child.stdout.take().ok_or("no pipe")?).read_line(&mut said)?;
    child.kill()?;
    child.wait()?;
    if said != "done\n" {
        return Err(format!("{}: the writer failed", S::WHO).into());
    }
    let copy = |n: u64| {
        let to = own.path().join(n.to_string());
        // Sparse files stay sparse.
        let copied = Command::new("cp").args(["-r", "--sparse=always"]).arg(&crashed).arg(&to).status()?;
        if copied.success() { Ok(to) } else { Err(Failed::from("cp failed")) }
    };
    let last = place(count - 1, SHAPE.rows);
    let opened = each(scale.few, copy, |at| {
        let store = S::open(at, level::<S>(), SHAPE)?;
        assert!(store.get(last)? == value(count - 1), "{}: the last commit is lost", S::WHO);
        Ok(())
    })?;
    tell("opened after a crash", S::WHO, level::<S>().name(), &opened);
    Ok(())
}
