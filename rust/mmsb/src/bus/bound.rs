//! What the versions that readers hold may cost: whoever commits looks at it when memory that is out of use waits for them.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use crate::base::limits::PINS_LOOK_EVERY as LOOK_EVERY;
use crate::bus::core::Core;
use crate::bus::error::Code;
use crate::bus::handle::Bus;
use crate::bus::holders::{PinInfo, pin_info};
use crate::bus::options::{Options, PinPolicy};
use crate::bus::writer::Writer;
use crate::memory::pinning::pins::Pinned;
use crate::page::stage::{recycle, recycle_all};

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

    /// Sets both as an opening says, for all processes; `new` is whether nobody has said anything before.
    pub fn set_pins(&self, options: &Options, new: bool) {
        let [policy, limit] = &self.arena.control().pins.0;
        if let Some(given) = options.pins {
            policy.store(given as u64, Ordering::Relaxed);
        }
        if let Some(given) = options.pin_limit.or_else(|| new.then(|| self.arena.budget() / 4)) {
            limit.store(given, Ordering::Relaxed);
        }
    }
}

impl Bus {
    /// Under [`PinPolicy::Warn`], pins of all pages that more than [`Options::pin_limit`] waits for: each is told once.
    pub fn dear_pins(&self) -> Vec<PinInfo> {
        let core = self.core();
        if !core.has_dear.swap(false, Ordering::Relaxed) {
            return Vec::new();
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

impl Code {
    /// Whether there is no memory, which may be had of what readers keep, or of what processes left that are gone.
    pub(crate) const fn is_shortage(self) -> bool {
        matches!(self, Code::MemoryBudget | Code::DiskFull)
    }
}

/// Looks at what waits for pins, where that is much: when it is more or less than it was, and every now and then, since
/// what waited for one pin waits for another when that has gone.
#[inline]
pub(crate) fn bound(core: &Core, writer: &mut Writer) {
    let held = writer.limbo.held_bytes();
    if held > core.pin_limit() {
        let moved = held.abs_diff(writer.looked.0) > writer.looked.0 / 8;
        if moved || writer.log.last_time().saturating_sub(writer.looked.1) >= LOOK_EVERY {
            look(core, writer);
        }
    }
}

#[cold]
fn look(core: &Core, writer: &mut Writer) {
    let limit = core.pin_limit();
    match core.pin_policy() {
        PinPolicy::Warn => tell(core, writer, limit),
        // What waited for one that went may wait for another one now.
        PinPolicy::Spill | PinPolicy::Expire => {
            let dear = |writer: &Writer| writer.limbo.dear(limit).into_iter().map(|(pin, _)| pin);
            while let_go(core, dear(writer)) > 0 {
                recycle(&mut writer.limbo, &core.arena, &mut writer.scratch, &mut Vec::new());
            }
        }
    }
    writer.looked = (writer.limbo.held_bytes(), writer.log.last_time());
}

/// Tells of those that hold all pages: a view costs one version of one page, however long it is held.
fn tell(core: &Core, writer: &mut Writer, limit: u64) {
    let dear = writer.limbo.dear(limit);
    writer.told.retain(|told| dear.iter().any(|(pin, _)| pin == told));
    for (pin, bytes) in dear.into_iter().filter(|(pin, _)| pin.page == 0) {
        if !writer.told.contains(&pin) {
            writer.told.push(pin);
            core.dear.lock().unwrap_or_else(PoisonError::into_inner).push((pin, bytes));
            core.has_dear.store(true, Ordering::Relaxed);
        }
    }
}

/// Lets go of all leases that anything waits for in memory of this process, because it is short.
#[cold]
pub(crate) fn let_go_of_all(writer: &mut Writer, core: &Core) {
    if core.pin_policy() == PinPolicy::Warn {
        return;
    }
    while let_go(core, writer.limbo.dear(0).into_iter().map(|(pin, _)| pin)) > 0 {
        recycle_all(&mut writer.limbo, &core.arena, &mut writer.scratch);
    }
}

fn let_go(core: &Core, pins: impl Iterator<Item = Pinned>) -> usize {
    let gone = pins.filter(|pin| pin.leased && core.arena.pins().let_go(pin)).count();
    core.let_go.fetch_add(gone as u64, Ordering::Relaxed);
    gone
}
