//! Two trees of chunks gone over side by side: what they share is passed over.

use crate::base::limits::CHUNK;
use crate::memory::addr::Addr;
use crate::memory::arena::Arena;
use crate::page::block::{HEADER, head, is_null, words};
use crate::page::column::{FAN, child, slots, span};

/// A tree seen as if it were as high as another: the missing roots have it as their first child.
#[derive(Clone, Copy)]
pub(super) struct Lifted {
    pub at: Addr,
    pub height: u32,
}

impl Lifted {
    fn child(self, arena: &Arena, h: u32, i: u64) -> Lifted {
        let none = Lifted { at: Addr::default(), height: h.saturating_sub(1) };
        if is_null(self.at) {
            none
        } else if self.height < h {
            if i == 0 { self } else { none }
        } else if i < u64::from(head(arena, self.at).slots) {
            Lifted { at: child(arena, self.at, h, i as usize), height: h.saturating_sub(1) }
        } else {
            none
        }
    }
}

/// Calls `visit` with the ranges of bytes below two nodes at height `h`, the first over chunk `first`, that lie in chunks of
/// their own.
pub(super) fn differing(
    arena: &Arena,
    pair: [Lifted; 2],
    h: u32,
    first: u64,
    visit: &mut dyn FnMut(u64, u64),
) {
    let [a, b] = pair;
    if a.at == b.at {
        return;
    }
    let step = span(h);
    // Nodes of this height mostly have almost all children in common: those are gone over as words.
    let is_node = |of: Lifted| of.height == h && !is_null(of.at);
    let stride = if h == 0 { 2 } else { 1 };
    let known = if is_node(a) && is_node(b) { slots(arena, a.at).min(slots(arena, b.at)) } else { 0 };
    let children = |of: Lifted| if known > 0 { words(arena, of.at, HEADER, known * stride) } else { &[] };
    let (ours, theirs) = (children(a), children(b));
    for i in 0..FAN {
        let at = i as usize * stride;
        if at < ours.len() && ours[at] == theirs[at] {
            continue;
        }
        let (x, y) = (a.child(arena, h, i), b.child(arena, h, i));
        let from = first + i * step;
        if x.at == y.at {
            continue;
        }
        if h == 0 {
            visit(from * CHUNK as u64, (from + 1) * CHUNK as u64);
        } else {
            differing(arena, [x, y], h - 1, from, visit);
        }
    }
}
