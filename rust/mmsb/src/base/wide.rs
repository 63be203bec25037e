//! Which wide instructions the processor has: what chooses between the forms of one loop.
//!
//! All forms of a loop give the same bits; `rust/mmsb/tests/page/wide.rs` holds them to it. Which of them are there, and what
//! each gains, is in `docs/decisions/0010-wide-instructions.md`.
#![allow(unsafe_code)]

/// Instructions that this processor has. Whoever holds one may use them: there is no other way to it than to look.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Wide(Set);

/// The sets that loops have forms for.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Set {
    /// What every processor of the architecture has: SSE2 on x86-64, NEON on aarch64.
    Plain,
    /// 32 bytes at a time.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 64 bytes at a time, with masks: AVX-512 F, BW, DQ and VL.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// A loop of which there is to be a form for each set. Its `run`, and all that it calls, must be `inline(always)`: what is
/// not compiled into the form is compiled for every processor.
pub trait Loop {
    /// What comes of it.
    type Out;

    /// Goes through it.
    fn run(self) -> Self::Out;
}

impl Wide {
    /// What every processor has.
    pub const PLAIN: Self = Self(Set::Plain);

    /// The widest there is. Costs a few loads of a word that std caches.
    #[inline]
    #[must_use]
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected;
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
            {
                return Self(Set::Avx512);
            }
            if is_x86_feature_detected!("avx2") {
                return Self(Set::Avx2);
            }
        }
        Self::PLAIN
    }

    /// Goes through a loop with these instructions.
    #[inline]
    pub fn run<L: Loop>(self, with: L) -> L::Out {
        match self.0 {
            Set::Plain => with.run(),
            // SAFETY: whoever has the set has the instructions.
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => unsafe { avx2(with) },
            // SAFETY: whoever has the set has the instructions.
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => unsafe { avx512(with) },
        }
    }

    /// All there are, the narrowest first.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::PLAIN];
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            all.push(Self(Set::Avx2));
        }
        if !all.contains(&Self::best()) {
            all.push(Self::best());
        }
        all
    }

    /// Which it is.
    #[inline]
    #[must_use]
    pub const fn set(self) -> Set {
        self.0
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2<L: Loop>(with: L) -> L::Out {
    with.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq,avx512vl")]
fn avx512<L: Loop>(with: L) -> L::Out {
    with.run()
}

#[cfg(test)]
mod tests {
    use super::Wide;

    #[test]
    fn the_best_is_the_last_of_all() {
        let all = Wide::all();
        assert_eq!(all.first(), Some(&Wide::PLAIN));
        assert_eq!(all.last(), Some(&Wide::best()));
        assert!(all.iter().enumerate().all(|(place, wide)| !all[..place].contains(wide)));
    }
}
