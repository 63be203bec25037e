//! A change in one process until another one that spins has seen it: mmsb beside iceoryx2.
//!
//! As `benches/processes/seen.py` does it: from the moment before the change is made until its first word has been read, by
//! CLOCK_MONOTONIC; the next change is made when the reader has seen all of this one, and 20 us later.

mod ours;
mod watched;
mod with_iceoryx2;

use std::env;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::measure::{Failed, Scale, tell};
use watched::{Watched, now};

/// Nanoseconds between a change that was seen and the next one.
const APART: u64 = 20_000;
/// Words of 8 B of the states.
const SIZES: [(&str, usize); 2] = [("8 B", 1), ("4 KiB", 512)];

/// One who makes changes.
trait Writes {
    /// Every word becomes this.
    fn write(&mut self, number: u64) -> Result<(), Failed>;
}

/// One who looks whether there is one.
trait Looks {
    /// The newest state, where it is not the one that was seen last: its number, if all words are of it.
    fn look(&mut self) -> Result<Option<u64>, Failed>;
}

/// A way to share a state.
struct Party {
    who: &'static str,
    writer: fn(&Path, usize) -> Result<Box<dyn Writes>, Failed>,
    reader: fn(&Path, usize) -> Result<Box<dyn Looks>, Failed>,
}

const PARTIES: [Party; 2] = [ours::PARTY, with_iceoryx2::PARTY];

/// The number that all words are; an error where they are of several states.
fn number_of(words: &[u64]) -> Result<u64, Failed> {
    let first = words[0];
    if words.iter().any(|&word| word != first) {
        return Err(format!("a torn state: {first} and others").into());
    }
    Ok(first)
}

/// Everything once.
pub fn all(scale: &Scale, quick: bool, folder: &Path) -> Result<(), Failed> {
    let changes = if quick { 50 } else { 1000 };
    for party in &PARTIES {
        for (size, words) in SIZES {
            let place = tempfile::tempdir_in(folder)?;
            let samples = measured(party, place.path(), words, changes, scale.few)?;
            for (name, percent) in [("p50", 50), ("p99", 99)] {
                let of = |sample: &Vec<f64>| sample[(sample.len() * percent / 100).min(sample.len() - 1)];
                let told: Vec<f64> = samples.iter().map(of).collect();
                tell(&format!("seen spinning, {size}: {name}"), party.who, "", &told);
            }
        }
    }
    Ok(())
}

/// Seconds of each change, sorted, of each sample.
fn measured(
    party: &Party,
    place: &Path,
    words: usize,
    changes: usize,
    samples: usize,
) -> Result<Vec<Vec<f64>>, Failed> {
    let watched = Watched::make(&place.join("seen"))?;
    let mut writer = (party.writer)(place, words)?;
    writer.write(1)?;
    let last = 1 + changes * (samples + 1);
    let args = ["sees", party.who, &place.display().to_string(), &words.to_string(), &last.to_string()];
    let mut child = Command::new(env::current_exe()?).args(args).stdout(Stdio::piped()).spawn()?;
    // It says by the word that it has seen the state that is there.
    while watched.seen() < 1 {
        if let Some(status) = child.try_wait()? {
            return Err(format!("the reader of {} ended with {status}", party.who).into());
        }
        // Some send nothing to whoever comes late.
        writer.write(1)?;
        std::thread::yield_now();
    }
    let mut began = Vec::with_capacity(last);
    for number in 2..=last as u64 {
        let end = now() + APART;
        while now() < end {
            std::hint::spin_loop();
        }
        began.push(now());
        writer.write(number)?;
        while watched.seen() < number {
            std::hint::spin_loop();
            if now() > end + 10_000_000_000 {
                return Err(format!("nobody has seen state {number} of {}", party.who).into());
            }
        }
    }
    let mut said = Vec::new();
    child.stdout.take().ok_or("no pipe")?.read_to_end(&mut said)?;
    if !child.wait()?.success() {
        return Err(format!("the reader of {} failed", party.who).into());
    }
    let times = said.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default()));
    let took: Vec<f64> = times.zip(&began).map(|(seen, began)| (seen - began) as f64 / 1e9).collect();
    if took.len() != began.len() {
        return Err(format!("{} changes and {} that were seen", began.len(), took.len()).into());
    }
    // The first ones are the warm-up.
    let mut samples: Vec<Vec<f64>> = took[changes..].chunks(changes).map(<[f64]>::to_vec).collect();
    samples.iter_mut().for_each(|sample| sample.sort_by(f64::total_cmp));
    Ok(samples)
}

/// The other process: sees every state, and writes when that was.
pub fn sees(who: &str, place: &Path, words: usize, last: u64) -> Result<(), Failed> {
    let party = PARTIES.iter().find(|party| party.who == who).ok_or("nobody of that name")?;
    let watched = Watched::open(&place.join("seen"))?;
    let mut reader = (party.reader)(place, words)?;
    let (mut newest, mut times) = (0, Vec::with_capacity(last as usize));
    while newest < last {
        let Some(number) = reader.look()? else { continue };
        if number == newest {
            continue;
        }
        if number != newest + 1 {
            return Err(format!("state {number} came after {newest}").into());
        }
        newest = number;
        if number > 1 {
            times.push(now());
        }
        watched.set(number);
    }
    let bytes: Vec<u8> = times.into_iter().flat_map(u64::to_le_bytes).collect();
    std::io::Write::write_all(&mut std::io::stdout(), &bytes)?;
    Ok(())
}
