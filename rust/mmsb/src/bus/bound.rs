//! What the versions that readers hold may cost: whoever commits looks at it when memory that is out of use waits for them.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::bus::handle::Bus;
use crate::bus::holders::{PinInfo, pin_info};
use crate::bus::options::{Options, PinPolicy};
use crate::bus::writer::Writer;
use crate::memory::limbo::Dear;
use crate::page::stage::recycle;

impl Core {
    /// What becomes of snapshots that cost more than they may.
    pub fn pin_policy(&self) -> PinPolicy {
        PinPolicy::of_number(self.arena.control().pins.0[0].load(Ordering::Relaxed))
    }

    /// How many bytes out of use may wait for one.
    #[inline]
    pub fn pin_limit(&self) -> u64 {
        self.arena.control().pins.0[1].load(Ordering::Relaxed)
    }

    /// Sets both as an opening says, for all processes.
    pub fn set_pins(&self, options: &Options) {
        let [policy, limit] = &self.arena.control().pins.0;
        if let Some(given) = options.pins {
            policy.store(given as u64, Ordering::Relaxed);
        }
        match options.pin_limit {
            Some(given) => limit.store(given, Ordering::Relaxed),
            None if self.pin_limit() == 0 => limit.store(self.arena.budget() / 4, Ordering::Relaxed),
            None => {}
        }
    }
}

impl Bus {
    /// Pins of all pages that more than [`Options::pin_limit`] waits for, and that nobody lets go of: each is told once.
    ///
    /// # Errors
    /// A log that cannot be read.
    pub fn dear_pins(&self) -> Result<Vec<PinInfo>, Error> {
        let core = self.core();
        if !core.has_dear.swap(false, Ordering::Relaxed) {
            return Ok(Vec::new());
        }
        let found = std::mem::take(&mut *core.dear.lock().unwrap_or_else(PoisonError::into_inner));
        found.into_iter().map(|(pin, bytes)| pin_info(core, pin, bytes)).collect()
    }

    /// Whether there are any. Costs nothing.
    #[inline]
    pub fn has_dear_pins(&self) -> bool {
        self.core().has_dear.load(Ordering::Relaxed)
    }
}

/// Looks at what waits for pins, where that is much, and more than when it was last looked at.
#[inline]
pub(crate) fn bound(core: &Core, writer: &mut Writer) {
    let held = writer.limbo.held_bytes();
    if held <= core.pin_limit() {
        writer.look_at = 0;
    } else if held >= writer.look_at {
        look(core, writer);
    }
}

#[cold]
fn look(core: &Core, writer: &mut Writer) {
    let limit = core.pin_limit();
    let (leased, kept) = sorted(core, writer, limit);
    if let_go(core, &leased) > 0 {
        recycle(&mut writer.limbo, &core.arena, &mut writer.scratch, &mut Vec::new());
    }
    // A view costs one version of one page, however long it is held.
    let whole = kept.into_iter().filter(|(pin, _)| pin.page == 0);
    for (pin, bytes) in whole.filter(|(pin, _)| !writer.told.contains(pin)).collect::<Vec<_>>() {
        writer.told.push(pin);
        core.dear.lock().unwrap_or_else(PoisonError::into_inner).push((pin, bytes));
        core.has_dear.store(true, Ordering::Relaxed);
    }
    let there = writer.limbo.dear(0);
    writer.told.retain(|told| there.iter().any(|(pin, _)| pin == told));
    let held = writer.limbo.held_bytes();
    writer.look_at = held + held / 8;
}

/// Lets go of all leases that anything waits for, because memory is short: what they kept can be given back then.
/// How many there were.
pub(crate) fn let_go_of_all(core: &Core, writer: &Writer) -> usize {
    let (leased, _) = sorted(core, writer, 0);
    let_go(core, &leased)
}

/// The pins that more than so many bytes wait for: those that may be let go of, and the others.
fn sorted(core: &Core, writer: &Writer, most: u64) -> (Vec<Dear>, Vec<Dear>) {
    let bounds = core.pin_policy() != PinPolicy::Warn;
    writer.limbo.dear(most).into_iter().partition(|(pin, _)| pin.leased && bounds)
}

fn let_go(core: &Core, leased: &[Dear]) -> usize {
    let gone = leased.iter().filter(|(pin, _)| core.arena.pins().let_go(pin)).count();
    core.let_go.fetch_add(gone as u64, Ordering::Relaxed);
    gone
}
