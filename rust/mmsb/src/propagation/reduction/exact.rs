//! Sums of floats that are exact: the sum as a whole number of the smallest subnormal, rounded when it is asked for.
//!
//! Every float is a whole number of 2^-1074, less than 2^2098. So is a sum, of 2176 bits with the sign for up to 2^64 of
//! them, and adding and taking back are as exact as with any other whole number: what a sum is does not depend on the
//! order in which its terms came and went, nor on terms that went again (Kulisch's long accumulator; Neal, "Fast exact
//! summation using small and large superaccumulators", 2015). Most sums need four words of it, from some word on.

use crate::propagation::reduction::cells::Float;

/// Words of a sum of any floats.
const ALL: usize = 34;
/// Words of a sum of floats that are not too far apart: at the least a factor of 2^64 from the first to either side.
const SOME: usize = 4;

/// A term: a significand, where its last bit lies, and which way it goes.
#[derive(Clone, Copy)]
struct Term {
    significand: u64,
    word: usize,
    shift: u32,
    negative: bool,
}

/// A float as a term; `Err` where it is not finite.
#[inline]
fn term(value: f64) -> Result<Term, f64> {
    let bits = value.to_bits();
    let (exponent, fraction) = ((bits >> 52) as u32 & 0x7FF, bits & ((1 << 52) - 1));
    if exponent == 0x7FF {
        return Err(value);
    }
    let hidden = u64::from(exponent > 0) << 52;
    let last = exponent.max(1) - 1;
    let (word, shift) = ((last / 64) as usize, last % 64);
    Ok(Term { significand: fraction | hidden, word, shift, negative: value.is_sign_negative() })
}

/// Adds a term, or takes it where it is negative, at its word of these; whether the sum left them. It wraps then.
#[inline]
fn add(words: &mut [u64], term: Term) -> bool {
    let wide = u128::from(term.significand) << term.shift;
    let (low, high) = (wide as u64, (wide >> 64) as u64);
    let last = words.len() - 1;
    let sign = words[last] >> 63;
    let word = term.word;
    let carry = |word: u64, by: u64, carry: bool| {
        if term.negative { word.borrowing(by, carry) } else { word.carrying(by, carry) }
    };
    let mut over;
    (words[word], over) = carry(words[word], low, false);
    (words[word + 1], over) = carry(words[word + 1], high, over);
    for word in &mut words[word + 2..] {
        if !over {
            break;
        }
        (*word, over) = carry(*word, 0, true);
    }
    // Of both signs, one cannot be left by going the one way, the other not by going the other.
    let now = words[last] >> 63;
    sign != now && now == u64::from(!term.negative)
}

/// 64-bit addition and subtraction with what is carried.
trait Carry: Sized {
    fn carrying(self, by: Self, carry: bool) -> (Self, bool);
    fn borrowing(self, by: Self, carry: bool) -> (Self, bool);
}

impl Carry for u64 {
    #[inline(always)]
    fn carrying(self, by: Self, carry: bool) -> (Self, bool) {
        let (sum, over) = self.overflowing_add(by);
        let (sum, more) = sum.overflowing_add(u64::from(carry));
        (sum, over | more)
    }
    #[inline(always)]
    fn borrowing(self, by: Self, carry: bool) -> (Self, bool) {
        let (difference, under) = self.overflowing_sub(by);
        let (difference, more) = difference.overflowing_sub(u64::from(carry));
        (difference, under | more)
    }
}

/// The nearest float to a sum, the even one of two.
fn rounded<T: Float>(mut words: [u64; ALL]) -> T {
    let negative = words[ALL - 1] >> 63 == 1;
    if negative {
        let mut carry = true;
        words.iter_mut().for_each(|word| (*word, carry) = (!*word).carrying(0, carry));
    }
    let Some(top) = words.iter().rposition(|word| *word != 0) else {
        return T::of_bits(false, 0);
    };
    let length = top as u32 * 64 + 64 - words[top].leading_zeros();
    let cut = length.saturating_sub(T::PRECISION).max(T::LAST);
    let kept = bits(&words, cut);
    let half = cut > 0 && bits(&words, cut - 1) & 1 == 1;
    let up = half && (kept & 1 == 1 || below(&words, cut - 1));
    // The hidden bit, which a subnormal number lacks, and a carry out of the significand both go into the exponent.
    let exponent = u64::from(cut - T::LAST) << (T::PRECISION - 1);
    T::of_bits(negative, (exponent + kept + u64::from(up)).min(T::INFINITE))
}

/// The 64 bits from this one on.
fn bits(words: &[u64; ALL], from: u32) -> u64 {
    let (at, shift) = ((from / 64) as usize, from % 64);
    let word = |at: usize| u128::from(words.get(at).copied().unwrap_or(0));
    ((word(at) | word(at + 1) << 64) >> shift) as u64
}

/// Whether any bit below this one is set.
fn below(words: &[u64; ALL], bit: u32) -> bool {
    let (word, shift) = ((bit / 64) as usize, bit % 64);
    words[word] & ((1 << shift) - 1) != 0 || words[..word].iter().any(|word| *word != 0)
}

/// A sum of floats that are not too far apart, and finite.
#[derive(Debug, Clone, Copy, Default)]
pub struct Narrow {
    words: [u64; SOME],
    /// The first of them among all.
    from: u32,
}

impl Narrow {
    /// Adds a value, or takes it; `false` where it does not fit, and nothing is changed.
    #[inline]
    pub fn add(&mut self, value: f64) -> bool {
        let Ok(term) = term(value) else { return false };
        if self.words == [0; SOME] {
            self.from = term.word.saturating_sub(1).min(ALL - SOME) as u32;
        }
        let word = term.word.wrapping_sub(self.from as usize);
        if word >= SOME - 1 {
            return term.significand == 0;
        }
        let term = Term { word, ..term };
        if add(&mut self.words, term) {
            add(&mut self.words, Term { negative: !term.negative, ..term });
            return false;
        }
        true
    }

    /// The nearest float.
    pub fn rounded<T: Float>(&self) -> T {
        Long::from(*self).rounded()
    }
}

/// A sum of any floats.
#[derive(Debug, Clone, Copy)]
pub struct Long {
    words: [u64; ALL],
    /// Terms that are not a number, infinite, and infinite and negative.
    nan: i64,
    plus: i64,
    minus: i64,
}

impl From<Narrow> for Long {
    fn from(narrow: Narrow) -> Self {
        let sign = (narrow.words[SOME - 1] as i64 >> 63) as u64;
        let (mut words, from) = ([0; ALL], narrow.from as usize);
        words[from..from + SOME].copy_from_slice(&narrow.words);
        words[from + SOME..].fill(sign);
        Self { words, nan: 0, plus: 0, minus: 0 }
    }
}

impl Long {
    /// Adds a value, or takes it back.
    pub fn add(&mut self, value: f64, back: bool) {
        let by = if back { -1 } else { 1 };
        match term(value) {
            Ok(term) => {
                add(&mut self.words, Term { negative: term.negative != back, ..term });
            }
            Err(value) if value.is_nan() => self.nan += by,
            Err(value) if value > 0.0 => self.plus += by,
            Err(_) => self.minus += by,
        }
    }

    /// The nearest float; what floats come to where terms are not finite.
    pub fn rounded<T: Float>(&self) -> T {
        match (self.nan, self.plus, self.minus) {
            (0, 0, 0) => rounded(self.words),
            (0, _, 0) => T::nearest(f64::INFINITY),
            (0, 0, _) => T::nearest(f64::NEG_INFINITY),
            _ => T::nearest(f64::NAN),
        }
    }
}
