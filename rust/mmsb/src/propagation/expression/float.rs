//! What floats do: every function of `float32` and `float64`, with one NaN for all.

use crate::algebra::value::Value;

/// A float that is computed with.
pub trait Real: Value {
    /// It, and the one NaN for all that are no numbers.
    fn tidy(self) -> Self;
    fn neg(self) -> Self;
    fn abs(self) -> Self;
    fn sign(self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    fn floor_div(self, other: Self) -> Self;
    fn modulo(self, other: Self) -> Self;
    fn sqrt(self) -> Self;
    fn floor(self) -> Self;
    fn ceil(self) -> Self;
    fn rint(self) -> Self;
    fn trunc(self) -> Self;
    fn exp(self) -> Self;
    fn exp2(self) -> Self;
    fn expm1(self) -> Self;
    fn log(self) -> Self;
    fn log2(self) -> Self;
    fn log10(self) -> Self;
    fn log1p(self) -> Self;
    fn sin(self) -> Self;
    fn cos(self) -> Self;
    fn tan(self) -> Self;
    fn asin(self) -> Self;
    fn acos(self) -> Self;
    fn atan(self) -> Self;
    fn sinh(self) -> Self;
    fn cosh(self) -> Self;
    fn tanh(self) -> Self;
    fn asinh(self) -> Self;
    fn acosh(self) -> Self;
    fn atanh(self) -> Self;
    fn cbrt(self) -> Self;
    fn pow(self, other: Self) -> Self;
    fn atan2(self, other: Self) -> Self;
    fn hypot(self, other: Self) -> Self;
    fn with_sign(self, of: Self) -> Self;
    fn fmod(self, other: Self) -> Self;
}

/// What is below 1 has none; of negative numbers `libm` gives some all the same.
fn acosh(of: f64) -> f64 {
    if of < 1.0 { f64::NAN } else { libm::acosh(of) }
}

fn acoshf(of: f32) -> f32 {
    if of < 1.0 { f32::NAN } else { libm::acoshf(of) }
}

/// Functions of `libm`.
macro_rules! library {
    ($($name:ident $from:path),+) => {$(
        #[inline]
        fn $name(self) -> Self {
            $from(self).tidy()
        }
    )+};
}

macro_rules! library_of_two {
    ($($name:ident $from:path),+) => {$(
        #[inline]
        fn $name(self, other: Self) -> Self {
            $from(self, other).tidy()
        }
    )+};
}

macro_rules! real {
    ($type:ident, $nan:literal; $($one:ident $of_one:path),+; $($two:ident $of_two:path),+) => {
        impl Real for $type {
            #[inline(always)]
            fn tidy(self) -> Self {
                // By its bits: asked for a square root that is no number, LLVM takes any NaN to be as good as any other.
                let bits = self.to_bits();
                let none = bits << 1 > Self::INFINITY.to_bits() << 1;
                Self::from_bits(if none { $nan } else { bits })
            }
            #[inline(always)]
            fn neg(self) -> Self {
                (-self).tidy()
            }
            #[inline(always)]
            fn abs(self) -> Self {
                $type::abs(self).tidy()
            }
            #[inline(always)]
            fn sign(self) -> Self {
                let sign = Self::from(i8::from(self > 0.0) - i8::from(self < 0.0));
                if self.is_nan() { Self::from_bits($nan) } else { sign }
            }
            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                (self - other).tidy()
            }
            #[inline(always)]
            fn div(self, other: Self) -> Self {
                (self / other).tidy()
            }
            /// numpy's `npy_divmod`: what is left is exact, and what it was left of is nearly a whole number then.
            #[inline]
            fn floor_div(self, other: Self) -> Self {
                if other == 0.0 {
                    return self.div(other);
                }
                let left = self % other;
                let mut times = (self - left) / other;
                if left != 0.0 && (other < 0.0) != (left < 0.0) {
                    times -= 1.0;
                }
                if times == 0.0 {
                    return (0.0 as $type).copysign(self / other);
                }
                let whole = times.floor();
                (if times - whole > 0.5 { whole + 1.0 } else { whole }).tidy()
            }
            #[inline]
            fn modulo(self, other: Self) -> Self {
                let left = self % other;
                if other == 0.0 {
                    left.tidy()
                } else if left == 0.0 {
                    (0.0 as $type).copysign(other)
                } else if (other < 0.0) != (left < 0.0) {
                    (left + other).tidy()
                } else {
                    left.tidy()
                }
            }
            /// The sign of one that is no number is the one that all have.
            #[inline(always)]
            fn with_sign(self, of: Self) -> Self {
                $type::copysign(self, of.tidy()).tidy()
            }
            #[inline]
            fn fmod(self, other: Self) -> Self {
                (self % other).tidy()
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                $type::sqrt(self).tidy()
            }
            #[inline(always)]
            fn floor(self) -> Self {
                $type::floor(self).tidy()
            }
            #[inline(always)]
            fn ceil(self) -> Self {
                $type::ceil(self).tidy()
            }
            #[inline(always)]
            fn rint(self) -> Self {
                self.round_ties_even().tidy()
            }
            #[inline(always)]
            fn trunc(self) -> Self {
                $type::trunc(self).tidy()
            }
            library!($($one $of_one),+);
            library_of_two!($($two $of_two),+);
        }
    };
}

real!(f64, 0x7FF8_0000_0000_0000;
    exp libm::exp, exp2 libm::exp2, expm1 libm::expm1, log libm::log, log2 libm::log2, log10 libm::log10,
    log1p libm::log1p, sin libm::sin, cos libm::cos, tan libm::tan, asin libm::asin, acos libm::acos,
    atan libm::atan, sinh libm::sinh, cosh libm::cosh, tanh libm::tanh, asinh libm::asinh, acosh acosh,
    atanh libm::atanh, cbrt libm::cbrt;
    pow libm::pow, atan2 libm::atan2, hypot libm::hypot);
real!(f32, 0x7FC0_0000;
    exp libm::expf, exp2 libm::exp2f, expm1 libm::expm1f, log libm::logf, log2 libm::log2f, log10 libm::log10f,
    log1p libm::log1pf, sin libm::sinf, cos libm::cosf, tan libm::tanf, asin libm::asinf, acos libm::acosf,
    atan libm::atanf, sinh libm::sinhf, cosh libm::coshf, tanh libm::tanhf, asinh libm::asinhf, acosh acoshf,
    atanh libm::atanhf, cbrt libm::cbrtf;
    pow libm::powf, atan2 libm::atan2f, hypot libm::hypotf);
