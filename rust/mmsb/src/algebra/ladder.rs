//! What may be promised of an operation, rung by rung; each trait is a law, and a test holds every implementation to it.
//!
//! An operation is a type without values, so that a loop over it is compiled for it alone. The rungs are those of
//! differential dataflow and DBSP; laws that fewer have are [`Traits`], which whoever needs one asks for by name.

use std::fmt;

/// Laws that an operation or a semiring may have beyond its rung.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Traits(u8);

impl Traits {
    /// None.
    pub const NONE: Self = Self(0);
    /// `a + a = a`.
    pub const IDEMPOTENT: Self = Self(1);
    /// `a + b` is `a` or `b`.
    pub const SELECTIVE: Self = Self(1 << 1);
    /// Every `a` has a `-a` with `a + -a = 0`.
    pub const INVERTIBLE: Self = Self(1 << 2);
    /// `a + a*b = a`, so that a longer path never improves on the shorter one it goes on from, and fixpoints end.
    pub const ABSORPTIVE: Self = Self(1 << 3);
    /// `a <= b where a + b = b` orders any two values.
    pub const TOTAL_ORDER: Self = Self(1 << 4);
    /// The laws hold bit for bit. Without it they hold up to rounding, and nothing is reordered.
    pub const EXACT: Self = Self(1 << 5);
    /// `a*b = b*a`.
    pub const COMMUTATIVE: Self = Self(1 << 6);

    const NAMES: [(Self, &'static str); 7] = [
        (Self::IDEMPOTENT, "idempotent"),
        (Self::SELECTIVE, "selective"),
        (Self::INVERTIBLE, "invertible"),
        (Self::ABSORPTIVE, "absorptive"),
        (Self::TOTAL_ORDER, "total order"),
        (Self::EXACT, "exact"),
        (Self::COMMUTATIVE, "commutative"),
    ];

    /// These and those.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of those are among these.
    #[must_use]
    pub const fn has(self, all: Self) -> bool {
        self.0 & all.0 == all.0
    }

    /// Those of `wanted` that are not among these.
    #[must_use]
    pub const fn lacks(self, wanted: Self) -> Self {
        Self(wanted.0 & !self.0)
    }

    /// Their names.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(one, _)| self.has(*one)).map(|(_, name)| name)
    }
}

impl fmt::Display for Traits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, name) in self.names().enumerate() {
            write!(f, "{}{name}", if n > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

/// An operation that is associative: `(a + b) + c = a + (b + c)`.
pub trait Semigroup<T: Copy>: Send + Sync + 'static {
    /// `a + b`.
    fn op(a: T, b: T) -> T;
}

/// One with a value that changes nothing: `0 + a = a + 0 = a`.
pub trait Monoid<T: Copy>: Semigroup<T> {
    /// That value.
    const ZERO: T;
    /// A value that nothing changes, `t + a = a + t = t`, where there is one: whoever comes to it may stop.
    const TERMINAL: Option<T> = None;
    /// Laws beyond.
    const TRAITS: Traits;
}

/// One whose order does not matter: `a + b = b + a`.
pub trait CommutativeMonoid<T: Copy>: Monoid<T> {}

/// One in which every value can be taken back: `a + -a = 0`.
pub trait Group<T: Copy>: CommutativeMonoid<T> {
    /// `-a`.
    fn inverse(a: T) -> T;
}

/// One in which more of the same is nothing new: `a + a = a`.
pub trait Semilattice<T: Copy>: CommutativeMonoid<T> {}

/// Two operations of which one distributes over the other: `a*(b + c) = a*b + a*c`, `(a + b)*c = a*c + b*c`, and the zero of
/// the first annihilates: `0*a = a*0 = 0`.
pub trait Semiring<T: Copy>: Send + Sync + 'static {
    /// What brings alternatives together.
    type Add: CommutativeMonoid<T>;
    /// What brings steps together; its zero is called one.
    type Mul: Monoid<T>;
    /// Laws beyond.
    const TRAITS: Traits;

    /// Of nothing, and of what cannot be.
    const ZERO: T = <Self::Add as Monoid<T>>::ZERO;
    /// Of a step that changes nothing.
    const ONE: T = <Self::Mul as Monoid<T>>::ZERO;

    /// Whether the laws are promised for this value.
    fn carries(a: T) -> bool;

    /// Whether the law of absorption is promised for steps of this value.
    fn absorbs(a: T) -> bool;

    /// `a + b`.
    #[inline(always)]
    fn add(a: T, b: T) -> T {
        Self::Add::op(a, b)
    }

    /// `a*b`.
    #[inline(always)]
    fn mul(a: T, b: T) -> T {
        Self::Mul::op(a, b)
    }

    /// `sum + a*b`, where the sum began as a zero, in as few instructions as cells without anything peculiar need, and whether these were such: only then, and
    /// but for which NaN a NaN is, it is what [`Semiring::add`] and [`Semiring::mul`] come to.
    fn quick(sum: T, a: T, b: T) -> (T, bool);
}
