//! The laws of semirings, one list for all: those every bus has, and those that users bring.
//!
//! The list is that of a commutative monoid, a monoid, and what ties them together (Golan, *Semirings and their
//! Applications*, 1999), and of what a semiring may claim beyond.

use std::fmt;
use std::marker::PhantomData;

use crate::algebra::ladder::{Semiring, Traits};
use crate::algebra::value::Value;

/// Two operations on values of any kind.
pub trait Operations {
    /// What they are on.
    type Value: Clone;

    /// `a + b`.
    fn add(&self, a: &Self::Value, b: &Self::Value) -> Self::Value;
    /// `a * b`.
    fn mul(&self, a: &Self::Value, b: &Self::Value) -> Self::Value;
    /// What adding changes nothing.
    fn zero(&self) -> Self::Value;
    /// What multiplying with changes nothing.
    fn one(&self) -> Self::Value;
}

/// Two operations that may be a semiring, and how their values are compared.
pub trait Pair: Operations {
    /// Whether two values are the same, bit for bit.
    fn same(&self, a: &Self::Value, b: &Self::Value) -> bool;
    /// How large a value is, for the rounding it may have brought along.
    fn size(&self, a: &Self::Value) -> f64;
    /// How far apart two values are.
    fn apart(&self, a: &Self::Value, b: &Self::Value) -> f64;
    /// What one rounding may change, of 1; 0 where laws hold bit for bit.
    fn rounding(&self) -> f64;
    /// Whether laws are promised for a value.
    fn carries(&self, a: &Self::Value) -> bool;
    /// Whether absorption is.
    fn absorbs(&self, a: &Self::Value) -> bool;
}

/// A semiring whose type is known, on the values that it is on.
pub struct Known<T, S>(PhantomData<(T, S)>);

impl<T, S> Default for Known<T, S> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Copy, S: Semiring<T>> Operations for Known<T, S> {
    type Value = T;

    #[inline]
    fn add(&self, a: &T, b: &T) -> T {
        S::add(*a, *b)
    }

    #[inline]
    fn mul(&self, a: &T, b: &T) -> T {
        S::mul(*a, *b)
    }

    fn zero(&self) -> T {
        S::ZERO
    }

    fn one(&self) -> T {
        S::ONE
    }
}

impl<T: Value, S: Semiring<T>> Pair for Known<T, S> {
    fn same(&self, a: &T, b: &T) -> bool {
        a.same(*b)
    }

    fn size(&self, a: &T) -> f64 {
        let size = a.number().abs();
        if size.is_finite() { size } else { 0.0 }
    }

    fn apart(&self, a: &T, b: &T) -> f64 {
        (a.number() - b.number()).abs()
    }

    fn rounding(&self) -> f64 {
        if S::TRAITS.has(Traits::EXACT) { 0.0 } else { T::ROUNDING }
    }

    fn carries(&self, a: &T) -> bool {
        S::carries(*a)
    }

    fn absorbs(&self, a: &T) -> bool {
        S::absorbs(*a)
    }
}

/// A law.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Law {
    /// `(a + b) + c = a + (b + c)`.
    AddAssociates,
    /// `a + b = b + a`.
    AddCommutes,
    /// `0 + a = a`.
    Zero,
    /// `(a * b) * c = a * (b * c)`.
    MulAssociates,
    /// `1 * a = a`.
    OneLeft,
    /// `a * 1 = a`.
    OneRight,
    /// `a * (b + c) = a*b + a*c`.
    DistributesLeft,
    /// `(a + b) * c = a*c + b*c`.
    DistributesRight,
    /// `0 * a = 0`.
    AnnihilatesLeft,
    /// `a * 0 = 0`.
    AnnihilatesRight,
    /// `a + a = a`.
    Idempotent,
    /// `a + b` is `a` or `b`.
    Selective,
    /// `a + a*b = a`.
    Absorptive,
    /// `a * b = b * a`.
    MulCommutes,
}

impl Law {
    /// Those of every semiring.
    pub const EVERY: [Self; 10] = [
        Self::AddAssociates,
        Self::AddCommutes,
        Self::Zero,
        Self::MulAssociates,
        Self::OneLeft,
        Self::OneRight,
        Self::DistributesLeft,
        Self::DistributesRight,
        Self::AnnihilatesLeft,
        Self::AnnihilatesRight,
    ];

    /// Those that a trait promises beyond.
    pub const BEYOND: [(Traits, Self); 5] = [
        (Traits::IDEMPOTENT, Self::Idempotent),
        (Traits::SELECTIVE, Self::Selective),
        (Traits::TOTAL_ORDER, Self::Selective),
        (Traits::ABSORPTIVE, Self::Absorptive),
        (Traits::COMMUTATIVE, Self::MulCommutes),
    ];

    /// Those of a semiring with these traits.
    pub fn of(traits: Traits) -> impl Iterator<Item = Self> {
        let more = Self::BEYOND.into_iter().filter(move |(one, _)| traits.has(*one)).map(|(_, law)| law);
        Self::EVERY.into_iter().chain(more)
    }

    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AddAssociates => "addition is associative",
            Self::AddCommutes => "addition is commutative",
            Self::Zero => "zero is the identity of addition",
            Self::MulAssociates => "multiplication is associative",
            Self::OneLeft => "one is the left identity of multiplication",
            Self::OneRight => "one is the right identity of multiplication",
            Self::DistributesLeft => "multiplication distributes from the left",
            Self::DistributesRight => "multiplication distributes from the right",
            Self::AnnihilatesLeft => "zero annihilates from the left",
            Self::AnnihilatesRight => "zero annihilates from the right",
            Self::Idempotent => "addition is idempotent",
            Self::Selective => "addition is selective",
            Self::Absorptive => "addition absorbs products",
            Self::MulCommutes => "multiplication is commutative",
        }
    }

    /// As it is written down.
    #[must_use]
    pub const fn formula(self) -> &'static str {
        match self {
            Self::AddAssociates => "(a + b) + c = a + (b + c)",
            Self::AddCommutes => "a + b = b + a",
            Self::Zero => "0 + a = a",
            Self::MulAssociates => "(a * b) * c = a * (b * c)",
            Self::OneLeft => "1 * a = a",
            Self::OneRight => "a * 1 = a",
            Self::DistributesLeft => "a * (b + c) = a*b + a*c",
            Self::DistributesRight => "(a + b) * c = a*c + b*c",
            Self::AnnihilatesLeft => "0 * a = 0",
            Self::AnnihilatesRight => "a * 0 = 0",
            Self::Idempotent => "a + a = a",
            Self::Selective => "a + b is a or b",
            Self::Absorptive => "a + a*b = a",
            Self::MulCommutes => "a * b = b * a",
        }
    }

    /// Whether it holds for these values; both sides where it does not.
    fn holds<P: Pair>(self, pair: &P, [a, b, c]: &[P::Value; 3]) -> Result<(), (P::Value, P::Value)> {
        let mut sides = Sides { pair, size: 0.0 };
        let (zero, one) = (pair.zero(), pair.one());
        let (left, right) = match self {
            Self::AddAssociates => {
                let (ab, bc) = (sides.add(a, b), sides.add(b, c));
                (sides.add(&ab, c), sides.add(a, &bc))
            }
            Self::AddCommutes => (sides.add(a, b), sides.add(b, a)),
            Self::Zero => (sides.add(&zero, a), a.clone()),
            Self::MulAssociates => {
                let (ab, bc) = (sides.mul(a, b), sides.mul(b, c));
                (sides.mul(&ab, c), sides.mul(a, &bc))
            }
            Self::OneLeft => (sides.mul(&one, a), a.clone()),
            Self::OneRight => (sides.mul(a, &one), a.clone()),
            Self::DistributesLeft => {
                let (sum, ab, ac) = (sides.add(b, c), sides.mul(a, b), sides.mul(a, c));
                (sides.mul(a, &sum), sides.add(&ab, &ac))
            }
            Self::DistributesRight => {
                let (sum, ac, bc) = (sides.add(a, b), sides.mul(a, c), sides.mul(b, c));
                (sides.mul(&sum, c), sides.add(&ac, &bc))
            }
            Self::AnnihilatesLeft => (sides.mul(&zero, a), zero),
            Self::AnnihilatesRight => (sides.mul(a, &zero), zero),
            Self::Idempotent => (sides.add(a, a), a.clone()),
            Self::Selective => {
                let sum = sides.add(a, b);
                let other = if pair.same(&sum, b) { b.clone() } else { a.clone() };
                (sum, other)
            }
            Self::Absorptive => {
                if !pair.absorbs(b) {
                    return Ok(());
                }
                let ab = sides.mul(a, b);
                (sides.add(a, &ab), a.clone())
            }
            Self::MulCommutes => (sides.mul(a, b), sides.mul(b, a)),
        };
        if sides.are_equal(&left, &right) { Ok(()) } else { Err((left, right)) }
    }
}

/// Both sides of a law while they are made, and how large all was that came between.
struct Sides<'p, P> {
    pair: &'p P,
    size: f64,
}

impl<P: Pair> Sides<'_, P> {
    fn add(&mut self, a: &P::Value, b: &P::Value) -> P::Value {
        let sum = self.pair.add(a, b);
        self.seen([a, b, &sum]);
        sum
    }

    fn mul(&mut self, a: &P::Value, b: &P::Value) -> P::Value {
        let product = self.pair.mul(a, b);
        self.seen([a, b, &product]);
        product
    }

    fn seen(&mut self, values: [&P::Value; 3]) {
        let size: f64 = values.into_iter().map(|value| self.pair.size(value)).sum();
        self.size += size;
    }

    /// Rounding is judged by what was brought together and never by what is left of it, which may be next to nothing.
    fn are_equal(&self, left: &P::Value, right: &P::Value) -> bool {
        let (pair, rounding) = (self.pair, self.pair.rounding());
        pair.same(left, right)
            || rounding > 0.0 && (self.size.is_infinite() || pair.apart(left, right) <= rounding * self.size)
    }
}

/// A law that does not hold, and for which values.
#[derive(Clone, PartialEq, Debug)]
pub struct Broken<V> {
    /// The law.
    pub law: Law,
    /// `a`, `b` and `c`.
    pub values: [V; 3],
    /// What its left side comes to.
    pub left: V,
    /// What its right side comes to.
    pub right: V,
}

impl<V: fmt::Debug> fmt::Display for Broken<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { law, values: [a, b, c], left, right } = self;
        write!(f, "{} does not hold: with a = {a:?}, b = {b:?}", law.formula())?;
        if law.formula().contains('c') {
            write!(f, ", c = {c:?}")?;
        }
        write!(f, " the left side is {left:?} and the right side {right:?}")
    }
}

/// Holds a pair of operations to the laws of a semiring with these traits, for values that it carries.
///
/// # Errors
/// The first law that does not hold.
pub fn check<P: Pair>(
    pair: &P,
    traits: Traits,
    triples: impl IntoIterator<Item = [P::Value; 3]>,
) -> Result<(), Box<Broken<P::Value>>> {
    for values in triples {
        if !values.iter().all(|value| pair.carries(value)) {
            continue;
        }
        for law in Law::of(traits) {
            if let Err((left, right)) = law.holds(pair, &values) {
                return Err(Box::new(Broken { law, values, left, right }));
            }
        }
    }
    Ok(())
}
