//! Little-endian bytes: a writer over a vector and a reader over a slice that never panics.

use thiserror::Error;

/// Why bytes could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CodecError {
    /// The bytes end before the value does.
    #[error("truncated: a value needs {wanted} bytes and {left} are left")]
    Truncated {
        /// Bytes the value needs.
        wanted: u64,
        /// Bytes that are left.
        left: usize,
    },
    /// A varint that does not fit 64 bits, or is longer than it need be.
    #[error("a varint is longer than its value needs or than 64 bits")]
    Overlong,
    /// A string that is not UTF-8.
    #[error("a string of {length} bytes is not UTF-8")]
    Utf8 {
        /// Bytes of the string.
        length: usize,
    },
}

/// Longest varint of a `u64`, in bytes.
pub const MAX_VARINT: usize = 10;

/// Appends little-endian values to a vector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty writer.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// An empty writer with room for `capacity` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity) }
    }

    /// A writer that goes on after `bytes`.
    #[must_use]
    pub const fn onto(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// Forgets what was written and keeps the room.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Forgets what was written behind so many bytes.
    pub fn truncate(&mut self, bytes: usize) {
        self.bytes.truncate(bytes);
    }

    /// Bytes written.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What was written.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// What was written, to write over (a length or a checksum known only afterwards).
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// The bytes themselves.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        self.bytes
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// Two bytes.
    pub fn u16(&mut self, value: u16) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Four bytes.
    pub fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Eight bytes.
    pub fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// LEB128: 7 bits a byte, low first; 1 to 10 bytes.
    #[inline]
    pub fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    /// A signed number as a varint: 0, -1, 1, -2 ... become 0, 1, 2, 3 ...
    #[inline]
    pub fn zigzag(&mut self, value: i64) {
        self.varint((value << 1 ^ value >> 63) as u64);
    }

    /// The bytes as they are, without a length.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// A varint length, then the bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.raw(bytes);
    }

    /// A varint length in bytes, then the UTF-8.
    pub fn str(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Zero bytes until the length is a multiple of `to`.
    pub fn pad(&mut self, to: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
    }
}

/// Reads little-endian values from a slice. A failed read leaves the place where it was.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    left: &'a [u8],
    total: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the first of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes, total: bytes.len() }
    }

    /// Bytes read so far.
    #[must_use]
    pub const fn at(&self) -> usize {
        self.total - self.left.len()
    }

    /// Bytes not read yet.
    #[must_use]
    pub const fn left(&self) -> usize {
        self.left.len()
    }

    /// Whether everything was read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// What was not read yet, without reading it.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.left
    }

    /// The next `count` bytes as they are.
    #[inline]
    pub fn raw(&mut self, count: usize) -> Result<&'a [u8], CodecError> {
        let Some((head, tail)) = self.left.split_at_checked(count) else {
            return Err(CodecError::Truncated { wanted: count as u64, left: self.left.len() });
        };
        self.left = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let Some((head, tail)) = self.left.split_first_chunk::<N>() else {
            return Err(CodecError::Truncated { wanted: N as u64, left: self.left.len() });
        };
        self.left = tail;
        Ok(*head)
    }

    /// One byte.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, CodecError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Two bytes.
    #[inline]
    pub fn u16(&mut self) -> Result<u16, CodecError> {
        self.array().map(u16::from_le_bytes)
    }

    /// Four bytes.
    #[inline]
    pub fn u32(&mut self) -> Result<u32, CodecError> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes.
    #[inline]
    pub fn u64(&mut self) -> Result<u64, CodecError> {
        self.array().map(u64::from_le_bytes)
    }

    /// LEB128. Only the shortest form of a value is accepted, so every value has one encoding.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, CodecError> {
        // Most are columns, counts and lengths.
        if let Some((&byte @ ..0x80, tail)) = self.left.split_first() {
            self.left = tail;
            return Ok(byte.into());
        }
        // Then rows and page counters.
        if let Some((&[low, high @ 1..0x80], tail)) = self.left.split_first_chunk() {
            self.left = tail;
            return Ok(u64::from(low & 0x7f) | u64::from(high) << 7);
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, CodecError> {
        let mut value = 0u64;
        for (index, &byte) in self.left.iter().enumerate().take(MAX_VARINT) {
            let bits = u64::from(byte & 0x7f);
            if index == MAX_VARINT - 1 && byte > 1 {
                return Err(CodecError::Overlong);
            }
            value |= bits << (7 * index);
            if byte < 0x80 {
                if byte == 0 && index > 0 {
                    return Err(CodecError::Overlong);
                }
                self.left = &self.left[index + 1..];
                return Ok(value);
            }
        }
        Err(CodecError::Truncated { wanted: self.left.len() as u64 + 1, left: self.left.len() })
    }

    /// Moves past so many varints.
    pub fn skip_varints(&mut self, count: u64) -> Result<(), CodecError> {
        let mut left = count;
        while left > 0 {
            let Some((&byte, tail)) = self.left.split_first() else {
                return Err(CodecError::Truncated { wanted: left, left: 0 });
            };
            self.left = tail;
            left -= u64::from(byte < 0x80);
        }
        Ok(())
    }

    /// A signed number written by [`Writer::zigzag`].
    #[inline]
    pub fn zigzag(&mut self) -> Result<i64, CodecError> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A varint length, then that many bytes.
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], CodecError> {
        let mut ahead = self.clone();
        let length = ahead.varint()?;
        let Ok(count) = usize::try_from(length) else {
            return Err(CodecError::Truncated { wanted: length, left: ahead.left() });
        };
        let bytes = ahead.raw(count)?;
        *self = ahead;
        Ok(bytes)
    }

    /// A varint length in bytes, then UTF-8.
    pub fn str(&mut self) -> Result<&'a str, CodecError> {
        let mut ahead = self.clone();
        let bytes = ahead.bytes()?;
        let text = std::str::from_utf8(bytes).map_err(|_| CodecError::Utf8 { length: bytes.len() })?;
        *self = ahead;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_kind_comes_back() {
        let mut out = Writer::new();
        out.u8(1);
        out.u16(0x0203);
        out.u32(0x0405_0607);
        out.u64(u64::MAX - 1);
        out.varint(300);
        out.zigzag(i64::MIN);
        out.bytes(b"abc");
        out.str("zürich");
        out.pad(8);
        assert_eq!(out.len() % 8, 0);
        let bytes = out.into_vec();
        assert_eq!(bytes[1..3], [3, 2], "little endian");
        let mut input = Reader::new(&bytes);
        assert_eq!(input.u8(), Ok(1));
        assert_eq!(input.u16(), Ok(0x0203));
        assert_eq!(input.u32(), Ok(0x0405_0607));
        assert_eq!(input.u64(), Ok(u64::MAX - 1));
        assert_eq!(input.varint(), Ok(300));
        assert_eq!(input.zigzag(), Ok(i64::MIN));
        assert_eq!(input.bytes(), Ok(&b"abc"[..]));
        assert_eq!(input.str(), Ok("zürich"));
        assert!(input.rest().iter().all(|&byte| byte == 0));
    }

    #[test]
    fn a_failed_read_moves_nothing() {
        let mut input = Reader::new(&[5, 1, 2]);
        assert_eq!(input.bytes(), Err(CodecError::Truncated { wanted: 5, left: 2 }));
        assert_eq!(input.u32(), Err(CodecError::Truncated { wanted: 4, left: 3 }));
        assert_eq!(input.at(), 0);
        let mut input = Reader::new(&[2, 0xff, 0xff]);
        assert_eq!(input.str(), Err(CodecError::Utf8 { length: 2 }));
        assert_eq!(input.left(), 3);
        let mut input = Reader::new(&[0xff; 9]);
        assert!(matches!(input.bytes(), Err(CodecError::Truncated { .. })));
    }

    #[test]
    fn a_varint_has_one_form() {
        assert_eq!(Reader::new(&[0x80, 0]).varint(), Err(CodecError::Overlong));
        assert_eq!(Reader::new(&[0xff; 11]).varint(), Err(CodecError::Overlong));
        let mut longest = [0xff; 10];
        longest[9] = 1;
        assert_eq!(Reader::new(&longest).varint(), Ok(u64::MAX));
        assert!(matches!(Reader::new(&[0x80]).varint(), Err(CodecError::Truncated { .. })));
        assert!(matches!(Reader::new(&[]).varint(), Err(CodecError::Truncated { .. })));
    }

    proptest! {
        #[test]
        fn varints_come_back(value: u64, signed: i64, shift in 0u32..64) {
            let (value, signed) = (value >> shift, signed >> shift);
            let mut out = Writer::new();
            out.varint(value);
            prop_assert!(out.len() <= MAX_VARINT);
            out.zigzag(signed);
            let bytes = out.into_vec();
            let mut input = Reader::new(&bytes);
            prop_assert_eq!(input.varint(), Ok(value));
            prop_assert_eq!(input.zigzag(), Ok(signed));
            prop_assert!(input.is_empty());
        }

        #[test]
        fn garbage_never_panics(bytes: Vec<u8>) {
            let mut input = Reader::new(&bytes);
            while input.str().is_ok() || input.varint().is_ok() || input.u16().is_ok() || input.u8().is_ok() {}
            prop_assert!(input.is_empty());
        }
    }
}
