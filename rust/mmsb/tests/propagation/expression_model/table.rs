//! numpy's answers to which type an operation gives on which, as numpy 2.4 gives them; the type of a cell is a letter of
//! `?bhiqBHIQefd`, in the order of the codes, and `-` is an error.

/// The letters.
pub const LETTERS: &str = "?bhiqBHIQefd";

/// Of each operation on one operand: on all types, and then on a python int and a python float.
pub const UNARY: &[(&str, &str)] = &[
    ("neg", "-bhiqBHIQefdqd"),
    ("abs", "?bhiqBHIQefdqd"),
    ("sign", "-bhiqBHIQefdqd"),
    ("not", "?bhiqBHIQ---q-"),
    ("sqrt", "eefddefddefddd"),
    ("exp", "eefddefddefddd"),
    ("exp2", "eefddefddefddd"),
    ("expm1", "eefddefddefddd"),
    ("log", "eefddefddefddd"),
    ("log2", "eefddefddefddd"),
    ("log10", "eefddefddefddd"),
    ("log1p", "eefddefddefddd"),
    ("sin", "eefddefddefddd"),
    ("cos", "eefddefddefddd"),
    ("tan", "eefddefddefddd"),
    ("asin", "eefddefddefddd"),
    ("acos", "eefddefddefddd"),
    ("atan", "eefddefddefddd"),
    ("sinh", "eefddefddefddd"),
    ("cosh", "eefddefddefddd"),
    ("tanh", "eefddefddefddd"),
    ("floor", "?bhiqBHIQefdqd"),
    ("ceil", "?bhiqBHIQefdqd"),
    ("rint", "eefddefddefddd"),
    ("trunc", "?bhiqBHIQefdqd"),
    ("isnan", "??????????????"),
    ("isfinite", "??????????????"),
    ("isinf", "??????????????"),
    ("square", "bbhiqBHIQefdqd"),
    ("asinh", "eefddefddefddd"),
    ("acosh", "eefddefddefddd"),
    ("atanh", "eefddefddefddd"),
    ("cbrt", "eefddefddefddd"),
    ("fabs", "eefddefddefddd"),
];

/// Of each operation on two operands: a word for each type on the left, with a letter for each on the right, and then for a
/// python int and a python float there.
pub const BINARY: &[(&[&str], &str)] = &[
    (
        &["add", "mul", "min", "max", "where"],
        "?bhiqBHIQefdqd bbhiqhiqdefdbd hhhiqhiqdffdhd iiiiqiiqddddid \
         qqqqqqqqddddqd BhhiqBHIQefdBd HiiiqHHIQffdHd IqqqqIIIQdddId \
         QddddQQQQdddQd eefddefddefdee fffddffddffdff dddddddddddddd",
    ),
    (
        &["sub"],
        "-bhiqBHIQefdqd bbhiqhiqdefdbd hhhiqhiqdffdhd iiiiqiiqddddid \
         qqqqqqqqddddqd BhhiqBHIQefdBd HiiiqHHIQffdHd IqqqqIIIQdddId \
         QddddQQQQdddQd eefddefddefdee fffddffddffdff dddddddddddddd",
    ),
    (
        &["div"],
        "dddddddddefddd dddddddddefddd dddddddddffddd dddddddddddddd \
         dddddddddddddd dddddddddefddd dddddddddffddd dddddddddddddd \
         dddddddddddddd eefddefddefdee fffddffddffdff dddddddddddddd",
    ),
    (
        &["floordiv", "mod", "pow", "fmod"],
        "bbhiqBHIQefdqd bbhiqhiqdefdbd hhhiqhiqdffdhd iiiiqiiqddddid \
         qqqqqqqqddddqd BhhiqBHIQefdBd HiiiqHHIQffdHd IqqqqIIIQdddId \
         QddddQQQQdddQd eefddefddefdee fffddffddffdff dddddddddddddd",
    ),
    (
        &["atan2", "hypot", "copysign"],
        "eefddefddefddd eefddefddefded fffddffddffdfd dddddddddddddd \
         dddddddddddddd eefddefddefded fffddffddffdfd dddddddddddddd \
         dddddddddddddd eefddefddefdee fffddffddffdff dddddddddddddd",
    ),
    (
        &["and", "or", "xor"],
        "?bhiqBHIQ---q- bbhiqhiq----b- hhhiqhiq----h- iiiiqiiq----i- \
         qqqqqqqq----q- BhhiqBHIQ---B- HiiiqHHIQ---H- IqqqqIIIQ---I- \
         Q----QQQQ---Q- -------------- -------------- --------------",
    ),
    (
        &["shl", "shr"],
        "bbhiqBHIQ---q- bbhiqhiq----b- hhhiqhiq----h- iiiiqiiq----i- \
         qqqqqqqq----q- BhhiqBHIQ---B- HiiiqHHIQ---H- IqqqqIIIQ---I- \
         Q----QQQQ---Q- -------------- -------------- --------------",
    ),
    (
        &["eq", "ne", "lt", "le", "gt", "ge"],
        "?????????????? ?????????????? ?????????????? ?????????????? \
         ?????????????? ?????????????? ?????????????? ?????????????? \
         ?????????????? ?????????????? ?????????????? ??????????????",
    ),
];
