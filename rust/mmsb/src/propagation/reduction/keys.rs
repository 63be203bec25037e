//! Keys of rows: cells of any type of integer as numbers of groups.

use crate::algebra::value::Value;
use crate::page::column::ColumnRef;
use crate::page::dtype::DType;
use crate::propagation::error::RuleError;
use crate::propagation::kernel::pieces;
use crate::propagation::reduction::spec::RULE;

/// The group of a row that is in none.
pub const NO_GROUP: u32 = u32::MAX;

/// The keys of a column, and how many groups they are of.
#[derive(Debug, Clone, Copy)]
pub struct Keys {
    /// The column.
    pub column: u16,
    /// Its type.
    pub dtype: DType,
    /// How many groups there are.
    pub groups: u32,
}

/// Something to be done with each group: its key as a number.
trait Key: Value {
    fn key(self) -> i128;
    /// The group, where there is one; -1 is none.
    fn group(self, groups: u32) -> Option<u32>;
}

macro_rules! keys {
    ($none:expr; $($type:ty),+) => {$(
        impl Key for $type {
            fn key(self) -> i128 {
                i128::from(self)
            }
            #[inline(always)]
            fn group(self, groups: u32) -> Option<u32> {
                // A negative one becomes too large a group.
                let group = self as u64;
                let none: Option<Self> = $none;
                if group < u64::from(groups) {
                    Some(group as u32)
                } else {
                    (none == Some(self)).then_some(NO_GROUP)
                }
            }
        }
    )+};
}

keys!(Some(-1); i8, i16, i32, i64);
keys!(None; u8, u16, u32, u64);

impl Keys {
    /// The groups of these rows, in place of what was there.
    ///
    /// # Errors
    /// [`RuleError::Value`] names the first row whose key is of no group.
    pub fn read(
        self,
        column: &ColumnRef<'_>,
        first: u64,
        stop: u64,
        into: &mut Vec<u32>,
    ) -> Result<(), RuleError> {
        into.clear();
        match self.dtype {
            DType::I8 => self.of::<i8>(column, first, stop, into),
            DType::I16 => self.of::<i16>(column, first, stop, into),
            DType::I32 => self.of::<i32>(column, first, stop, into),
            DType::I64 => self.of::<i64>(column, first, stop, into),
            DType::U8 => self.of::<u8>(column, first, stop, into),
            DType::U16 => self.of::<u16>(column, first, stop, into),
            DType::U32 => self.of::<u32>(column, first, stop, into),
            DType::U64 => self.of::<u64>(column, first, stop, into),
            dtype => Err(RuleError::WrongType {
                rule: RULE,
                whose: "the column of keys".to_owned(),
                dtype,
                wanted: "a type of integers".to_owned(),
            }),
        }
    }

    fn of<K: Key>(
        self,
        column: &ColumnRef<'_>,
        first: u64,
        stop: u64,
        into: &mut Vec<u32>,
    ) -> Result<(), RuleError> {
        pieces::<K>(column, first, stop, |at, keys| {
            let mut wrong = None;
            into.extend(keys.iter().enumerate().map(|(i, key)| {
                key.group(self.groups).unwrap_or_else(|| {
                    wrong.get_or_insert((at + i as u64, key.key()));
                    NO_GROUP
                })
            }));
            match wrong {
                None => Ok(()),
                Some((row, key)) => Err(RuleError::Value {
                    rule: RULE,
                    what: format!("the key {key} of row {row} is none of 0 to {}", self.groups - 1),
                }),
            }
        })
    }
}
