//! The doctor: says what is wrong with a bus, and cuts what is damaged off where its owner asks for it.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use crate::bus::error::{Error, check_directory};
use crate::bus::open::describe;
use crate::bus::upkeep::verify::{Report, verify_disk};
use crate::memory::disk::{Disk, Real};
use crate::page::checkpoint::store::{self, Store};
use crate::page::log::salvage::{Salvaged, cut, restart};
use crate::page::log::{Log, LogConfig};

/// What the doctor found and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// What was found, before anything was done.
    pub report: Report,
    /// What was done, in sentences that say what is lost.
    pub done: Vec<String>,
}

/// Verifies the bus in a directory; with `salvage`, makes it open again where damage in the log keeps it from that, or
/// restores damaged copies of headers. Asked for nothing, it changes nothing. `progress` is told the bytes read so far.
///
/// # Errors
/// As [`crate::bus::upkeep::verify::verify`]; with `salvage` also `Locked` and what writing raises.
pub fn doctor(
    path: impl AsRef<Path>,
    salvage: bool,
    progress: &mut dyn FnMut(u64),
) -> Result<Diagnosis, Error> {
    let path = path.as_ref();
    check_directory(path)?;
    let read = Arc::new(Real::new(path, true));
    let write: Option<Arc<dyn Disk>> = if salvage { Some(Arc::new(Real::new(path, false))) } else { None };
    doctor_disk(read, write, progress).map_err(|error| error.at(path))
}

/// As [`doctor`], of a bus on a disk of any kind, which is salvaged where it is given for writing too.
pub fn doctor_disk(
    read: Arc<dyn Disk>,
    write: Option<Arc<dyn Disk>>,
    progress: &mut dyn FnMut(u64),
) -> Result<Diagnosis, Error> {
    let report = verify_disk(read, progress)?;
    let mut done = Vec::new();
    match (write, report.damage) {
        (Some(disk), Some(position)) => done = treat(&disk, position)?,
        (Some(disk), None) if report.mended > 0 => done = mend(disk)?,
        _ => {}
    }
    Ok(Diagnosis { report, done })
}

/// Restores damaged copies of headers: as opening does.
fn mend(disk: Arc<dyn Disk>) -> Result<Vec<String>, Error> {
    let (log, recovered) = Log::open(disk, LogConfig::default(), &describe)?;
    log.close()?;
    let restored = |(file, at): &(String, u64)| format!("{file}: its header at byte {at} was restored");
    Ok(recovered.hurt.iter().map(restored).collect())
}

/// Makes a bus whose log is damaged at `position` open again.
fn treat(disk: &Arc<dyn Disk>, position: u64) -> Result<Vec<String>, Error> {
    let opens = Log::open(Arc::clone(disk), LogConfig::default(), &describe).is_ok();
    let _lock = disk.lock()?;
    // A checkpoint behind the damage holds everything up to there: only history is lost.
    let store = Store::open(disk)?;
    for head in store.heads().iter().rev().filter(|head| head.position > position) {
        let Ok(record) = store.record(head.seq) else { continue };
        if store.check(&record, &mut HashSet::new(), &mut |_| {}).is_err() {
            continue;
        }
        let path = store::path(head.seq);
        if opens {
            return Ok(vec![
                format!("nothing was cut: the present state goes back to {path}, behind the damage"),
                "lost: the states between the checkpoint before the damage and that one; squash to be rid of it".into(),
            ]);
        }
        let Salvaged { end, frames } = restart(&**disk, head.position, head.before)?;
        return Ok(vec![
            format!(
                "the log starts at {path} now; {frames} frames behind it were kept, up to position {end}"
            ),
            format!(
                "lost: all history before frame {}, and what is behind the damage and not kept",
                head.seq.0
            ),
        ]);
    }
    let Salvaged { end, .. } = cut(&**disk, &describe)?;
    Ok(vec![
        format!("the log was cut at position {end}, where it is damaged first"),
        "lost: every commit from there on".into(),
    ])
}
