//! What mmsb and its rivals in Rust take for the same work: one line of JSON for each figure.
//!
//! `mmsb-peers quick|full first|again FOLDER` measures everything once, without what takes minutes where it is not the first
//! time; `mmsb-peers flows ...` what follows from others, instead of stores, and
//! `mmsb-peers processes ...` what another process sees. `mmsb-peers fill WHO FOLDER COUNT` writes and then
//! waits to be killed, for what opening costs after that.

mod crash;
mod flows;
mod limits;
mod measure;
mod ours;
mod processes;
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
        [scale @ ("quick" | "full"), round @ ("first" | "again"), folder] => {
            all(&Scale::new(scale == "quick"), round == "first", Path::new(folder))
        }
        ["flows", scale @ ("quick" | "full"), "first" | "again", folder] => {
            flows::all(&Scale::new(scale == "quick"), Path::new(folder))
        }
        ["processes", scale @ ("quick" | "full"), "first" | "again", folder] => {
            processes::all(&Scale::new(scale == "quick"), scale == "quick", Path::new(folder))
        }
        ["sees", who, place, words, last] => {
            processes::sees(who, Path::new(place), words.parse()?, last.parse()?)
        }
        _ => Err("usage: mmsb-peers [flows | processes] quick|full first|again FOLDER".into()),
    }
}

fn all(scale: &Scale, first: bool, folder: &Path) -> Result<(), Failed> {
    limits::all(scale, folder)?;
    shared::all(scale, folder)?;
    whole::all(scale, folder)?;
    if first { crash::all(scale, folder) } else { Ok(()) }
}
