//! What all stores are measured at: single commits, many clients, batches, snapshots.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::measure::{Failed, Scale, place, tell, timed};
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

/// Everything, store by store inside each workload.
pub fn all(scale: &Scale, folder: &Path) -> Result<(), Failed> {
    let steps: [Step; 4] = [
        (commits::<Ours>, commits::<Redb>, commits::<Fjall>, commits::<Lmdb>),
        (threads::<Ours>, threads::<Redb>, threads::<Fjall>, threads::<Lmdb>),
        (batches::<Ours>, batches::<Redb>, batches::<Fjall>, batches::<Lmdb>),
        (tiny::<Ours>, tiny::<Redb>, tiny::<Fjall>, tiny::<Lmdb>),
    ];
    for (ours, redb, fjall, lmdb) in steps {
        for one in [ours, redb, fjall, lmdb] {
            one(scale, folder)?;
        }
    }
    Ok(())
}

type One = fn(&Scale, &Path) -> Result<(), Failed>;
type Step = (One, One, One, One);

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

/// One row of 256 B a commit; the same for a long time; a snapshot.
fn commits<S: Store>(scale: &Scale, folder: &Path) -> Result<(), Failed> {
    for &level in S::LEVELS {
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
            if level == S::LEVELS[0] {
                let snapshot = |n| (0..n).try_for_each(|_| store.snapshot());
                tell("snapshot", S::WHO, "", &timed(scale.seconds, scale.samples, snapshot)?);
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Deltas of 128 B, a commit each, to 64 pages, from several threads at once; and 16 that wait for the disk.
fn threads<S: Store>(scale: &Scale, folder: &Path) -> Result<(), Failed> {
    for &level in S::LEVELS {
        let counts: &[u64] = if level == Level::Disk { &[1, 16] } else { &[1, 2, 4] };
        for &count in counts {
            with::<S>(folder, level, MANY, |store| {
                let each = |thread: u64, n: u64| {
                    for i in 0..n {
                        let at = place(thread * n + i, MANY.pages * MANY.rows);
                        let wrote = store.put(at / MANY.rows, at % MANY.rows, &[i as u8; 128]);
                        wrote.map_err(|error| error.to_string())?;
                    }
                    Ok::<(), String>(())
                };
                let (n, samples) = if level == Level::Disk { (64, scale.few) } else { (20_000, scale.few) };
                let run = |_| {
                    thread::scope(|scope| {
                        let threads: Vec<_> =
                            (0..count).map(|t| scope.spawn(move || each(t, n / count))).collect();
                        threads.into_iter().try_for_each(|thread| thread.join().expect("it does not panic"))
                    })?;
                    Ok(())
                };
                let samples: Vec<f64> =
                    timed(0.0, samples, run)?.into_iter().map(|seconds| seconds / n as f64).collect();
                tell(&format!("64 pages, {count} threads"), S::WHO, level.name(), &samples);
                Ok(())
            })?;
        }
    }
    Ok(())
}

/// Many rows in one commit: a run of them, and some here and there.
fn batches<S: Store>(scale: &Scale, folder: &Path) -> Result<(), Failed> {
    for &level in S::LEVELS {
        for width in [16, 32, 128, 1024] {
            with::<S>(folder, level, Shape { pages: 1, rows: BATCHED, width }, |store| {
                let run = |many: u64| Rows::Range(1000..1000 + many);
                let scattered = |many: u64| {
                    let mut rows: Vec<u64> = (0..many).map(|i| place(i, BATCHED)).collect();
                    rows.sort_unstable();
                    rows.dedup();
                    Rows::List(Arc::new(rows))
                };
                for (name, rows) in [
                    ("dense", run(4096)),
                    ("10 %", scattered(BATCHED / 10)),
                    ("1 %", scattered(BATCHED / 100)),
                ] {
                    let values: Vec<Vec<u8>> = (1..3).map(|value| vec![value; rows.len() * width]).collect();
                    let mut next = 0;
                    let batch = |n: u64| {
                        for _ in 0..n {
                            next += 1;
                            store.put_rows(&rows, &values[next % 2])?;
                        }
                        Ok(())
                    };
                    let each: Vec<f64> = timed(scale.seconds, scale.samples, batch)?;
                    let each: Vec<f64> = each.into_iter().map(|batch| batch / rows.len() as f64).collect();
                    tell(&format!("batch {width} B {name}"), S::WHO, level.name(), &each);
                }
                Ok(())
            })?;
        }
    }
    Ok(())
}

/// One byte of each of 4096 pages in one commit.
fn tiny<S: Store>(scale: &Scale, folder: &Path) -> Result<(), Failed> {
    let shape = Shape { pages: 4096, rows: 1, width: 1 };
    for &level in S::LEVELS.iter().filter(|&&level| level != Level::Disk) {
        with::<S>(folder, level, shape, |store| {
            let mut next = 0;
            let all = |n: u64| {
                for _ in 0..n {
                    next += 1;
                    store.put_pages(&[next as u8])?;
                }
                Ok(())
            };
            let each: Vec<f64> =
                timed(scale.seconds, scale.samples, all)?.into_iter().map(|all| all / 4096.0).collect();
            tell("4096 pages of 1 B", S::WHO, level.name(), &each);
            Ok(())
        })?;
    }
    Ok(())
}
