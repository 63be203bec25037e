//! The operators that merge deltas: their ids, the trait they implement, and the table they are found in.
//!
//! The trait is here because replay needs it; the operators themselves are in the algebra room, and the bus hands the
//! table in.

use crate::page::dtype::DType;
use crate::page::error::PageError;
use std::fmt;
use std::sync::Arc;

/// The number of an operator in frames and schemas. Ids never change their meaning.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(transparent)]
pub struct OperatorId(pub u16);

impl OperatorId {
    /// Not a merge: the new cell replaces the old one.
    pub const ASSIGN: Self = Self(0);

    /// Whether it is assignment.
    #[must_use]
    pub const fn is_assign(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for OperatorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "operator id {}", self.0)
    }
}

/// A commutative operator on cells: `new = old op delta`, the same bits on every machine.
pub trait Merge: Send + Sync {
    /// Its number in files.
    fn id(&self) -> OperatorId;

    /// Its name: `add`, `min`, ...
    fn name(&self) -> &'static str;

    /// Whether it means something on cells of this type.
    fn supports(&self, dtype: DType) -> bool;

    /// Whether it is associative bit for bit on this type, so that deltas may be composed before they are applied.
    fn exact(&self, dtype: DType) -> bool;

    /// `dst[i] = dst[i] op src[i]` for every cell of two slices of whole cells, equally long. Neither need be aligned.
    /// Does nothing for a type it does not support: callers ask [`Operators::on`] first.
    fn apply(&self, dtype: DType, dst: &mut [u8], src: &[u8]);

    /// `dst[list[i] - first] = dst[list[i] - first] op src[i]`, cell by cell in the order of the list, up to the first that
    /// is not in `dst`; how many there were. `src` has as many whole cells as the list.
    fn apply_at(&self, dtype: DType, dst: &mut [u8], (list, first): (&[u64], u64), src: &[u8]) -> usize {
        let size = dtype.size();
        let cells = (dst.len() / size) as u64;
        let mut places = list.iter().map(|cell| cell.wrapping_sub(first)).zip(src.chunks_exact(size));
        let outside = places.position(|(place, src)| {
            if place < cells {
                self.apply(dtype, &mut dst[place as usize * size..][..size], src);
            }
            place >= cells
        });
        outside.unwrap_or(list.len())
    }
}

/// The operators of a bus, by id and by name.
#[derive(Clone, Default)]
pub struct Operators {
    table: Vec<Arc<dyn Merge>>,
    /// Those of the table, in its order: a look-up calls nothing.
    ids: Vec<OperatorId>,
}

impl Operators {
    /// A table without operators; assignment needs none.
    #[must_use]
    pub const fn new() -> Self {
        Self { table: Vec::new(), ids: Vec::new() }
    }

    /// Adds an operator.
    ///
    /// # Errors
    /// [`PageError::OperatorTaken`] when its id is 0 or its id or name is another's.
    pub fn register(&mut self, operator: Arc<dyn Merge>) -> Result<(), PageError> {
        let (id, name) = (operator.id(), operator.name());
        if id.is_assign() || self.table.iter().any(|other| other.id() == id || other.name() == name) {
            return Err(PageError::OperatorTaken { name });
        }
        let place = self.table.partition_point(|other| other.id() < id);
        self.table.insert(place, operator);
        self.ids.insert(place, id);
        Ok(())
    }

    /// The operator with this id; `None` for assignment.
    ///
    /// # Errors
    /// [`PageError::UnknownOperator`].
    pub fn get(&self, id: OperatorId) -> Result<Option<&dyn Merge>, PageError> {
        if id.is_assign() {
            return Ok(None);
        }
        let place = self.ids.iter().position(|known| *known == id);
        place.map(|place| Some(&*self.table[place])).ok_or(PageError::UnknownOperator(id))
    }

    /// The operator with this id, when it works on `dtype`; `None` for assignment, which always does.
    ///
    /// # Errors
    /// [`PageError::UnknownOperator`], [`PageError::UnsupportedOperator`].
    pub fn on(&self, id: OperatorId, dtype: DType) -> Result<Option<&dyn Merge>, PageError> {
        match self.get(id)? {
            Some(operator) if !operator.supports(dtype) => {
                Err(PageError::UnsupportedOperator { operator: operator.name(), dtype })
            }
            found => Ok(found),
        }
    }

    /// The operator of this name.
    ///
    /// # Errors
    /// [`PageError::UnknownOperatorName`].
    pub fn named(&self, name: &str) -> Result<&dyn Merge, PageError> {
        let found = self.table.iter().find(|operator| operator.name() == name);
        found.map(|operator| &**operator).ok_or_else(|| PageError::UnknownOperatorName(name.to_owned()))
    }

    /// All operators, by id.
    pub fn iter(&self) -> impl Iterator<Item = &dyn Merge> {
        self.table.iter().map(|operator| &**operator)
    }
}

impl fmt::Debug for Operators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|operator| (operator.id(), operator.name()))).finish()
    }
}
