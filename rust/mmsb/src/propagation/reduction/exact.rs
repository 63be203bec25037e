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

/// The nearest float to a sum whose last bit is this one of all, the even one of two.
fn rounded<T: Float, const N: usize>(mut words: [u64; N], last: u32) -> T {
    let negative = words[N - 1] >> 63 == 1;
    if negative {
        let mut carry = true;
        words.iter_mut().for_each(|word| (*word, carry) = (!*word).carrying(0, carry));
    }
    let Some(top) = words.iter().rposition(|word| *word != 0) else {
        return T::of_bits(false, 0);
    };
    let end = last + top as u32 * 64 + 64 - words[top].leading_zeros();
    // The last bit that the float has.
    let cut = end.saturating_sub(T::PRECISION).max(T::LAST);
    let kept = match cut.checked_sub(last) {
        None => words[0] << (last - cut),
        Some(cut) => {
            let kept = bits(&words, cut);
            let half = cut > 0 && bits(&words, cut - 1) & 1 == 1;
            kept + u64::from(half && (kept & 1 == 1 || below(&words, cut - 1)))
        }
    };
    // The hidden bit, which a subnormal number lacks, and a carry out of the significand both go into the exponent.
    let exponent = u64::from(cut - T::LAST) << (T::PRECISION - 1);
    T::of_bits(negative, (exponent + kept).min(T::INFINITE))
}

/// The 64 bits from this one on.
fn bits(words: &[u64], from: u32) -> u64 {
    let (at, shift) = ((from / 64) as usize, from % 64);
    let word = |at: usize| u128::from(words.get(at).copied().unwrap_or(0));
    ((word(at) | word(at + 1) << 64) >> shift) as u64
}

/// Whether any bit below this one is set.
fn below(words: &[u64], bit: u32) -> bool {
    let (word, shift) = ((bit / 64) as usize, bit % 64);
    let part = words.get(word).is_some_and(|word| word & ((1 << shift) - 1) != 0);
    part || words.iter().take(word).any(|word| *word != 0)
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
        rounded(self.words, self.from * 64)
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
            (0, 0, 0) => rounded(self.words, 0),
            (0, _, 0) => T::nearest(f64::INFINITY),
            (0, 0, _) => T::nearest(f64::NEG_INFINITY),
            _ => T::nearest(f64::NAN),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::f16;
    use proptest::prelude::*;

    /// What the floats come to so many times each, bit by bit: a plain, slow whole number and its sign.
    fn plain(terms: impl IntoIterator<Item = (f64, i64)>) -> (bool, Vec<bool>) {
        let mut bits = [0i64; 2300];
        for (value, times) in terms {
            let raw = value.abs().to_bits();
            let (exponent, fraction) = (raw >> 52, raw & ((1 << 52) - 1));
            let significand = fraction | u64::from(exponent > 0) << 52;
            let sign = if value < 0.0 { -times } else { times };
            (0..53).filter(|bit| significand >> bit & 1 == 1).for_each(|bit| {
                bits[exponent.max(1) as usize + bit] += sign;
            });
        }
        let carry = |bits: &mut [i64; 2300]| {
            let mut carry = 0;
            for bit in bits.iter_mut() {
                let sum = *bit + carry;
                (*bit, carry) = (sum & 1, sum >> 1);
            }
            carry < 0
        };
        let negative = carry(&mut bits);
        if negative {
            bits.iter_mut().for_each(|bit| *bit = 1 - *bit);
            bits[0] += 1;
            carry(&mut bits);
        }
        (negative, bits.iter().map(|bit| *bit != 0).collect())
    }

    /// Whether no float is nearer to the sum of the terms than this one, and no even one as near.
    fn is_nearest<T: Float>(terms: &[f64], found: T, up: T, down: T, odd: bool) -> bool {
        let far = |from: T| {
            let (_, mut bits) = plain(terms.iter().map(|term| (*term, 1)).chain([(from.wide(), -1)]));
            bits.reverse();
            bits
        };
        let here = far(found);
        [up, down].into_iter().filter(|other| other.wide().is_finite()).all(|other| {
            let there = far(other);
            here < there || here == there && !odd
        })
    }

    fn any_float() -> impl Strategy<Value = f64> {
        let finite = any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |value| value.is_finite());
        let near = (-9_007_199_254_740_992i64..=9_007_199_254_740_992, -60i32..60)
            .prop_map(|(significand, exponent)| significand as f64 * f64::from(exponent).exp2());
        let edges = prop::sample::select(vec![
            0.0,
            -0.0,
            5e-324,
            -5e-324,
            f64::MIN_POSITIVE,
            f64::MAX,
            f64::MIN,
            1.0,
        ]);
        prop_oneof![finite, near, edges]
    }

    fn long(terms: &[f64]) -> Long {
        let mut sum = Long::from(Narrow::default());
        terms.iter().for_each(|term| sum.add(*term, false));
        sum
    }

    proptest! {
        #[test]
        fn no_float_is_nearer(terms in prop::collection::vec(any_float(), 0..9), narrow in any::<bool>()) {
            let narrowed = |term: &f64| if narrow { f64::from(*term as f32) } else { *term };
            let terms: Vec<f64> = terms.iter().map(narrowed).filter(|term| term.is_finite()).collect();
            let sum = long(&terms);
            let double: f64 = sum.rounded();
            if double.is_finite() {
                let odd = double.to_bits() & 1 == 1;
                prop_assert!(is_nearest(&terms, double, double.next_up(), double.next_down(), odd), "{double:e}");
            }
            let single: f32 = sum.rounded();
            if single.is_finite() {
                let odd = single.to_bits() & 1 == 1;
                prop_assert!(is_nearest(&terms, single, single.next_up(), single.next_down(), odd), "{single:e}");
            }
            let half: f16 = sum.rounded();
            if half.is_finite() && half.to_bits() & 0x7FFF > 0 {
                let next = |by| f16::from_bits((half.to_bits() as i32 + by) as u16);
                prop_assert!(is_nearest(&terms, half, next(1), next(-1), half.to_bits() & 1 == 1), "{half:e}");
            }
        }

        #[test]
        fn what_went_again_leaves_no_trace(
            terms in prop::collection::vec(any_float(), 0..9),
            gone in prop::collection::vec(any::<u64>().prop_map(f64::from_bits), 0..9),
        ) {
            let (mut there, mut back) = (long(&terms), long(&gone));
            gone.iter().for_each(|term| there.add(*term, false));
            gone.iter().rev().for_each(|term| there.add(*term, true));
            prop_assert_eq!(there.words, long(&terms).words);
            prop_assert_eq!((there.nan, there.plus, there.minus), (0, 0, 0));
            gone.iter().for_each(|term| back.add(*term, true));
            prop_assert_eq!(back.words, [0; ALL]);
        }

        #[test]
        fn a_narrow_sum_is_a_long_one(terms in prop::collection::vec(any_float(), 0..30), by in -300i32..300) {
            let scale = f64::from(by).exp2();
            let mut narrow = Narrow::default();
            let mut fits = Vec::new();
            for term in terms.iter().map(|term| term * scale) {
                let was = Long::from(narrow);
                if narrow.add(term) {
                    fits.push(term);
                } else {
                    prop_assert_eq!(Long::from(narrow).words, was.words, "nothing is changed");
                }
            }
            let long = long(&fits);
            prop_assert_eq!(Long::from(narrow).words, long.words);
            prop_assert_eq!(narrow.rounded::<f64>().to_bits(), long.rounded::<f64>().to_bits());
            prop_assert_eq!(narrow.rounded::<f32>().to_bits(), long.rounded::<f32>().to_bits());
            prop_assert_eq!(narrow.rounded::<f16>().to_bits(), long.rounded::<f16>().to_bits());
        }
    }

    #[test]
    fn a_narrow_sum_that_is_full_says_so() {
        // The largest significand at the highest place of the words that a first term of one takes.
        let mut sum = Narrow::default();
        assert!(sum.add(1.0));
        let large = f64::from(63 + 51).exp2() * 1.999;
        let mut added = 0;
        while sum.add(large) {
            added += 1;
            assert!(added < 1 << 20, "it is never full");
        }
        let all: Vec<f64> = std::iter::once(1.0).chain(std::iter::repeat_n(large, added)).collect();
        assert_eq!(Long::from(sum).words, long(&all).words);
        let mut more = Long::from(sum);
        more.add(large, false);
        more.add(-1.0, false);
        assert!(more.rounded::<f64>() > sum.rounded::<f64>());
    }

    #[test]
    fn what_is_not_finite_counts_until_it_goes() {
        let mut sum = long(&[1.5]);
        sum.add(f64::INFINITY, false);
        assert_eq!(sum.rounded::<f32>(), f32::INFINITY);
        sum.add(f64::NEG_INFINITY, false);
        assert!(sum.rounded::<f64>().is_nan());
        sum.add(f64::INFINITY, true);
        assert_eq!(sum.rounded::<f16>(), f16::NEG_INFINITY);
        sum.add(f64::NAN, false);
        sum.add(f64::NEG_INFINITY, true);
        assert!(sum.rounded::<f64>().is_nan());
        sum.add(f64::NAN, true);
        assert_eq!(sum.rounded::<f64>(), 1.5);
        let large: f64 = long(&[f64::MAX, f64::MAX]).rounded();
        assert_eq!(large, f64::INFINITY);
        assert_eq!(long(&[f64::MAX, f64::MAX, -f64::MAX]).rounded::<f64>(), f64::MAX);
    }
}
