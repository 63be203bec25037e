//! What mmsb and its rivals in Rust take for the same work: one line of JSON for each figure.
//!
//! `mmsb-peers quick|full FOLDER` measures everything once. `mmsb-peers fill WHO FOLDER COUNT` writes and then waits to be
//! killed, for what opening costs after that.

mod crash;
mod limits;
mod measure;
mod ours;
mod shared;
mod store;
mod whole;
mod with_fjall;
mod with_lmdb;
mod with_redb;

use std::env;
use std::path::Path;

use measure::{Failed, Scale};

fn main() -> Result<(), Failed> {
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["fill", who, folder, count] => crash::fill(who, Path::new(folder), count.parse()?),
        [scale @ ("quick" | "full"), folder] => all(&Scale::new(scale == "quick"), Path::new(folder)),
        _ => Err("usage: mmsb-peers quick|full FOLDER".into()),
    }
}

fn all(scale: &Scale, folder: &Path) -> Result<(), Failed> {
    limits::all(scale, folder)?;
    shared::all(scale, folder)?;
    whole::all(scale, folder)?;
    crash::all(scale, folder)
}
