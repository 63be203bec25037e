//! Verification: reads every frame, footer, checkpoint and image of a bus, and makes its state from the start of the log
//! and from checkpoints to compare them. Nothing on the disk is changed.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use crate::base::ids::Seq;
use crate::bus::error::{Error, check_directory};
use crate::bus::open::{describe, settled};
use crate::bus::past::begin::belongs;
use crate::bus::past::rebuilt::Room;
use crate::bus::past::replay::Replay;
use crate::memory::disk::{Disk, Real};
use crate::memory::machine::host;
use crate::page::checkpoint::record::Record;
use crate::page::checkpoint::store::{self, Store};
use crate::page::log::{Log, LogConfig, LogError, LogReader, Recovered};
use crate::page::state_error::StateError;

/// How many checkpoints are loaded whole to be compared with what the log makes. The images of all are read.
const COMPARED: usize = 16;

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Whether nothing is wrong.
    pub ok: bool,
    /// What is wrong, each in a sentence that names the file or the position.
    pub findings: Vec<String>,
    /// Position of the first damage in the log, if there is any.
    pub damage: Option<u64>,
    /// Frames read.
    pub frames: u64,
    /// Segments of the log.
    pub segments: u64,
    /// Checkpoints read.
    pub checkpoints: u64,
    /// Bytes read.
    pub bytes: u64,
    /// How many of the findings opening the bus to write mends.
    pub mended: u64,
}

/// Verifies the bus in a directory. `progress` is told the bytes read so far.
///
/// # Errors
/// `NotFound` where there is nothing, `NotABus` where that is a file, and `Io` or `Permission` where it cannot be read; damage is no error but is in the
/// report.
pub fn verify(path: impl AsRef<Path>, progress: &mut dyn FnMut(u64)) -> Result<Report, Error> {
    let path = path.as_ref();
    check_directory(path)?;
    verify_disk(Arc::new(Real::new(path, true)), progress).map_err(|error| error.at(path))
}

/// As [`verify`], of a bus on a disk of any kind that was opened for reading only.
pub fn verify_disk(disk: Arc<dyn Disk>, progress: &mut dyn FnMut(u64)) -> Result<Report, Error> {
    // What somebody who is writing has let go of meanwhile is not missing.
    settled(&*disk, |report: &Report| report.ok, || look(&disk, progress))
}

/// Verifies the bus as its files are now.
fn look(disk: &Arc<dyn Disk>, progress: &mut dyn FnMut(u64)) -> Result<Report, Error> {
    let mut verifier = Verifier { report: Report::default(), progress };
    // Before the log, so that none of somebody who is writing stands behind where it ended.
    let seqs = store::list(&**disk)?;
    let log = match Log::open(Arc::clone(disk), LogConfig::default(), &describe) {
        Ok((log, recovered)) => {
            verifier.copies(&recovered);
            Some(log)
        }
        Err(error) => {
            verifier.log_error(error)?;
            None
        }
    };
    let records = verifier.checkpoints(disk, &seqs, log.as_ref())?;
    if let Some(log) = &log {
        verifier.replay(disk, log, &records)?;
    }
    verifier.report.ok = verifier.report.findings.is_empty();
    Ok(verifier.report)
}

/// Some of the checkpoints, evenly spread: the oldest and the newest are always among them.
fn spread(records: &[Arc<Record>]) -> Vec<&Arc<Record>> {
    let last = records.len().saturating_sub(1);
    let n = last.min(COMPARED - 1);
    (0..records.len().min(n + 1)).map(|i| &records[(last * i).div_ceil(n.max(1))]).collect()
}

struct Verifier<'p> {
    report: Report,
    progress: &'p mut dyn FnMut(u64),
}

impl Verifier<'_> {
    fn read(&mut self, bytes: u64) {
        self.report.bytes += bytes;
        (self.progress)(self.report.bytes);
    }

    /// Notes damaged copies of what is whole in another copy.
    fn copies(&mut self, recovered: &Recovered) {
        self.report.mended = recovered.hurt.len() as u64;
        self.report.findings.extend(recovered.hurt.iter().map(|(file, at)| {
            format!(
                "{file}: its header at byte {at} is damaged; the other copy is whole, and opening the bus to write \
                 restores this one"
            )
        }));
    }

    /// Notes damage of the log; what is not damage is an error.
    fn log_error(&mut self, error: LogError) -> Result<(), Error> {
        match &error {
            LogError::CorruptLog { position, .. } => self.report.damage = Some(*position),
            LogError::CorruptSuperblock | LogError::NotABus { .. } => {}
            _ => return Err(error.into()),
        }
        self.report.findings.push(error.to_string());
        Ok(())
    }

    /// Notes damage that is not the log's own; what is not damage is an error.
    fn damage(&mut self, error: Error) -> Result<(), Error> {
        let damage = match &error {
            Error::Checkpoint(error) => error.is_damage(),
            Error::State(StateError::Memory(_)) => false,
            Error::State(StateError::Unread(error)) => error.is_damage(),
            Error::State(_) => true,
            _ => false,
        };
        if !damage {
            return Err(error);
        }
        self.report.findings.push(error.to_string());
        Ok(())
    }

    /// Reads every checkpoint whole; those that are good and of this log, oldest first.
    fn checkpoints(
        &mut self,
        disk: &Arc<dyn Disk>,
        seqs: &[Seq],
        log: Option<&Log>,
    ) -> Result<Vec<Arc<Record>>, Error> {
        let (mut good, mut seen) = (Vec::new(), HashSet::new());
        let store = Store::open(disk)?;
        if let Some(note) = log.and_then(|log| log.superblock().checkpoint)
            && !disk.exists(&note.name)
        {
            self.report
                .findings
                .push(format!("{} is missing, the newest checkpoint by the superblock", note.name));
        }
        for &seq in seqs {
            let record = match store::read(&**disk, seq) {
                Ok(record) => Arc::new(record),
                Err(error) => {
                    self.damage(error.into())?;
                    continue;
                }
            };
            self.report.checkpoints += 1;
            let before = self.report.bytes;
            let read = store.check(&record, &mut seen, &mut |read| (self.progress)(before + read));
            match read {
                Ok(read) => self.read(read),
                Err(error) => {
                    self.damage(error.into())?;
                    continue;
                }
            }
            let Some(log) = log else { continue };
            if belongs(&log.reader(), log.last_crc(), &record.head)? {
                good.push(record);
            } else if record.head.position >= log.start_position() {
                let position = record.head.position;
                self.report.findings.push(format!(
                    "{} stands at {position}, where the log has no such frame",
                    store::path(seq)
                ));
            }
        }
        Ok(good)
    }

    /// Replays the log, and compares each checkpoint with what the replay has come to where it stands.
    fn replay(&mut self, disk: &Arc<dyn Disk>, log: &Log, records: &[Arc<Record>]) -> Result<(), Error> {
        let reader = log.reader();
        self.report.segments = reader.segments()?.len() as u64;
        let spread = spread(records);
        let records = &spread[..];
        let store = Arc::new(Store::open(disk)?);
        let room = Room::new(host::default_budget())?;
        let mut rest = records;
        let mut replay = match records.split_first() {
            _ if log.start_position() == 0 => Some(room.replay_zero(&reader)?),
            Some((oldest, later)) => {
                rest = later;
                Some(room.replay_checkpoint(&reader, &store, oldest)?)
            }
            None => {
                let what = "history was pruned, and no checkpoint that could be read holds what was before";
                self.report.findings.push(what.into());
                None
            }
        };
        let from = match records.first() {
            Some(oldest) if log.start_position() > 0 => oldest.head.position,
            _ => log.start_position(),
        };
        // What lies before an oldest checkpoint is read for its checksums alone.
        let mut frames = reader.frames(log.start_position(), u64::MAX);
        loop {
            let (position, head, body) = match frames.next_frame() {
                Ok(Some((head, body))) => (head.position, head, body),
                Ok(None) => break,
                Err(error) => return self.log_error(error),
            };
            self.report.frames += 1;
            self.report.bytes += head.end() - position;
            (self.progress)(self.report.bytes);
            if position < from {
                continue;
            }
            if let Some(state) = &mut replay {
                rest = self.compare(&reader, &store, state, rest, position)?;
                if let Err(error) = state.frame(&head, body) {
                    self.damage(error)?;
                    replay = None;
                }
            }
        }
        if let Some(state) = &mut replay {
            self.compare(&reader, &store, state, rest, reader.head())?;
        }
        Ok(())
    }

    /// Compares the checkpoints that stand at this position with the replay; those that stand behind it.
    fn compare<'r>(
        &mut self,
        reader: &LogReader,
        store: &Arc<Store>,
        replay: &mut Replay<'_>,
        mut rest: &'r [&'r Arc<Record>],
        position: u64,
    ) -> Result<&'r [&'r Arc<Record>], Error> {
        while let Some((record, later)) = rest.split_first().filter(|(r, _)| r.head.position <= position) {
            rest = later;
            let room = Room::new(host::default_budget())?;
            let loaded = room.replay_checkpoint(reader, store, record);
            match loaded.map_err(Error::from).and_then(|mut loaded| loaded.digests()) {
                Ok(digests) if digests == replay.digests()? => {}
                Ok(_) => {
                    let path = store::path(record.head.seq);
                    self.report.findings.push(format!("{path} is not the state that the log makes"));
                }
                Err(error) => self.damage(error)?,
            }
        }
        Ok(rest)
    }
}
