//! What a page is made of: its columns, their types and inner shapes, and how they lie in memory.

use crate::base::codec::{Reader, Writer};
use crate::base::limits::{COLUMN_ALIGN, MAX_COLUMNS, MAX_INNER_AXES, MAX_NAME, MAX_PAGE_BYTES};
use crate::page::dtype::DType;
use crate::page::error::PageError;
use crate::page::operator::OperatorId;

/// The name of an array page's one column.
pub const ARRAY_COLUMN: &str = "value";
/// The name of a raw page's one column.
pub const RAW_COLUMN: &str = "bytes";

/// A named column: one cell, or a box of cells, per row. Immutable and valid.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column {
    name: String,
    dtype: DType,
    inner: Vec<u64>,
    cells_per_row: u64,
    // Known from the others, and asked for at every step of every kernel.
    cell_bytes: u64,
    row_bytes: u64,
}

impl Column {
    /// A column of `dtype` with `inner` cells along each inner axis (none: one cell per row).
    ///
    /// # Errors
    /// [`PageError::BadName`], [`PageError::BadSchema`] for an inner axis of size 0, too many of them, or a row past
    /// the size of a page.
    pub fn new(name: impl Into<String>, dtype: DType, inner: Vec<u64>) -> Result<Self, PageError> {
        let name = name.into();
        check_text("column", &name)?;
        let wrong = |why| Err(PageError::BadSchema { why });
        if inner.len() > MAX_INNER_AXES {
            return wrong(format!(
                "column '{name}' has {} inner axes, more than {MAX_INNER_AXES}",
                inner.len()
            ));
        }
        if dtype.size() == 0 {
            return wrong(format!("column '{name}' is of byte strings of length 0"));
        }
        if let Some(axis) = inner.iter().position(|&size| size == 0) {
            return wrong(format!("inner axis {axis} of column '{name}' has size 0"));
        }
        let cells = inner.iter().try_fold(1u64, |cells, &size| cells.checked_mul(size));
        let cell_bytes = dtype.size() as u64;
        let row = cells.and_then(|cells| Some((cells, cells.checked_mul(cell_bytes)?)));
        match row.filter(|(_, row_bytes)| *row_bytes <= MAX_PAGE_BYTES) {
            Some((cells_per_row, row_bytes)) => {
                Ok(Self { name, dtype, inner, cells_per_row, cell_bytes, row_bytes })
            }
            None => wrong(format!("a row of column '{name}' is larger than {MAX_PAGE_BYTES} bytes")),
        }
    }

    /// Its name, unique in its page.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The type of its cells.
    #[inline]
    #[must_use]
    pub const fn dtype(&self) -> DType {
        self.dtype
    }

    /// The size of each inner axis; empty when a row is one cell.
    #[must_use]
    pub fn inner(&self) -> &[u64] {
        &self.inner
    }

    /// Cells of one row; at least 1.
    #[inline]
    #[must_use]
    pub const fn cells_per_row(&self) -> u64 {
        self.cells_per_row
    }

    /// Bytes of one cell.
    #[inline]
    #[must_use]
    pub const fn cell_bytes(&self) -> u64 {
        self.cell_bytes
    }

    /// Bytes of one row.
    #[inline]
    #[must_use]
    pub const fn row_bytes(&self) -> u64 {
        self.row_bytes
    }
}

/// What a page was created as; it decides the shape users see, not the bytes.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// One column seen as an array `(rows, *inner)`.
    Array {
        /// The array has shape `()`: one row and no inner axes.
        scalar: bool,
    },
    /// Named columns.
    Table,
    /// One `uint8` column seen as bytes.
    Raw,
}

/// The columns of a page and its default operator. Immutable and valid; how many rows there are is not part of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schema {
    kind: Kind,
    columns: Vec<Column>,
    operator: Option<OperatorId>,
}

impl Schema {
    /// A schema of these columns. `operator` is what `merge` uses by default ([`OperatorId::ASSIGN`] is none).
    ///
    /// # Errors
    /// [`PageError::BadSchema`] for no or too many columns, two of one name, or columns that `kind` does not have.
    pub fn new(kind: Kind, columns: Vec<Column>, operator: Option<OperatorId>) -> Result<Self, PageError> {
        let wrong = |why: String| Err(PageError::BadSchema { why });
        if columns.is_empty() || columns.len() > MAX_COLUMNS {
            return wrong(format!("{} columns, where 1 to {MAX_COLUMNS} are possible", columns.len()));
        }
        let mut names: Vec<&str> = columns.iter().map(Column::name).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return wrong(format!("two columns are named '{}'", pair[0]));
        }
        match kind {
            Kind::Array { .. } | Kind::Raw if columns.len() != 1 => {
                return wrong(format!("an array or raw page has one column, not {}", columns.len()));
            }
            Kind::Array { scalar: true } if !columns[0].inner.is_empty() => {
                return wrong("a scalar has no inner axes".to_owned());
            }
            Kind::Raw if columns[0].dtype != DType::U8 || !columns[0].inner.is_empty() => {
                return wrong("a raw page is one uint8 column without inner axes".to_owned());
            }
            _ => {}
        }
        Ok(Self { kind, columns, operator: operator.filter(|operator| !operator.is_assign()) })
    }

    /// An array page: rows of `inner` cells of `dtype`; `scalar` for shape `()`, which is one row.
    ///
    /// # Errors
    /// As [`Column::new`] and [`Schema::new`].
    pub fn array(
        dtype: DType,
        inner: Vec<u64>,
        scalar: bool,
        operator: Option<OperatorId>,
    ) -> Result<Self, PageError> {
        Self::new(Kind::Array { scalar }, vec![Column::new(ARRAY_COLUMN, dtype, inner)?], operator)
    }

    /// A raw page: as many rows as bytes.
    ///
    /// # Errors
    /// As [`Schema::new`].
    pub fn raw(operator: Option<OperatorId>) -> Result<Self, PageError> {
        Self::new(Kind::Raw, vec![Column::new(RAW_COLUMN, DType::U8, Vec::new())?], operator)
    }

    /// What the page was created as.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The columns, in order.
    #[inline]
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The operator that `merge` uses by default; never assignment.
    #[must_use]
    pub const fn operator(&self) -> Option<OperatorId> {
        self.operator
    }

    /// The column with this number.
    ///
    /// # Errors
    /// [`PageError::NoSuchColumn`].
    #[inline]
    pub fn column(&self, column: u16) -> Result<&Column, PageError> {
        let columns = self.columns.len();
        self.columns.get(usize::from(column)).ok_or(PageError::NoSuchColumn { column, columns })
    }

    /// The number of the column of this name.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<u16> {
        self.columns.iter().position(|column| column.name == name).map(|place| place as u16)
    }

    /// Bytes of one row over all columns, saturating.
    #[inline]
    #[must_use]
    pub fn row_bytes(&self) -> u64 {
        self.columns.iter().fold(0, |sum, column| sum.saturating_add(column.row_bytes()))
    }

    /// Bytes of all cells of a page of `rows` rows, without padding.
    ///
    /// # Errors
    /// [`PageError::PageTooLarge`] past [`MAX_PAGE_BYTES`]; [`PageError::BadSchema`] for a scalar that has not one row.
    pub fn page_bytes(&self, rows: u64) -> Result<u64, PageError> {
        if self.kind == (Kind::Array { scalar: true }) && rows != 1 {
            return Err(PageError::BadSchema { why: format!("a scalar has one row, not {rows}") });
        }
        let row_bytes = self.row_bytes();
        let bytes = row_bytes.checked_mul(rows).filter(|&bytes| bytes <= MAX_PAGE_BYTES);
        bytes.ok_or(PageError::PageTooLarge { rows, row_bytes, limit: MAX_PAGE_BYTES })
    }

    /// Where the columns of a page of `rows` rows lie when they are packed in one block. The page must be possible
    /// ([`Schema::page_bytes`]).
    #[must_use]
    pub fn packed_layout(&self, rows: u64) -> PackedLayout {
        let mut bytes = 0u64;
        let place = |column: &Column| {
            let offset = bytes;
            bytes = (offset + column.row_bytes() * rows).next_multiple_of(COLUMN_ALIGN);
            offset
        };
        let offsets = self.columns.iter().map(place).collect();
        PackedLayout { offsets, bytes }
    }

    /// Writes the schema. The bytes are described in `docs/bytes.md`.
    pub fn encode(&self, out: &mut Writer) {
        out.u8(match self.kind {
            Kind::Array { scalar: false } => 0,
            Kind::Array { scalar: true } => 1,
            Kind::Table => 2,
            Kind::Raw => 3,
        });
        out.varint(self.operator.map_or(0, |operator| u64::from(operator.0)));
        out.varint(self.columns.len() as u64);
        for column in &self.columns {
            out.str(&column.name);
            column.dtype.encode(out);
            out.varint(column.inner.len() as u64);
            for &size in &column.inner {
                out.varint(size);
            }
        }
    }

    /// Reads what [`Schema::encode`] wrote, and checks it like [`Schema::new`].
    ///
    /// # Errors
    /// Those of the constructors; [`PageError::Malformed`] and [`PageError::Codec`] for bytes that are no schema.
    pub fn decode(input: &mut Reader<'_>) -> Result<Self, PageError> {
        let kind = match input.u8()? {
            0 => Kind::Array { scalar: false },
            1 => Kind::Array { scalar: true },
            2 => Kind::Table,
            3 => Kind::Raw,
            _ => return Err(PageError::Malformed("unknown kind of page")),
        };
        let operator =
            u16::try_from(input.varint()?).map_err(|_| PageError::Malformed("operator id past 16 bits"))?;
        let count = count(input, MAX_COLUMNS, "more columns than a page can have")?;
        let mut columns = Vec::with_capacity(count);
        for _ in 0..count {
            let name = input.str()?.to_owned();
            let dtype = DType::decode(input)?;
            let axes = self::count(input, MAX_INNER_AXES, "more inner axes than a column can have")?;
            let inner = (0..axes).map(|_| input.varint()).collect::<Result<_, _>>()?;
            columns.push(Column::new(name, dtype, inner)?);
        }
        Self::new(kind, columns, Some(OperatorId(operator)))
    }
}

fn count(input: &mut Reader<'_>, most: usize, why: &'static str) -> Result<usize, PageError> {
    let count = input.varint()?;
    usize::try_from(count).ok().filter(|&count| count <= most).ok_or(PageError::Malformed(why))
}

/// Where columns lie in one block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PackedLayout {
    /// The first byte of each column, a multiple of [`COLUMN_ALIGN`].
    pub offsets: Vec<u64>,
    /// Bytes of the block, a multiple of [`COLUMN_ALIGN`].
    pub bytes: u64,
}

/// Whether `name` can be a page's: 1 to [`MAX_NAME`] bytes of UTF-8 without NUL.
///
/// # Errors
/// [`PageError::BadName`].
pub fn check_name(name: &str) -> Result<(), PageError> {
    check_text("page", name)
}

/// Whether `name` can be a branch's: by the rules of a page's.
///
/// # Errors
/// [`PageError::BadName`].
pub fn check_branch_name(name: &str) -> Result<(), PageError> {
    check_text("branch", name)
}

fn check_text(what: &'static str, name: &str) -> Result<(), PageError> {
    let why = if name.is_empty() {
        "is empty".into()
    } else if name.len() > MAX_NAME {
        format!("has {} bytes, more than {MAX_NAME}", name.len())
    } else if name.contains('\0') {
        "has a NUL character".into()
    } else {
        return Ok(());
    };
    Err(PageError::BadName { what, name: name.chars().take(64).collect(), why })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(columns: Vec<Column>) -> Result<Schema, PageError> {
        Schema::new(Kind::Table, columns, None)
    }

    fn column(name: &str, dtype: DType, inner: &[u64]) -> Column {
        Column::new(name, dtype, inner.to_vec()).expect("a valid column")
    }

    #[test]
    fn sizes_and_layout() {
        let schema = table(vec![
            column("price", DType::F64, &[]),
            column("pos", DType::F32, &[3]),
            column("code", DType::Bytes(5), &[2, 2]),
        ])
        .expect("valid");
        assert_eq!(schema.row_bytes(), 8 + 12 + 20);
        assert_eq!(schema.page_bytes(10), Ok(400));
        assert_eq!(schema.packed_layout(10), PackedLayout { offsets: vec![0, 128, 256], bytes: 256 + 256 });
        assert_eq!(schema.packed_layout(0), PackedLayout { offsets: vec![0, 0, 0], bytes: 0 });
        assert_eq!(schema.position("pos"), Some(1));
        assert_eq!(schema.position("none"), None);
        assert_eq!(schema.column(3), Err(PageError::NoSuchColumn { column: 3, columns: 3 }));
    }

    #[test]
    fn what_cannot_be_a_schema() {
        assert!(table(vec![]).is_err());
        let many = |count: usize| (0..count).map(|n| column(&n.to_string(), DType::U8, &[])).collect();
        assert!(table(many(MAX_COLUMNS)).is_ok());
        assert!(table(many(MAX_COLUMNS + 1)).is_err());
        assert!(table(vec![column("a", DType::U8, &[]), column("a", DType::F64, &[])]).is_err());
        assert!(Schema::new(Kind::Raw, vec![column("a", DType::I8, &[])], None).is_err());
        assert!(Schema::array(DType::F32, vec![3], true, None).is_err());
        assert!(Column::new("", DType::U8, vec![]).is_err());
        assert!(Column::new("é".repeat(128), DType::U8, vec![]).is_err());
        assert!(Column::new("a", DType::U8, vec![3, 0]).is_err());
        assert!(Column::new("a", DType::U8, vec![1; 33]).is_err());
        assert!(Column::new("a", DType::Bytes(0), vec![]).is_err());
        assert!(Column::new("a", DType::F64, vec![1 << 37]).is_ok());
        assert!(Column::new("a", DType::F64, vec![1 << 37, 2]).is_err());
        assert!(Column::new("a", DType::F64, vec![1 << 40, 1 << 40]).is_err());
    }

    #[test]
    fn pages_have_a_largest_size() {
        let schema = Schema::array(DType::F64, vec![4], false, None).expect("valid");
        assert_eq!(schema.page_bytes(1 << 35), Ok(MAX_PAGE_BYTES));
        let large = PageError::PageTooLarge { rows: (1 << 35) + 1, row_bytes: 32, limit: MAX_PAGE_BYTES };
        assert_eq!(schema.page_bytes((1 << 35) + 1), Err(large));
        assert!(schema.page_bytes(u64::MAX).is_err());
        let scalar = Schema::array(DType::F64, vec![], true, None).expect("valid");
        assert_eq!((scalar.page_bytes(1), scalar.page_bytes(2).is_err()), (Ok(8), true));
    }

    #[test]
    fn names() {
        assert_eq!(check_name("pos"), Ok(()));
        assert_eq!(check_name(&"x".repeat(255)), Ok(()));
        for bad in ["", "a\0b", &"x".repeat(256)] {
            assert!(matches!(check_name(bad), Err(PageError::BadName { what: "page", .. })));
            let wrong = check_branch_name(bad).expect_err("no name");
            assert!(wrong.to_string().starts_with("branch name"), "{wrong}");
        }
        let long = check_name(&"x".repeat(256)).expect_err("too long");
        assert!(long.to_string().ends_with("has 256 bytes, more than 255"), "{long}");
    }

    #[test]
    fn assignment_is_no_default_operator() {
        let schema = Schema::raw(Some(OperatorId::ASSIGN)).expect("valid");
        assert_eq!(schema.operator(), None);
        assert_eq!(Schema::raw(Some(OperatorId(3))).expect("valid").operator(), Some(OperatorId(3)));
    }

    fn dtypes() -> impl Strategy<Value = DType> {
        prop_oneof![Just(DType::Bool), Just(DType::I64), Just(DType::F16), (1u16..).prop_map(DType::Bytes)]
    }

    proptest! {
        #[test]
        fn schemas_come_back(
            columns in prop::collection::btree_map("[a-zé]{1,9}", (dtypes(), prop::collection::vec(1u64..9, 0..4)), 1..6),
            operator in prop::option::of(1u16..),
        ) {
            let columns: Result<Vec<_>, _> =
                columns.into_iter().map(|(name, (dtype, inner))| Column::new(name, dtype, inner)).collect();
            let schema = Schema::new(Kind::Table, columns?, operator.map(OperatorId))?;
            let mut out = Writer::new();
            schema.encode(&mut out);
            let mut input = Reader::new(out.as_slice());
            prop_assert_eq!(Schema::decode(&mut input)?, schema);
            prop_assert!(input.is_empty());
            for end in 0..out.len() {
                prop_assert!(Schema::decode(&mut Reader::new(&out.as_slice()[..end])).is_err());
            }
        }

        #[test]
        fn garbage_never_panics(bytes: Vec<u8>) {
            let _ = Schema::decode(&mut Reader::new(&bytes));
        }
    }
}
