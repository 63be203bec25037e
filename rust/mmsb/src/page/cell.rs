//! Rust's own types as cells: what makes a slice of numbers the data of a delta.

use crate::page::dtype::DType;

/// A Rust type that a cell can have.
pub trait Cell: Copy {
    /// Its type in a page.
    const DTYPE: DType;

    /// Appends its little-endian bytes.
    fn put(self, to: &mut Vec<u8>);

    /// Reads what [`Cell::put`] wrote; `bytes` are as many as the type has.
    fn get(bytes: &[u8]) -> Self;
}

macro_rules! cells {
    ($($rust:ty = $dtype:ident,)*) => {$(
        impl Cell for $rust {
            const DTYPE: DType = DType::$dtype;

            fn put(self, to: &mut Vec<u8>) {
                to.extend_from_slice(&self.to_le_bytes());
            }

            fn get(bytes: &[u8]) -> Self {
                let mut whole = [0; size_of::<$rust>()];
                whole.copy_from_slice(bytes);
                Self::from_le_bytes(whole)
            }
        }
    )*};
}

cells! {
    i8 = I8,
    i16 = I16,
    i32 = I32,
    i64 = I64,
    u8 = U8,
    u16 = U16,
    u32 = U32,
    u64 = U64,
    f32 = F32,
    f64 = F64,
}
