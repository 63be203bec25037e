//! The types a cell can have, by the names numpy gives them.

use crate::base::codec::{Reader, Writer};
use crate::page::error::PageError;
use std::fmt;

/// The type of one cell. Every value is little endian; floats are IEEE 754 binary.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum DType {
    /// One byte, 0 or 1.
    Bool,
    /// Signed, 1 byte.
    I8,
    /// Signed, 2 bytes.
    I16,
    /// Signed, 4 bytes.
    I32,
    /// Signed, 8 bytes.
    I64,
    /// Unsigned, 1 byte.
    U8,
    /// Unsigned, 2 bytes.
    U16,
    /// Unsigned, 4 bytes.
    U32,
    /// Unsigned, 8 bytes.
    U64,
    /// Half precision, 2 bytes.
    F16,
    /// Single precision, 4 bytes.
    F32,
    /// Double precision, 8 bytes.
    F64,
    /// A byte string of this fixed length, at least 1, padded with zeros (numpy's `S`).
    Bytes(u16),
}

/// The types of fixed size: code in files (the place in this list), name, numpy's short name.
const FIXED: [(DType, &str, &str); 12] = [
    (DType::Bool, "bool", "b1"),
    (DType::I8, "int8", "i1"),
    (DType::I16, "int16", "i2"),
    (DType::I32, "int32", "i4"),
    (DType::I64, "int64", "i8"),
    (DType::U8, "uint8", "u1"),
    (DType::U16, "uint16", "u2"),
    (DType::U32, "uint32", "u4"),
    (DType::U64, "uint64", "u8"),
    (DType::F16, "float16", "f2"),
    (DType::F32, "float32", "f4"),
    (DType::F64, "float64", "f8"),
];

/// The code of [`DType::Bytes`]; its length follows as two bytes.
const BYTES_CODE: u8 = 12;

impl DType {
    /// All types of fixed size, by their code in files.
    pub const FIXED: [Self; 12] = {
        let mut all = [Self::Bool; 12];
        let mut code = 0;
        while code < all.len() {
            all[code] = FIXED[code].0;
            code += 1;
        }
        all
    };

    /// Bytes of one cell.
    #[inline]
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::Bool | Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 | Self::F16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
            Self::Bytes(length) => length as usize,
        }
    }

    /// The number that stands for it in files, without the length of a byte string.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Bool => 0,
            Self::I8 => 1,
            Self::I16 => 2,
            Self::I32 => 3,
            Self::I64 => 4,
            Self::U8 => 5,
            Self::U16 => 6,
            Self::U32 => 7,
            Self::U64 => 8,
            Self::F16 => 9,
            Self::F32 => 10,
            Self::F64 => 11,
            Self::Bytes(_) => BYTES_CODE,
        }
    }

    /// numpy's name: `bool`, `int8`, ..., `float64`, `S12`.
    #[must_use]
    pub fn name(self) -> String {
        self.to_string()
    }

    /// Whether it is a float of any size.
    #[must_use]
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::F32 | Self::F64)
    }

    /// Reads a name: `float32`, `f4`, `<f4`, `|b1`, `?`, `S12`.
    ///
    /// # Errors
    /// [`PageError::UnsupportedDtype`] for anything else, big-endian types among it.
    pub fn parse(name: &str) -> Result<Self, PageError> {
        let unsupported = || PageError::UnsupportedDtype { name: name.to_owned() };
        let plain = name.strip_prefix(['<', '|', '=']).unwrap_or(name);
        if plain == "?" {
            return Ok(Self::Bool);
        }
        if let Some(length) = plain.strip_prefix('S') {
            // A sign would pass the number's own parser.
            let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
            return match length.parse() {
                Ok(length) if digits && length > 0 => Ok(Self::Bytes(length)),
                _ => Err(unsupported()),
            };
        }
        let known =
            FIXED.iter().find(|(_, long, short)| *short == plain || (*long == plain && plain == name));
        known.map(|(dtype, _, _)| *dtype).ok_or_else(unsupported)
    }

    /// Writes the code, and the length of a byte string.
    pub fn encode(self, out: &mut Writer) {
        out.u8(self.code());
        if let Self::Bytes(length) = self {
            out.u16(length);
        }
    }

    /// Reads what [`DType::encode`] wrote.
    ///
    /// # Errors
    /// [`PageError::UnsupportedDtype`] for an unknown code or an empty byte string, [`PageError::Codec`] when the bytes end.
    pub fn decode(input: &mut Reader<'_>) -> Result<Self, PageError> {
        let code = input.u8()?;
        if let Some((dtype, _, _)) = FIXED.get(usize::from(code)) {
            return Ok(*dtype);
        }
        let length = if code == BYTES_CODE { input.u16()? } else { 0 };
        if length == 0 {
            return Err(PageError::UnsupportedDtype { name: format!("code {code}") });
        }
        Ok(Self::Bytes(length))
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(length) => write!(f, "S{length}"),
            fixed => f.write_str(FIXED[usize::from(fixed.code())].1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::codec::CodecError;

    fn all() -> impl Iterator<Item = DType> {
        DType::FIXED.into_iter().chain([DType::Bytes(1), DType::Bytes(12), DType::Bytes(u16::MAX)])
    }

    #[test]
    fn names_and_bytes_come_back() {
        for dtype in all() {
            assert_eq!(DType::parse(&dtype.name()), Ok(dtype));
            let mut out = Writer::new();
            dtype.encode(&mut out);
            assert_eq!(DType::decode(&mut Reader::new(out.as_slice())), Ok(dtype));
            assert!(dtype.size() > 0);
        }
        for (place, (dtype, _, short)) in FIXED.iter().enumerate() {
            assert_eq!(usize::from(dtype.code()), place);
            assert_eq!(DType::parse(short), Ok(*dtype));
            assert_eq!(DType::parse(&format!("<{short}")), Ok(*dtype));
            let size: usize = short[1..].parse().expect("the short name ends with its size");
            assert_eq!(dtype.size(), size);
        }
    }

    #[test]
    fn short_forms() {
        for (name, dtype) in [
            ("?", DType::Bool),
            ("|b1", DType::Bool),
            ("<f4", DType::F32),
            ("=i8", DType::I64),
            ("i8", DType::I64),
            ("u1", DType::U8),
            ("S12", DType::Bytes(12)),
            ("|S3", DType::Bytes(3)),
        ] {
            assert_eq!(DType::parse(name), Ok(dtype), "{name}");
        }
    }

    #[test]
    fn everything_else_is_refused_by_name() {
        for name in [
            "",
            "float",
            ">f4",
            "complex64",
            "S",
            "S0",
            "S65536",
            "S+1",
            "U4",
            "<float32",
            "O",
            "f16",
            "int128",
        ] {
            let refused = DType::parse(name);
            assert_eq!(refused, Err(PageError::UnsupportedDtype { name: name.to_owned() }));
            assert!(refused.is_err_and(|error| error.to_string().contains(&format!("'{name}'"))));
        }
        assert!(DType::decode(&mut Reader::new(&[13])).is_err());
        assert!(DType::decode(&mut Reader::new(&[12, 0, 0])).is_err());
        let ends = CodecError::Truncated { wanted: 2, left: 1 };
        assert_eq!(DType::decode(&mut Reader::new(&[12, 1])), Err(PageError::Codec(ends)));
    }
}
