//! CRC32C (Castagnoli, RFC 3720 appendix B.4) by the processor's own instruction, with a table for those that have none.
//!
//! Long inputs run in three lanes, because the instruction takes one input a cycle but answers after three. The lanes
//! are joined by one carry-less multiplication each (Gopal et al., "Fast CRC Computation for iSCSI Polynomial Using
//! CRC32 Instruction", Intel 2011).
#![allow(unsafe_code)]

/// The polynomial, bit-reflected.
const POLYNOMIAL: u32 = 0x82F6_3B78;

/// The CRC32C of `bytes`.
#[inline]
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc32c_append(0, bytes)
}

/// The CRC32C of what `crc` is the CRC32C of, followed by `bytes`. `crc` of nothing is 0.
#[inline]
pub fn crc32c_append(crc: u32, bytes: &[u8]) -> u32 {
    // Feature detection is one relaxed load of a word that std caches.
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("sse4.2") {
        if bytes.len() >= x86::LANES_MIN && std::arch::is_x86_feature_detected!("pclmulqdq") {
            // SAFETY: both instruction sets were just detected.
            return !unsafe { x86::lanes(!crc, bytes) };
        }
        // SAFETY: SSE4.2 was just detected.
        return !unsafe { x86::words(!crc, bytes) };
    }
    #[cfg(target_arch = "aarch64")]
    if std::arch::is_aarch64_feature_detected!("crc") {
        // SAFETY: the CRC instructions were just detected.
        return !unsafe { arm::words(!crc, bytes) };
    }
    !table(!crc, bytes)
}

/// `TABLES[k][b]`: the state that byte `b` leaves behind when `k` zero bytes follow it (slicing by eight).
static TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0u32; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut state = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            state = times_x(state);
            bit += 1;
        }
        tables[0][byte] = state;
        byte += 1;
    }
    let mut k = 1;
    while k < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[k - 1][byte];
            tables[k][byte] = (before >> 8) ^ tables[0][(before & 0xFF) as usize];
            byte += 1;
        }
        k += 1;
    }
    tables
}

/// `value * x` modulo the polynomial, bit-reflected.
const fn times_x(value: u32) -> u32 {
    if value & 1 == 1 { (value >> 1) ^ POLYNOMIAL } else { value >> 1 }
}

fn table(mut state: u32, bytes: &[u8]) -> u32 {
    let (words, tail) = bytes.as_chunks::<8>();
    for word in words {
        let mixed = u64::from_le_bytes(*word) ^ u64::from(state);
        state = 0;
        for (k, byte) in mixed.to_le_bytes().into_iter().enumerate() {
            state ^= TABLES[7 - k][usize::from(byte)];
        }
    }
    for byte in tail {
        state = (state >> 8) ^ TABLES[0][usize::from(state as u8 ^ byte)];
    }
    state
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        _mm_clmulepi64_si128, _mm_crc32_u8, _mm_crc32_u16, _mm_crc32_u32, _mm_crc32_u64, _mm_cvtsi64_si128,
        _mm_cvtsi128_si64,
    };

    /// Below this many bytes joining the lanes costs more than they save.
    pub(super) const LANES_MIN: usize = 3 * LEAST;
    /// Bytes of one lane: three of them leave 64 bytes of a 4 KiB page.
    const LONG: usize = 1344;
    /// Bytes of one lane: three of them leave 16 bytes of 1 KiB.
    const SHORT: usize = 336;
    /// Bytes of one lane: what a small commit is made of.
    const LEAST: usize = 80;

    /// `x^(8 * bytes - 33)` modulo the polynomial: multiplying by it and reducing with the CRC instruction, which
    /// itself multiplies by `x^33` here (32 for the CRC, 1 for the reflected product), is as good as feeding `bytes` zeros.
    const fn shift(bytes: usize) -> i64 {
        let mut value = 1 << 31;
        let mut power = 0;
        while power < 8 * bytes - 33 {
            value = super::times_x(value);
            power += 1;
        }
        value as i64
    }

    #[target_feature(enable = "sse4.2")]
    pub(super) fn words(state: u32, bytes: &[u8]) -> u32 {
        let (words, mut tail) = bytes.as_chunks::<8>();
        let state = words
            .iter()
            .fold(u64::from(state), |state, word| _mm_crc32_u64(state, u64::from_le_bytes(*word)));
        let mut state = state as u32;
        if let Some((four, rest)) = tail.split_first_chunk() {
            state = _mm_crc32_u32(state, u32::from_le_bytes(*four));
            tail = rest;
        }
        if let Some((two, rest)) = tail.split_first_chunk() {
            state = _mm_crc32_u16(state, u16::from_le_bytes(*two));
            tail = rest;
        }
        tail.iter().fold(state, |state, byte| _mm_crc32_u8(state, *byte))
    }

    #[target_feature(enable = "sse4.2,pclmulqdq")]
    pub(super) fn lanes(mut state: u32, mut bytes: &[u8]) -> u32 {
        while bytes.len() >= 3 * LONG {
            let (block, rest) = bytes.split_at(3 * LONG);
            state = three::<LONG>(state, block);
            bytes = rest;
        }
        while bytes.len() >= 3 * SHORT {
            let (block, rest) = bytes.split_at(3 * SHORT);
            state = three::<SHORT>(state, block);
            bytes = rest;
        }
        while bytes.len() >= 3 * LEAST {
            let (block, rest) = bytes.split_at(3 * LEAST);
            state = three::<LEAST>(state, block);
            bytes = rest;
        }
        words(state, bytes)
    }

    #[inline]
    #[target_feature(enable = "sse4.2,pclmulqdq")]
    fn three<const LANE: usize>(state: u32, block: &[u8]) -> u32 {
        let (words, _) = block.as_chunks::<8>();
        let (first, rest) = words.split_at(LANE / 8);
        let (second, third) = rest.split_at(LANE / 8);
        let (mut a, mut b, mut c) = (u64::from(state), 0, 0);
        for ((x, y), z) in first.iter().zip(second).zip(third) {
            a = _mm_crc32_u64(a, u64::from_le_bytes(*x));
            b = _mm_crc32_u64(b, u64::from_le_bytes(*y));
            c = _mm_crc32_u64(c, u64::from_le_bytes(*z));
        }
        let a = times(a, const { shift(2 * LANE) });
        let b = times(b, const { shift(LANE) });
        (_mm_crc32_u64(0, a ^ b) ^ c) as u32
    }

    #[inline]
    #[target_feature(enable = "sse4.2,pclmulqdq")]
    fn times(state: u64, shift: i64) -> u64 {
        let product = _mm_clmulepi64_si128::<0>(_mm_cvtsi64_si128(state as i64), _mm_cvtsi64_si128(shift));
        _mm_cvtsi128_si64(product) as u64
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use std::arch::aarch64::{__crc32cb, __crc32cd};

    #[target_feature(enable = "crc")]
    pub(super) fn words(state: u32, bytes: &[u8]) -> u32 {
        let (words, tail) = bytes.as_chunks::<8>();
        let state = words.iter().fold(state, |state, word| __crc32cd(state, u64::from_le_bytes(*word)));
        tail.iter().fold(state, |state, byte| __crc32cb(state, *byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_bit_at_a_time(bytes: &[u8]) -> u32 {
        let mut state = !0;
        for byte in bytes {
            state ^= u32::from(*byte);
            for _ in 0..8 {
                state = times_x(state);
            }
        }
        !state
    }

    fn noise(len: usize) -> Vec<u8> {
        let mut x = 0x9E37_79B9_7F4A_7C15u64;
        std::iter::repeat_with(|| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            x as u8
        })
        .take(len)
        .collect()
    }

    #[test]
    fn known_answers_of_rfc_3720() {
        assert_eq!(crc32c(b""), 0);
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8A91_36AA);
        assert_eq!(crc32c(&[0xFF; 32]), 0x62A8_AB43);
        let up: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&up), 0x46DD_794E);
    }

    #[test]
    fn every_way_gives_the_same() {
        let bytes = noise(20_000);
        let lengths = (0..300).chain([
            335,
            336,
            479,
            480,
            1007,
            1008,
            1009,
            1023,
            1024,
            4031,
            4032,
            4096,
            5041,
            8064,
            20_000 - 7,
        ]);
        for len in lengths {
            for start in [0, 1, 7] {
                let part = &bytes[start..start + len];
                let wanted = one_bit_at_a_time(part);
                assert_eq!(crc32c(part), wanted, "{len} bytes at {start}");
                assert_eq!(!table(!0, part), wanted, "table, {len} bytes at {start}");
            }
        }
    }

    #[test]
    fn appending_is_the_crc_of_the_whole() {
        let bytes = noise(6000);
        let whole = crc32c(&bytes);
        for cut in [0, 1, 8, 63, 1008, 3000, 4032, 5999, 6000] {
            assert_eq!(crc32c_append(crc32c(&bytes[..cut]), &bytes[cut..]), whole, "cut at {cut}");
        }
    }

    #[test]
    fn any_one_bit_changes_it() {
        let mut bytes = noise(1100);
        let before = crc32c(&bytes);
        for bit in (0..bytes.len() * 8).step_by(37) {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(crc32c(&bytes), before, "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
