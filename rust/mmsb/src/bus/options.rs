//! How a bus is opened and a commit is asked for.

use std::path::PathBuf;
use std::time::Duration;

use crate::base::limits::{CHECKPOINT_AFTER, HISTORY_BUDGET, WORTH_THREADS};
use crate::memory::machine::host;
use crate::page::log::{Durability, LogConfig};
use crate::propagation::threads::Threads;

/// How a path is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// Reading only; the bus must exist.
    Read,
    /// Reading and writing; the bus must exist.
    ReadWrite,
    /// Reading and writing; made if absent.
    #[default]
    Append,
    /// Reading and writing; must not exist.
    Create,
}

impl Mode {
    /// The mode of a name: `r`, `r+`, `a` or `x`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "r" => Some(Mode::Read),
            "r+" => Some(Mode::ReadWrite),
            "a" => Some(Mode::Append),
            "x" => Some(Mode::Create),
            _ => None,
        }
    }
}

/// Where the memory of a bus with a path lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ArenaPlace {
    /// In the machine's shared memory (tmpfs).
    #[default]
    Shared,
    /// In the directory of the bus, written back by the kernel.
    Directory,
}

/// What becomes of a snapshot whose versions cost more than they may, because its reader is slow, sleeps or was stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PinPolicy {
    /// It is kept, and whoever commits is told: [`crate::bus::handle::Bus::dear_pins`].
    #[default]
    Warn,
    /// Its versions leave memory, where no view is of them; what is read of it from then on is rebuilt from the log.
    Spill,
    /// It is let go of: reading it is an error from then on.
    Expire,
}

impl PinPolicy {
    /// The policy of a name: `warn`, `spill` or `expire`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "warn" => Some(PinPolicy::Warn),
            "spill" => Some(PinPolicy::Spill),
            "expire" => Some(PinPolicy::Expire),
            _ => None,
        }
    }

    /// That of a number, as `as` gives it.
    pub(crate) fn of_number(number: u64) -> Self {
        match number {
            1 => PinPolicy::Spill,
            2 => PinPolicy::Expire,
            _ => PinPolicy::Warn,
        }
    }
}

/// How a bus is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// How the path is opened.
    pub mode: Mode,
    /// What a commit of this handle survives unless it asks for something else.
    pub durability: Durability,
    /// Bytes of memory the bus may take; by default 80 % of what the machine or container has. What handles of one
    /// process share: another number than that of the bus they have open already is an error.
    pub budget: Option<u64>,
    /// Where its memory lies. Whoever asks for the directory gets an error where this process has it elsewhere already.
    pub arena: ArenaPlace,
    /// How long a caller with this handle waits for others.
    pub busy_timeout: Duration,
    /// Bytes of log after which a bus with a path makes a checkpoint in the background at the latest; earlier where that
    /// costs little beside the log. `None` for never.
    pub checkpoint_after: Option<u64>,
    /// Bytes of history that a bus without a path keeps; `None` for all.
    pub history_budget: Option<u64>,
    /// What becomes of snapshots that cost more than they may, in all processes that have the bus open: what was said last,
    /// of snapshots that are taken from then on. `None` says nothing.
    pub pins: Option<PinPolicy>,
    /// How many bytes out of use may wait for one snapshot, of the memory that each writing process has taken; likewise. A
    /// quarter of the budget where nobody says it. Neither is said with [`Mode::Read`].
    pub pin_limit: Option<u64>,
    /// How many threads make the pages of a level, where that takes long, the one that commits among them; by default as
    /// many as the process may use. What handles of one process share: another number than the bus has is an error.
    pub threads: Option<usize>,
    /// Nanoseconds of work, beyond some of each page, from which on threads share a level. For tests.
    #[doc(hidden)]
    pub worth_threads: u64,
    /// Whether no other process may have the bus open meanwhile, as on the file system of a network. For tests.
    #[doc(hidden)]
    pub alone: bool,
    /// How the log uses its disk. For tests.
    #[doc(hidden)]
    pub log: LogConfig,
}

impl Options {
    pub(crate) fn manner(&self) -> Manner {
        Manner { durability: self.durability, busy_timeout: self.busy_timeout }
    }

    pub(crate) fn threads(&self) -> Threads {
        let all = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Threads::worth(self.threads.unwrap_or_else(all).max(1), self.worth_threads)
    }
}

impl Default for Options {
    fn default() -> Self {
        Options {
            mode: Mode::default(),
            durability: Durability::default(),
            budget: None,
            arena: ArenaPlace::default(),
            busy_timeout: Duration::from_secs(30),
            checkpoint_after: Some(CHECKPOINT_AFTER),
            history_budget: Some(HISTORY_BUDGET.min(host::memory() / 4)),
            pins: None,
            pin_limit: None,
            threads: None,
            worth_threads: WORTH_THREADS,
            alone: false,
            log: LogConfig::default(),
        }
    }
}

/// What a handle asks of its commits, each of which may ask for something else; and how long it waits for others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub durability: Durability,
    pub busy_timeout: Duration,
}

/// What a commit says about itself.
#[derive(Clone, Debug, Default)]
pub struct Note {
    /// Who writes it.
    pub source: Option<String>,
    /// Why: a JSON text.
    pub intent: Option<String>,
    /// What it must survive; by default what the bus was opened with.
    pub durability: Option<Durability>,
}

/// Where a bus came from, for messages.
pub(crate) fn place_name(path: Option<&PathBuf>) -> String {
    path.map_or_else(|| "in memory".into(), |path| format!("'{}'", path.display()))
}
