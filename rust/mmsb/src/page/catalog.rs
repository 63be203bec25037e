//! What a state lists: its root, the definitions of its pages, and their names.

use siphasher::sip::SipHasher13;

use crate::base::ids::{BranchId, Epoch, PageId};
use crate::memory::addr::Addr;
use crate::memory::arena::Arena;
use crate::memory::error::MemoryError;
use crate::page::block::{self, HEADER, Kind, head, head_mut, is_null, words, words_mut};
use crate::page::merged::{self, Merged};
use crate::page::stage::Stage;
use crate::page::state_error::StateError;
use crate::page::trie;

/// How many keys in a row a name may lie under.
const PROBES: u64 = 4;

/// Bytes of a root block.
const ROOT_BYTES: usize = HEADER + 8 * ROOT_WORDS;
/// Epoch, pages, position, rules, directory, names, what was merged.
const ROOT_WORDS: usize = 7;
/// How many of them are children.
const ROOT_SLOTS: u16 = 3;

/// The state of one branch at one epoch.
#[derive(Debug, Clone, Copy)]
pub struct RootRef<'a> {
    /// The arena it lies in.
    pub arena: &'a Arena,
    /// Its block.
    pub at: Addr,
}

impl RootSlots {
    /// As a root has them.
    pub fn of(root: RootRef<'_>) -> Self {
        RootSlots {
            epoch: root.epoch(),
            position: root.position(),
            pages: root.len(),
            rules: root.rules(),
            directory: root.directory(),
            names: root.names(),
            merged: root.merged_at(),
            counter: root.counter(),
        }
    }

    /// Has a fresh root say what merges brought in.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn set_merged(&mut self, stage: &mut Stage<'_>, now: &Merged) -> Result<(), StateError> {
        let before = std::mem::replace(&mut self.merged, merged::write(stage, now)?);
        if !is_null(before) {
            stage.release(before);
        }
        Ok(())
    }
}

impl<'a> RootRef<'a> {
    /// The root at `at`.
    pub fn new(arena: &'a Arena, at: Addr) -> Self {
        RootRef { arena, at }
    }

    fn word(&self, i: usize) -> u64 {
        words(self.arena, self.at, HEADER, ROOT_WORDS)[i]
    }

    /// The seq of the frame that made it.
    pub fn seq(&self) -> u64 {
        head(self.arena, self.at).born
    }

    /// Its epoch.
    pub fn epoch(&self) -> Epoch {
        Epoch(self.word(0))
    }

    /// How many pages it has.
    pub fn len(&self) -> u64 {
        self.word(1)
    }

    /// Where in the log its frame starts.
    pub fn position(&self) -> u64 {
        self.word(2)
    }

    /// Whether it has no page.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many pages have a rule.
    pub fn rules(&self) -> u64 {
        self.word(3)
    }

    /// The page directory: versions by page id.
    pub fn directory(&self) -> Addr {
        Addr(self.word(4))
    }

    /// The name index: definitions by the hash of their name.
    pub fn names(&self) -> Addr {
        Addr(self.word(5))
    }

    /// What merges brought in, as a block; null where that is nothing.
    fn merged_at(&self) -> Addr {
        Addr(self.word(6))
    }

    /// What merges brought in.
    pub fn merged(&self) -> Merged {
        merged::read(self.arena, self.merged_at())
    }

    /// The highest page counter given out on this branch's line.
    pub fn counter(&self) -> u32 {
        head(self.arena, self.at).extra()
    }

    /// The version of a page.
    pub fn page(&self, id: PageId) -> Option<Addr> {
        trie::get(self.arena, self.directory(), id.0)
    }

    /// Whether no other root has the version of a page that this one has.
    pub fn is_alone(&self, id: PageId) -> bool {
        trie::is_alone(self.arena, self.directory(), id.0)
    }

    /// The versions of all pages, by id.
    pub fn pages(&self) -> trie::Leaves<'a> {
        trie::leaves(self.arena, self.directory())
    }

    /// The id of the page with a name.
    pub fn find(&self, name: &str) -> Option<PageId> {
        keys(self.arena, name)
            .filter_map(|key| trie::get(self.arena, self.names(), key))
            .map(|at| DefRef { arena: self.arena, at })
            .find(|def| def.name() == name)
            .map(|def| def.id())
    }
}

/// A new root without pages.
pub fn empty_root(stage: &mut Stage<'_>, branch: BranchId, epoch: Epoch) -> Result<Addr, StateError> {
    let at = stage.node(Kind::Root, ROOT_BYTES, u64::from(branch.0))?;
    head_mut(stage.arena(), at).slots = ROOT_SLOTS;
    words_mut(stage.arena(), at, HEADER, ROOT_WORDS).copy_from_slice(&[epoch.0, 0, 0, 0, 0, 0, 0]);
    Ok(at)
}

/// A root of another branch with the same pages: the fork of a line.
pub fn fork_root(stage: &mut Stage<'_>, at: Addr, branch: BranchId) -> Result<Addr, StateError> {
    let arena = stage.arena();
    let fork = stage.node(Kind::Root, ROOT_BYTES, u64::from(branch.0))?;
    let header = head_mut(arena, fork);
    header.slots = ROOT_SLOTS;
    words_mut(arena, fork, HEADER, ROOT_WORDS).copy_from_slice(words(arena, at, HEADER, ROOT_WORDS));
    block::for_children(arena, at, |child, _, _| stage.retain(child));
    Ok(fork)
}

/// Id, schema and the bytes of the rule; the name and the rule follow.
const DEF_WORDS: usize = 3;
const DEF_BYTES: usize = HEADER + 8 * DEF_WORDS;

/// What of a fresh root may be set.
#[derive(Debug, Clone, Copy)]
pub struct RootSlots {
    /// Its epoch.
    pub epoch: Epoch,
    /// Where in the log its frame starts.
    pub position: u64,
    /// Pages.
    pub pages: u64,
    /// Pages that have a rule.
    pub rules: u64,
    /// The page directory.
    pub directory: Addr,
    /// The name index.
    pub names: Addr,
    /// What merges brought in.
    pub merged: Addr,
    /// The highest page counter given out.
    pub counter: u32,
}

/// Writes a fresh root.
pub fn write_root(arena: &Arena, at: Addr, slots: RootSlots) {
    head_mut(arena, at).set_extra(slots.counter);
    let RootSlots { epoch, position, pages, rules, directory, names, merged, .. } = slots;
    let words = words_mut(arena, at, HEADER, ROOT_WORDS);
    words.copy_from_slice(&[epoch.0, pages, position, rules, directory.0, names.0, merged.0]);
}

/// The unchanging part of a page.
#[derive(Debug, Clone, Copy)]
pub struct DefRef<'a> {
    /// The arena it lies in.
    pub arena: &'a Arena,
    /// Its block.
    pub at: Addr,
}

impl<'a> DefRef<'a> {
    /// The page's id.
    pub fn id(&self) -> PageId {
        PageId(words(self.arena, self.at, HEADER, 1)[0])
    }

    /// Where its schema is.
    pub fn schema_at(&self) -> Addr {
        Addr(words(self.arena, self.at, HEADER, 2)[1])
    }

    /// The page's name.
    pub fn name(&self) -> &'a str {
        let n = head(self.arena, self.at).extra() as usize;
        std::str::from_utf8(block::bytes(self.arena, self.at, DEF_BYTES, n)).unwrap_or_default()
    }

    /// What the page follows from and how, as whoever runs rules understands it; empty where it follows from nothing.
    pub fn rule(&self) -> &'a [u8] {
        let from = DEF_BYTES + head(self.arena, self.at).extra() as usize;
        block::bytes(self.arena, self.at, from, words(self.arena, self.at, HEADER, DEF_WORDS)[2] as usize)
    }
}

/// A definition of a page, held by the name index and by one page version, under a free key of its name.
pub fn define(
    stage: &mut Stage<'_>,
    names: Addr,
    id: PageId,
    name: &str,
    schema: Addr,
    rule: &[u8],
) -> Result<Addr, StateError> {
    let arena = stage.arena();
    let key = keys(arena, name)
        .find(|&key| trie::get(arena, names, key).is_none())
        .ok_or_else(|| StateError::NameCollision(name.into()))?;
    Ok(write_def(stage, key, id, schema, name, rule)?)
}

/// The keys that a name may lie under: its hash (J.-P. Aumasson and D. J. Bernstein, "SipHash", 2012) with keys that the
/// arena was made with, and the next few, where other names' hashes are the same.
fn keys(arena: &Arena, name: &str) -> impl Iterator<Item = u64> {
    let [k0, k1] = arena.control().hash;
    let first = SipHasher13::new_with_keys(k0, k1).hash(name.as_bytes());
    (0..PROBES).map(move |i| first.wrapping_add(i))
}

/// The definition with another rule, held as a new one is.
pub fn with_rule(stage: &mut Stage<'_>, def: DefRef<'_>, rule: &[u8]) -> Result<Addr, MemoryError> {
    write_def(stage, head(def.arena, def.at).key, def.id(), def.schema_at(), def.name(), rule)
}

fn write_def(
    stage: &mut Stage<'_>,
    key: u64,
    id: PageId,
    schema: Addr,
    name: &str,
    rule: &[u8],
) -> Result<Addr, MemoryError> {
    let arena = stage.arena();
    let at = stage.node(Kind::Def, DEF_BYTES + name.len() + rule.len(), key)?;
    head_mut(arena, at).set_extra(name.len() as u32);
    head(arena, at).retain();
    words_mut(arena, at, HEADER, DEF_WORDS).copy_from_slice(&[id.0, schema.0, rule.len() as u64]);
    block::bytes_mut(arena, at, DEF_BYTES, name.len()).copy_from_slice(name.as_bytes());
    block::bytes_mut(arena, at, DEF_BYTES + name.len(), rule.len()).copy_from_slice(rule);
    Ok(at)
}

/// The version of a page that `a` has and `b` shares, or how they differ: visits pages whose versions differ.
pub fn differing_pages(a: RootRef<'_>, b: RootRef<'_>, visit: &mut dyn FnMut(Option<Addr>, Option<Addr>)) {
    debug_assert!(!is_null(a.at) && !is_null(b.at));
    trie::diff(a.arena, a.directory(), b.directory(), visit);
}
