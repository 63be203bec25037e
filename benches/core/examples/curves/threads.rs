//! Threads, 1 to 8: readers beside one writer, and writers. Times are of the wall for one operation of all threads
//! together: flat means that more threads than cores cost nothing.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mmsb::bus::options::Note;
use mmsb::page::log::Durability;
use mmsb_benches::{KIB, bus, delta, full, place};

use crate::measure::{Point, Scale};

pub fn xs(scale: &Scale) -> Vec<u64> {
    if scale.quick { vec![1, 2, 4] } else { vec![1, 2, 3, 4, 6, 8] }
}

/// The samples of nanoseconds for one of `work` and for one of `beside`, which runs in a thread of its own: `threads`
/// do `work`, which is given the thread's number and 0, 1, 2, ..., all at once.
fn together(
    point: &Point,
    threads: u64,
    work: impl Fn(u64, u64) + Sync,
    beside: Option<&(dyn Fn(u64) + Sync)>,
) -> [Vec<f64>; 2] {
    let (samples, each) = if point.scale.quick { (3, 10) } else { (11, 60) };
    let (done, done_beside) = (AtomicU64::new(0), AtomicU64::new(0));
    let over = AtomicBool::new(false);
    // Told in batches, so that the counter is not what is measured.
    let repeat = |count: &AtomicU64, run: &dyn Fn(u64)| {
        for n in (0..).step_by(16) {
            (n..n + 16).for_each(run);
            count.fetch_add(16, Ordering::Relaxed);
            if over.load(Ordering::Relaxed) {
                break;
            }
        }
    };
    let (mut figures, mut figures_beside) = (vec![], vec![]);
    thread::scope(|scope| {
        for t in 0..threads {
            let (repeat, done, work) = (&repeat, &done, &work);
            scope.spawn(move || repeat(done, &|n| work(t, n)));
        }
        if let Some(run) = beside {
            let (repeat, count) = (&repeat, &done_beside);
            scope.spawn(move || repeat(count, &run));
        }
        thread::sleep(Duration::from_millis(each));
        for _ in 0..samples {
            let was = [&done, &done_beside].map(|count| count.load(Ordering::Relaxed));
            let clock = Instant::now();
            thread::sleep(Duration::from_millis(each));
            let took = clock.elapsed().as_nanos() as f64;
            let is = [&done, &done_beside].map(|count| count.load(Ordering::Relaxed));
            figures.push(took / (is[0] - was[0]).max(1) as f64);
            figures_beside.push(took / (is[1] - was[1]).max(1) as f64);
        }
        over.store(true, Ordering::Relaxed);
    });
    [figures, figures_beside]
}

pub fn run(point: &Point) {
    let (note, bus, threads) = (Note::default(), bus(point.dir()).unwrap(), point.x);
    let ids: Vec<_> = (0..16).map(|n| full(&bus, &n.to_string(), 4 * KIB).unwrap()).collect();
    let write = |page: u64, n: u64, note: &Note| {
        bus.write(delta(ids[page as usize], place(n, 64) * 64, &[n as u8; 64]), note).unwrap();
    };
    let read = |t: u64, n: u64| {
        let state = bus.state().unwrap();
        let view = state.view(ids[((t + n) % 16) as usize], 0, None).unwrap();
        black_box(view.bytes()[64 * (n % 64) as usize]);
    };
    let [alone, _] = together(point, threads, read, None);
    point.tell("readers alone: snapshot and view of 4 KiB", "ns", alone);
    let [readers, writer] = together(point, threads, read, Some(&|n| write(n % 16, n, &note)));
    point.tell("readers beside a writer: snapshot and view of 4 KiB", "ns", readers);
    point.tell("the writer beside them: commit of 64 B", "ns", writer);
    let [own, _] = together(point, threads, |t, n| write(t, n, &note), None);
    point.tell("writers, each on a page of its own: commit of 64 B", "ns", own);
    let [one, _] = together(point, threads, |_, n| write(0, n, &note), None);
    point.tell("writers, all on one page: commit of 64 B", "ns", one);
    let disk = Note { durability: Some(Durability::Disk), ..Note::default() };
    let [durable, _] = together(point, threads, |t, n| write(t, n, &disk), None);
    point.tell("writers that wait for the disk: commit of 64 B", "ns", durable);
}
