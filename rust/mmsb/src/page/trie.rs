//! The persistent map behind the page directory and the name index: a radix tree of six bits a level, fan-out 64,
//! with bitmap-compressed nodes and without one-child chains, so equal contents have equal shape (a canonical trie).
//!
//! Bagwell, "Ideal Hash Trees" (2001) for the bitmap; Morrison, "PATRICIA" (1968) for skipping levels.

use crate::memory::addr::Addr;
use crate::memory::arena::Arena;
use crate::memory::error::MemoryError;
use crate::page::block::{
    self, HEADER, Kind, head, head_mut, is_leaf, is_null, tag_leaf, untag, words, words_mut,
};
use crate::page::stage::Stage;

/// Bits a level decides.
const BITS: u32 = 6;
/// The lowest shift whose node covers every key.
const TOP: u32 = 60;

/// Where a leaf hangs: in a node's slot, or as the whole trie.
#[derive(Debug, Clone, Copy)]
pub enum Slot {
    /// The trie is this one leaf.
    Root,
    /// The n-th child of a fresh node.
    Child(Addr, usize),
}

/// The part of `key` that a node at `shift` and everything below it share.
#[inline]
fn prefix(key: u64, shift: u32) -> u64 {
    if shift >= TOP { 0 } else { key >> (shift + BITS) }
}

#[inline]
fn bit(key: u64, shift: u32) -> u32 {
    ((key >> shift) & 63) as u32
}

#[inline]
fn bitmap(arena: &Arena, at: Addr) -> u64 {
    words(arena, at, HEADER, 1)[0]
}

#[inline]
fn rank(bitmap: u64, bit: u32) -> usize {
    (bitmap & ((1u64 << bit) - 1)).count_ones() as usize
}

/// The children of a node, in the order of keys.
pub fn children(arena: &Arena, at: Addr) -> &[u64] {
    words(arena, at, HEADER + 8, usize::from(head(arena, at).slots))
}

#[inline]
fn shift_of(arena: &Arena, at: Addr) -> u32 {
    u32::from(head(arena, at).shift)
}

/// The leaf of `key`.
pub fn get(arena: &Arena, root: Addr, key: u64) -> Option<Addr> {
    let mut at = root;
    loop {
        if is_null(at) {
            return None;
        }
        let header = head(arena, at);
        if is_leaf(at) {
            return (header.key == key).then(|| untag(at));
        }
        let shift = u32::from(header.shift);
        let map = bitmap(arena, at);
        let bit = bit(key, shift);
        if prefix(key, shift) != header.key || map >> bit & 1 == 0 {
            return None;
        }
        at = Addr(words(arena, at, HEADER + 8 + 8 * rank(map, bit), 1)[0]);
    }
}

/// Whether nothing but this trie has the leaf of `key`: every block on the way to it, and itself, has one parent.
pub fn is_alone(arena: &Arena, root: Addr, key: u64) -> bool {
    let mut at = root;
    while !is_null(at) && head(arena, at).count() == 1 {
        if is_leaf(at) {
            return head(arena, at).key == key;
        }
        let (map, bit) = (bitmap(arena, at), bit(key, shift_of(arena, at)));
        if map >> bit & 1 == 0 {
            return false;
        }
        at = Addr(children(arena, at)[rank(map, bit)]);
    }
    false
}

/// The trie with `leaf` under its key; a leaf that was there is let go.
pub fn put(stage: &mut Stage<'_>, at: Addr, leaf: Addr) -> Result<Addr, MemoryError> {
    let arena = stage.arena();
    let key = head(arena, leaf).key;
    if is_null(at) {
        return Ok(tag_leaf(leaf));
    }
    if is_leaf(at) {
        let other = head(arena, at).key;
        if other == key {
            stage.release(at);
            return Ok(tag_leaf(leaf));
        }
        return fork(stage, at, other, leaf, key);
    }
    let shift = shift_of(arena, at);
    if prefix(key, shift) != head(arena, at).key {
        let other = head(arena, at).key << (shift + BITS);
        return fork(stage, at, other, leaf, key);
    }
    let bit = bit(key, shift);
    let map = bitmap(arena, at);
    let index = rank(map, bit);
    if map >> bit & 1 == 0 {
        return widen(stage, at, map | 1 << bit, index, tag_leaf(leaf));
    }
    let at = stage.own(at)?;
    let child = put(stage, Addr(children(arena, at)[index]), leaf)?;
    words_mut(arena, at, HEADER + 8 + 8 * index, 1)[0] = child.0;
    Ok(at)
}

/// A node above two subtrees whose keys differ.
fn fork(stage: &mut Stage<'_>, a: Addr, a_key: u64, leaf: Addr, key: u64) -> Result<Addr, MemoryError> {
    let shift = (63 - (a_key ^ key).leading_zeros()) / BITS * BITS;
    let at = stage.node(Kind::Trie, HEADER + 8 + 16, prefix(key, shift))?;
    let header = head_mut(stage.arena(), at);
    (header.shift, header.slots) = (shift as u8, 2);
    let (a_bit, bit) = (bit(a_key, shift), bit(key, shift));
    let leaf = tag_leaf(leaf);
    let (first, second) = if a_bit < bit { (a, leaf) } else { (leaf, a) };
    words_mut(stage.arena(), at, HEADER, 3).copy_from_slice(&[1 << a_bit | 1 << bit, first.0, second.0]);
    Ok(at)
}

/// The node with one child more, in place where it is fresh and has room.
fn widen(stage: &mut Stage<'_>, at: Addr, map: u64, index: usize, child: Addr) -> Result<Addr, MemoryError> {
    let arena = stage.arena();
    let n = usize::from(head(arena, at).slots);
    let (used, need) = (HEADER + 8 + 8 * n, HEADER + 8 + 8 * (n + 1));
    let fits = need <= head(arena, at).bytes as usize;
    let at = if fits { stage.own(at)? } else { stage.copy(at, used, need)? };
    let slots = words_mut(arena, at, HEADER + 8, n + 1);
    slots.copy_within(index..n, index + 1);
    slots[index] = child.0;
    words_mut(arena, at, HEADER, 1)[0] = map;
    head_mut(arena, at).slots = n as u16 + 1;
    Ok(at)
}

/// The trie without `key`; its leaf is let go. Unchanged where the key is not there.
pub fn remove(stage: &mut Stage<'_>, at: Addr, key: u64) -> Result<Addr, MemoryError> {
    let arena = stage.arena();
    if get(arena, at, key).is_none() {
        return Ok(at);
    }
    if is_leaf(at) {
        stage.release(at);
        return Ok(Addr::default());
    }
    let at = stage.own(at)?;
    let bit = bit(key, shift_of(arena, at));
    let map = bitmap(arena, at);
    let index = rank(map, bit);
    let n = usize::from(head(arena, at).slots);
    let child = remove(stage, Addr(children(arena, at)[index]), key)?;
    if !is_null(child) {
        words_mut(arena, at, HEADER + 8 + 8 * index, 1)[0] = child.0;
        return Ok(at);
    }
    let slots = words_mut(arena, at, HEADER + 8, n);
    if n == 2 {
        let left = Addr(slots[1 - index]);
        stage.replaced(at);
        return Ok(left);
    }
    slots.copy_within(index + 1.., index);
    words_mut(arena, at, HEADER, 1)[0] = map & !(1 << bit);
    head_mut(arena, at).slots = n as u16 - 1;
    Ok(at)
}

/// Makes the path to the leaf of `key` fresh and says where the leaf hangs, so that the caller can exchange it; nothing
/// where there is no such leaf.
pub fn own_path(
    stage: &mut Stage<'_>,
    root: &mut Addr,
    key: u64,
) -> Result<Option<(Slot, Addr)>, MemoryError> {
    let arena = stage.arena();
    let mut slot = Slot::Root;
    let mut at = *root;
    if is_null(at) {
        return Ok(None);
    }
    while !is_leaf(at) {
        let node = stage.own(at)?;
        set(arena, root, slot, node);
        let Some((next, child)) = child_of(arena, node, key) else { return Ok(None) };
        (slot, at) = (next, child);
    }
    Ok((head(arena, at).key == key).then(|| (slot, untag(at))))
}

/// The child of a node on the way to the leaf of `key`, and where it hangs.
#[inline]
fn child_of(arena: &Arena, node: Addr, key: u64) -> Option<(Slot, Addr)> {
    let shift = shift_of(arena, node);
    let (map, bit) = (bitmap(arena, node), bit(key, shift));
    if prefix(key, shift) != head(arena, node).key || map >> bit & 1 == 0 {
        return None;
    }
    let index = rank(map, bit);
    Some((Slot::Child(node, index), Addr(words(arena, node, HEADER + 8 + 8 * index, 1)[0])))
}

/// As [`own_path`], from a fresh node on which a path ended that it made: for keys that have the rest of the path in common.
#[inline]
pub fn own_near(arena: &Arena, node: Addr, key: u64) -> Option<(Slot, Addr)> {
    let (slot, leaf) = child_of(arena, node, key)?;
    (is_leaf(leaf) && head(arena, leaf).key == key).then(|| (slot, untag(leaf)))
}

/// Hangs `leaf` where `own_path` found the old one; counts are the caller's business.
#[inline]
pub fn set_leaf(arena: &Arena, root: &mut Addr, slot: Slot, leaf: Addr) {
    set(arena, root, slot, tag_leaf(leaf));
}

#[inline]
fn set(arena: &Arena, root: &mut Addr, slot: Slot, child: Addr) {
    match slot {
        Slot::Root => *root = child,
        Slot::Child(node, index) => words_mut(arena, node, HEADER + 8 + 8 * index, 1)[0] = child.0,
    }
}

/// Every leaf, in the order of keys.
pub fn leaves(arena: &Arena, root: Addr) -> Leaves<'_> {
    Leaves { arena, stack: if is_null(root) { Vec::new() } else { vec![root] } }
}

/// Iterator of [`leaves`].
#[derive(Debug)]
pub struct Leaves<'a> {
    arena: &'a Arena,
    stack: Vec<Addr>,
}

impl Iterator for Leaves<'_> {
    type Item = Addr;

    fn next(&mut self) -> Option<Addr> {
        loop {
            let at = self.stack.pop()?;
            if is_leaf(at) {
                return Some(untag(at));
            }
            self.stack.extend(children(self.arena, at).iter().rev().map(|&slot| Addr(slot)));
        }
    }
}

/// Calls `visit` with each key's leaves where the two tries differ, skipping every subtree they share.
pub fn diff(arena: &Arena, a: Addr, b: Addr, visit: &mut dyn FnMut(Option<Addr>, Option<Addr>)) {
    if a == b {
        return;
    }
    if is_null(a) {
        leaves(arena, b).for_each(|leaf| visit(None, Some(leaf)));
        return;
    }
    if is_null(b) {
        leaves(arena, a).for_each(|leaf| visit(Some(leaf), None));
        return;
    }
    let (a_shift, b_shift) = (level(arena, a), level(arena, b));
    let (a_key, b_key) = (low_key(arena, a), low_key(arena, b));
    let shift = a_shift.max(b_shift);
    if shift < 0 {
        return diff_leaves(a, b, a_key, b_key, visit);
    }
    let covers = shift as u32;
    if prefix(a_key, covers) != prefix(b_key, covers) {
        let (first, second) = if a_key < b_key { ((a, true), (b, false)) } else { ((b, false), (a, true)) };
        for (side, is_a) in [first, second] {
            for leaf in leaves(arena, side) {
                if is_a { visit(Some(leaf), None) } else { visit(None, Some(leaf)) }
            }
        }
        return;
    }
    for bit in 0..64 {
        diff(arena, child_at(arena, a, covers, a_key, bit), child_at(arena, b, covers, b_key, bit), visit);
    }
}

fn diff_leaves(a: Addr, b: Addr, a_key: u64, b_key: u64, visit: &mut dyn FnMut(Option<Addr>, Option<Addr>)) {
    let (a, b) = (Some(untag(a)), Some(untag(b)));
    match a_key.cmp(&b_key) {
        std::cmp::Ordering::Equal => visit(a, b),
        std::cmp::Ordering::Less => [(a, None), (None, b)].into_iter().for_each(|(a, b)| visit(a, b)),
        std::cmp::Ordering::Greater => [(None, b), (a, None)].into_iter().for_each(|(a, b)| visit(a, b)),
    }
}

/// The shift of a node, or -1 of a leaf.
fn level(arena: &Arena, at: Addr) -> i32 {
    if is_leaf(at) { -1 } else { i32::from(head(arena, at).shift) }
}

/// The smallest key that can lie below.
fn low_key(arena: &Arena, at: Addr) -> u64 {
    let header = head(arena, at);
    let shift = u32::from(header.shift);
    if is_leaf(at) {
        header.key
    } else if shift >= TOP {
        0
    } else {
        header.key << (shift + BITS)
    }
}

/// The child that a node at `shift` has, or would have were it not skipped, for `bit`.
fn child_at(arena: &Arena, at: Addr, shift: u32, key: u64, wanted: u32) -> Addr {
    if level(arena, at) == shift as i32 {
        let map = bitmap(arena, at);
        if map >> wanted & 1 == 0 { Addr::default() } else { Addr(children(arena, at)[rank(map, wanted)]) }
    } else if bit(key, shift) == wanted {
        at
    } else {
        Addr::default()
    }
}

/// How many levels a lookup of a key may pass; for tests of the shape.
pub fn depth(arena: &Arena, root: Addr) -> usize {
    if is_null(root) || block::is_leaf(root) {
        return 0;
    }
    1 + children(arena, root).iter().map(|&slot| depth(arena, Addr(slot))).max().unwrap_or(0)
}
