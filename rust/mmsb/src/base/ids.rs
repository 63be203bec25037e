//! The numbers everything is named by: pages, branches, sequence numbers, epochs.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty), $prefix:literal) => {
        $(#[$doc])*
        #[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
        #[repr(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// The plain number.
            #[must_use]
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl From<$inner> for $name {
            fn from(number: $inner) -> Self {
                Self(number)
            }
        }

        impl From<$name> for $inner {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

id! {
    /// A page for its whole life, on every branch: `branch it was born on << 32 | counter of that branch`.
    /// Never reused; 0 is no page.
    PageId(u64), "page "
}

id! {
    /// A line of epochs. Never reused.
    BranchId(u32), "branch "
}

id! {
    /// The number of a frame in the bus's one log. Pins and reclamation speak it. The empty bus has 1, the first
    /// frame 2.
    Seq(u64), "seq "
}

id! {
    /// The number of a commit on its branch, going on from the epoch of the fork. 0 is the empty bus.
    Epoch(u64), "epoch "
}

impl PageId {
    /// The id of page `counter` born on `branch`.
    #[must_use]
    pub const fn new(branch: BranchId, counter: u32) -> Self {
        Self((branch.0 as u64) << 32 | counter as u64)
    }

    /// The branch the page was born on.
    #[must_use]
    pub const fn birth_branch(self) -> BranchId {
        BranchId((self.0 >> 32) as u32)
    }

    /// The page's number among those born on its branch.
    #[must_use]
    pub const fn counter(self) -> u32 {
        self.0 as u32
    }
}

impl BranchId {
    /// The branch every bus starts with.
    pub const MAIN: Self = Self(0);
}

impl Seq {
    /// Before the first frame.
    pub const ZERO: Self = Self(0);

    /// The one after. Panics past `u64::MAX`, which a log cannot reach.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Epoch {
    /// The empty bus.
    pub const ZERO: Self = Self(0);

    /// The one after. Panics past `u64::MAX`, which a branch cannot reach.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_id_keeps_its_parts() {
        let id = PageId::new(BranchId(7), u32::MAX);
        assert_eq!((id.birth_branch(), id.counter()), (BranchId(7), u32::MAX));
        assert_eq!(id.to_string(), "page 34359738367");
        assert_eq!(PageId::new(BranchId::MAIN, 1), PageId(1));
    }

    #[test]
    fn numbers_go_up() {
        assert_eq!(Seq::ZERO.next(), Seq(1));
        assert!(Epoch(3) < Epoch(3).next());
    }
}
