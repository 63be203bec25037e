//! What all stores are measured at: single commits, many clients, batches, snapshots.

use std::path::Path;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use crate::limits;
use crate::measure::{Failed, Scale, each, place, tell, timed};
use crate::ours::Ours;
use crate::store::{Level, Rows, Shape, Store};
use crate::with_fjall::Fjall;
use crate::with_lmdb::Lmdb;
use crate::with_redb::Redb;

/// A page of 4 KiB.
const SMALL: Shape = Shape { pages: 1, rows: 16, width: 256 };
/// What two or more threads write to.
const MANY: Shape = Shape { pages: 64, rows: 32, width: 128 };
/// Rows of the page that batches go to.
const BATCHED: u64 = 1 << 16;
const TURNS: usize = 3;

type One = fn(Level, &Scale, &Path) -> Result<(), Failed>;

/// What a store is measured at, in order.
fn steps<S: Store>() -> (&'static [Level], [One; 10]) {
    let steps: [One; 10] = [
        commits::<S>,
        snapshots::<S>,
        threads::<S>,
        batches::<S, 16>,
        batches::<S, 32>,
        batches::<S, 128>,
        batches::<S, 1024>,
        together::<S, 16>,
        together::<S, 128>,
        tiny::<S>,
    ];
    (S::LEVELS, steps)
}

/// Everything; the stores take turns inside each workload and durability.
pub fn all(scale: &Scale, folder: &Path) -> Result<(), Failed> {
    let parties = [steps::<Ours>(), steps::<Redb>(), steps::<Fjall>(), steps::<Lmdb>()];
    for step in 0..parties[0].1.len() {
        for level in [Level::Memory, Level::Process, Level::Disk] {
            // What a wait for the disk costs changes from one second to the next: there everybody gets several short
            // turns instead of a long one.
            let waits = level == Level::Disk && step <= 2;
            let (turns, scale) = if waits { (TURNS, &scale.shorter(TURNS)) } else { (1, scale) };
            for _ in 0..turns {
                if step == 0 && waits {
                    limits::durable(scale, folder)?;
                }
                for (_, steps) in parties.iter().filter(|(levels, _)| levels.contains(&level)) {
                    steps[step](level, scale, folder)?;
                }
            }
        }
    }
    Ok(())
}

/// A store in an empty folder of its own.
fn with<S: Store>(
    folder: &Path,
    level: Level,
    shape: Shape,
    work: impl FnOnce(&S) -> Result<(), Failed>,
) -> Result<(), Failed> {
    let own = tempfile::tempdir_in(folder)?;
    let store = S::open(own.path(), level, shape)?;
    // What opening put off is done now.
    thread::sleep(Duration::from_millis(300));
    work(&store)
}

/// One row of 256 B a commit; the same for a long time.
fn commits<S: Store>(level: Level, scale: &Scale, folder: &Path) -> Result<(), Failed> {
    with::<S>(folder, level, SMALL, |store| {
        let mut next = 0;
        let mut commit = |n: u64| {
            for i in next..next + n {
                store.put(0, i % 16, &[i as u8; 256])?;
            }
            next += n;
            Ok(())
        };
        tell("commit", S::WHO, level.name(), &timed(scale.seconds, scale.samples, &mut commit)?);
        if level != Level::Disk {
            tell("commit kept up", S::WHO, level.name(), &timed(scale.sustained, 1, &mut commit)?);
        }
        Ok(())
    })
}

/// One state begun to read, and ended.
fn snapshots<S: Store>(level: Level, scale: &Scale, folder: &Path) -> Result<(), Failed> {
    if level != S::LEVELS[0] {
        return Ok(());
    }
    with::<S>(folder, level, SMALL, |store| {
        let snapshot = |n| (0..n).try_for_each(|_| store.snapshot());
        tell("snapshot", S::WHO, "", &timed(scale.seconds, scale.samples, snapshot)?);
        Ok(())
    })
}

/// Deltas of 128 B, a commit each, to 64 pages, from several threads at once; and 16 that wait for the disk.
fn threads<S: Store>(level: Level, scale: &Scale, folder: &Path) -> Result<(), Failed> {
    let disk = level == Level::Disk;
    let (counts, n): (&[u64], u64) = if disk { (&[1, 16], 1024) } else { (&[1, 2, 4], 20_000) };
    for &count in counts {
        with::<S>(folder, level, MANY, |store| {
            let share = |thread: u64, salt: u64| {
                for i in thread * n / count..(thread + 1) * n / count {
                    let at = place(i, MANY.pages * MANY.rows);
                    let wrote = store.put(at / MANY.rows, at % MANY.rows, &[(i + salt) as u8; 128]);
                    wrote.map_err(|error| error.to_string())?;
                }
                Ok::<(), String>(())
            };
            let run = |salt: u64| {
                let (there, go) = (Barrier::new(count as usize + 1), Barrier::new(count as usize + 1));
                thread::scope(|scope| {
                    let body = |thread| {
                        there.wait();
                        go.wait();
                        share(thread, salt)
                    };
                    let threads: Vec<_> = (0..count).map(|t| scope.spawn(move || body(t))).collect();
                    there.wait();
                    let start = Instant::now();
                    go.wait();
                    threads.into_iter().try_for_each(|thread| thread.join().expect("it does not panic"))?;
                    Ok::<f64, Failed>(start.elapsed().as_secs_f64())
                })
            };
            // Another value in each place than the last time; the first is the warm-up.
            let all: Vec<f64> = (0..=scale.few as u64).map(|n| run(n * 97)).collect::<Result<_, _>>()?;
            let all = all.into_iter().skip(1);
            let one: Vec<f64> = all.map(|seconds| seconds / n as f64).collect();
            tell(&format!("64 pages, {count} threads"), S::WHO, level.name(), &one);
            Ok(())
        })?;
    }
    Ok(())
}

/// Many rows in one commit: a run of them, and some here and there.
fn batches<S: Store, const WIDTH: usize>(level: Level, scale: &Scale, folder: &Path) -> Result<(), Failed> {
    with::<S>(folder, level, Shape { pages: 1, rows: BATCHED, width: WIDTH }, |store| {
        let scattered = |many: u64| {
            let mut rows: Vec<u64> = (0..many).map(|i| place(i, BATCHED)).collect();
            rows.sort_unstable();
            rows.dedup();
            Rows::List(Arc::new(rows))
        };
        let kinds = [
            ("dense", Rows::Range(1000..1000 + 4096)),
            ("10 %", scattered(BATCHED / 10)),
            ("1 %", scattered(BATCHED / 100)),
        ];
        for (name, rows) in kinds {
            let values = [1, 2].map(|value| vec![value; rows.len() * WIDTH]);
            let mut next = 0;
            let batch = |n: u64| {
                for _ in 0..n {
                    next += 1;
                    store.put_rows(&rows, &values[next % 2])?;
                }
                Ok(())
            };
            let all = timed(scale.seconds, scale.samples, batch)?;
            let one: Vec<f64> = all.into_iter().map(|batch| batch / rows.len() as f64).collect();
            tell(&format!("batch {WIDTH} B {name}"), S::WHO, level.name(), &one);
        }
        Ok(())
    })
}

/// Runs of rows, a commit each, from several threads at once.
fn together<S: Store, const WIDTH: usize>(level: Level, scale: &Scale, folder: &Path) -> Result<(), Failed> {
    if level == Level::Disk {
        return Ok(());
    }
    with::<S>(folder, level, Shape { pages: 1, rows: BATCHED, width: WIDTH }, |store| {
        for count in [1, 2, 4] {
            let share = |thread: u64, values: &[Vec<u8>; 2]| {
                let rows = Rows::Range(thread * 4096..(thread + 1) * 4096);
                for i in 0..32 / count {
                    store.put_rows(&rows, &values[i as usize % 2]).map_err(|error| error.to_string())?;
                }
                Ok::<(), String>(())
            };
            let values = |n: u64| Ok([1, 2].map(|value| vec![(n * 2 + value) as u8; 4096 * WIDTH]));
            let run = |values: &[Vec<u8>; 2]| {
                thread::scope(|scope| {
                    let threads: Vec<_> = (0..count).map(|t| scope.spawn(move || share(t, values))).collect();
                    threads.into_iter().try_for_each(|thread| thread.join().expect("it does not panic"))
                })?;
                Ok(())
            };
            let all = each(scale.samples, values, run)?;
            let one: Vec<f64> = all.into_iter().map(|seconds| seconds / (32.0 * 4096.0)).collect();
            tell(&format!("{count} threads, batch {WIDTH} B"), S::WHO, level.name(), &one);
        }
        Ok(())
    })
}

/// One byte of each of 4096 pages in one commit.
fn tiny<S: Store>(level: Level, scale: &Scale, folder: &Path) -> Result<(), Failed> {
    if level == Level::Disk {
        return Ok(());
    }
    with::<S>(folder, level, Shape { pages: 4096, rows: 1, width: 1 }, |store| {
        let mut next = 0;
        let all = |n: u64| {
            for _ in 0..n {
                next += 1;
                store.put_pages(&[next as u8])?;
            }
            Ok(())
        };
        let all = timed(scale.seconds, scale.samples, all)?;
        let one: Vec<f64> = all.into_iter().map(|all| all / 4096.0).collect();
        tell("4096 pages of 1 B", S::WHO, level.name(), &one);
        Ok(())
    })
}
