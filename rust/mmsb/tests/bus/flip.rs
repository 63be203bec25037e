//! Every single bit of a small bus turned round: opening and reading it is an error, or the very state or one of its past.
//!
//! `MMSB_FLIPS` has larger buses tried too, and sets the step between the bytes that are tried among nothing but zeros.

use crate::model::script::{BRANCHES, COMMITS, Expected, Step, expected, open, snapshot};
use crate::model::setting;
use mmsb::base::ids::Epoch;
use mmsb::bus::error::{Code, Error};
use mmsb::memory::disk::Sim;
use mmsb::page::log::Durability;

/// Reads everything there is; what differs from every prefix of the script is a lie.
fn read_all(sim: &Sim, expected: &Expected) -> Result<usize, Error> {
    let bus = open(sim)?;
    let found = snapshot(&bus)?;
    let n = expected.after.iter().rposition(|after| *after == found);
    let n = n.unwrap_or_else(|| panic!("a state that never was: {found:?}"));
    for (name, &(epoch, digest)) in &found {
        let branch = bus.checkout(name)?;
        for &(epoch, digest) in &expected.epochs[&(digest, epoch)] {
            assert_eq!(branch.at(Epoch(epoch))?.digest()?, digest, "{name} at {epoch}");
        }
    }
    Ok(n)
}

/// The bits to turn: all of them where something is written, some where all is zeros.
fn bits(bytes: &[u8], step: usize) -> Vec<u64> {
    let near = |i: usize| bytes[i.saturating_sub(8)..bytes.len().min(i + 8)].iter().any(|&byte| byte != 0);
    let all = (0..bytes.len()).filter(|&i| near(i) || i % step == 0);
    all.flat_map(|i| {
        let dense = near(i);
        (0..8).filter(move |bit| dense || *bit == (i / 7) % 8).map(move |bit| (i * 8 + bit) as u64)
    })
    .collect()
}

fn flip_everywhere(steps: &[Step]) {
    let sim = Sim::new(1);
    let expected = expected(&sim, steps);
    let (mut errors, mut same, mut shorter) = (0, 0, 0);
    for path in sim.paths() {
        let bytes = sim.contents(&path).unwrap();
        for bit in bits(&bytes, setting("MMSB_FLIPS", 1009) as usize) {
            let flipped = sim.kill();
            assert!(flipped.flip(&path, bit));
            match read_all(&flipped, &expected) {
                Ok(n) if n + 1 == expected.after.len() => same += 1,
                Ok(_) => shorter += 1,
                Err(error) => {
                    let known =
                        [Code::CorruptLog, Code::NotABus, Code::UnsupportedFormat, Code::HistoryPruned];
                    assert!(known.contains(&error.code()), "bit {bit} of {path}: {error}");
                    errors += 1;
                }
            }
        }
    }
    println!("{errors} errors, {same} the same, {shorter} a shorter log");
    assert!(errors > 0 && same > 0);
}

#[test]
fn no_bit_of_a_bus_can_lie() {
    // A commit that is durable and one that is not.
    let steps = [
        Step::Create("a", 40),
        Step::Write("a", 3, 30, 1, Durability::Disk),
        Step::Write("a", 0, 5, 2, Durability::Process),
    ];
    flip_everywhere(&steps);
}

/// Minutes: only where `MMSB_FLIPS` asks for it.
#[test]
fn no_bit_of_a_larger_bus_can_lie() {
    if setting("MMSB_FLIPS", 0) > 0 {
        flip_everywhere(COMMITS);
        flip_everywhere(BRANCHES);
    }
}
