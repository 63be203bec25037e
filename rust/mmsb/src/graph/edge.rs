//! An edge of the graph: what a page follows from, and how. See `docs/bytes.md`, "Rules".

use std::fmt;

use crate::base::codec::{Reader, Writer};
use crate::base::ids::PageId;
use crate::graph::error::GraphError;

/// What an edge carries.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u8)]
pub enum EdgeKind {
    /// Cells: the page is made anew where they change.
    #[default]
    Data = 0,
    /// A reason to look again: the page is marked stale when the input changes.
    Control = 1,
    /// Cells that a device has a copy of: the page is marked as to be brought there.
    Device = 2,
    /// Code: what was compiled from it is not valid any more.
    Compiler = 3,
}

/// The names, by number.
const KINDS: [(EdgeKind, &str); 4] = [
    (EdgeKind::Data, "data"),
    (EdgeKind::Control, "control"),
    (EdgeKind::Device, "device"),
    (EdgeKind::Compiler, "compiler"),
];

impl EdgeKind {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        KINDS[self as usize].1
    }

    /// The one of this number.
    #[inline]
    pub(crate) fn of(number: u8) -> Option<Self> {
        KINDS.get(usize::from(number)).map(|(kind, _)| *kind)
    }

    /// The one of this name.
    ///
    /// # Errors
    /// [`GraphError::UnknownKind`].
    pub fn named(name: &str) -> Result<Self, GraphError> {
        let found = KINDS.iter().find(|(_, known)| *known == name);
        found.map(|(kind, _)| *kind).ok_or_else(|| GraphError::UnknownKind {
            name: name.to_owned(),
            known: KINDS.map(|(_, known)| known).join(", "),
        })
    }

    /// The mark that a page gets whose input by such an edge has changed: 0 where the page is made anew instead.
    #[inline]
    #[must_use]
    pub const fn mark(self) -> u8 {
        match self {
            Self::Data => 0,
            Self::Control => 1,
            Self::Device => 2,
            Self::Compiler => 4,
        }
    }
}

impl fmt::Display for EdgeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a page follows from.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Edge {
    /// The input.
    pub page: PageId,
    /// What the edge carries.
    pub kind: EdgeKind,
}

impl Edge {
    /// An edge that carries cells.
    #[must_use]
    pub const fn data(page: PageId) -> Self {
        Self { page, kind: EdgeKind::Data }
    }
}

/// Appends the edges of a rule, with which its bytes begin.
pub fn encode(edges: &[Edge], to: &mut Writer) {
    to.varint(edges.len() as u64);
    for edge in edges {
        to.varint(edge.page.0);
        to.u8(edge.kind as u8);
    }
}

/// Reads the edges with which the bytes of a rule begin; what follows is the rule's own.
///
/// # Errors
/// [`GraphError::Unreadable`].
pub fn decode(from: &mut Reader<'_>) -> Result<Vec<Edge>, GraphError> {
    let count = from.varint()?;
    // Each takes two bytes at least.
    if count > from.left() as u64 / 2 {
        return Err(GraphError::Unreadable(format!("{count} edges in {} bytes", from.left())));
    }
    (0..count)
        .map(|_| {
            let (page, kind) = (PageId(from.varint()?), from.u8()?);
            let kind = EdgeKind::of(kind);
            let kind = kind.ok_or_else(|| GraphError::Unreadable("an edge of an unknown kind".into()))?;
            Ok(Edge { page, kind })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn edges_come_back(edges in prop::collection::vec((any::<u64>(), 0u8..4), 0..9), rest in prop::collection::vec(any::<u8>(), 0..5)) {
            let edges: Vec<Edge> = edges
                .into_iter()
                .map(|(page, kind)| Edge { page: PageId(page), kind: EdgeKind::of(kind).expect("a kind") })
                .collect();
            let mut to = Writer::new();
            encode(&edges, &mut to);
            to.raw(&rest);
            let bytes = to.into_vec();
            let mut from = Reader::new(&bytes);
            prop_assert_eq!(decode(&mut from), Ok(edges));
            prop_assert_eq!(from.left(), rest.len());
        }

        #[test]
        fn any_bytes_are_edges_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = decode(&mut Reader::new(&bytes));
        }
    }
}
