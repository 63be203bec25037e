//! Expressions before they run: their types beside numpy's table, what is wrong with them in so many words, their bytes.

use crate::expression_model::table::{BINARY, LETTERS, UNARY};
use mmsb::base::codec::{Reader, Writer};
use mmsb::base::limits::EXPRESSION_NODES;
use mmsb::page::dtype::DType;
use mmsb::page::schema::{Column, Kind, Schema};
use mmsb::propagation::error::RuleError;
use mmsb::propagation::expression::node::{Binary, Builder, Constant, Expression, Node, Unary};
use mmsb::propagation::expression::rule::Express;
use mmsb::propagation::expression::typed::Typed;
use mmsb::propagation::kernel::{Shape, Spec};
use mmsb::propagation::runs::Run;
use proptest::prelude::*;

fn schema(columns: &[(&str, DType, &[u64])]) -> Schema {
    let columns = columns.iter().map(|(name, dtype, inner)| Column::new(*name, *dtype, inner.to_vec()));
    Schema::new(Kind::Table, columns.collect::<Result<_, _>>().expect("columns"), None).expect("a schema")
}

fn fixed() -> Schema {
    let names: Vec<String> = DType::FIXED.iter().map(|dtype| dtype.name()).collect();
    let columns: Vec<(&str, DType, &[u64])> =
        names.iter().zip(DType::FIXED).map(|(name, dtype)| (name.as_str(), dtype, &[][..])).collect();
    schema(&columns)
}

fn letter(found: &Result<Typed, RuleError>) -> char {
    found.as_ref().map_or('-', |typed| LETTERS.as_bytes()[usize::from(typed.dtype().code())] as char)
}

#[test]
fn types_are_those_of_numpy() {
    let schema = fixed();
    let shapes = [Shape { schema: &schema, rows: 2 }];
    let mut builder = Builder::default();
    let mut leaves: Vec<_> = (0..12).map(|column| builder.column(0, column)).collect();
    leaves.push(builder.constant(Constant::Int(1)));
    leaves.push(builder.constant(Constant::float(1.5)));
    let one = builder.column(0, 11);
    for (name, types) in UNARY {
        let op = Unary::named(name).expect("an operation");
        for (&a, wanted) in leaves.iter().zip(types.chars()) {
            let told = builder.unary(op, a);
            // A row to stand beside, for what reads none itself.
            let test = builder.binary(Binary::Eq, one, one);
            let told = builder.select(test, told, told);
            let got = builder.finish(told).expect("an expression").typed(&shapes);
            assert_eq!(letter(&got), wanted, "{name} of {a:?}: {got:?}");
        }
    }
    for (names, types) in BINARY {
        for name in *names {
            for (&a, row) in leaves.iter().zip(types.split(' ')) {
                for (&b, wanted) in leaves.iter().zip(row.chars()) {
                    for (a, b) in [(a, b), (b, a)] {
                        let node = match Binary::named(name) {
                            Some(op) => builder.binary(op, a, b),
                            None => builder.select(one, a, b),
                        };
                        let got = builder.finish(node).expect("an expression").typed(&shapes);
                        assert_eq!(letter(&got), wanted, "{name} of {a:?} and {b:?}: {got:?}");
                    }
                }
            }
        }
    }
    let listed: usize = BINARY.iter().map(|(names, _)| names.len()).sum();
    assert_eq!((UNARY.len(), listed), (Unary::ALL.len(), Binary::ALL.len() + 1), "all are looked at");
}

#[test]
fn what_is_wrong_is_said_in_so_many_words() {
    let first = schema(&[
        ("a", DType::I8, &[]),
        ("b", DType::Bool, &[]),
        ("s", DType::Bytes(4), &[]),
        ("v", DType::F32, &[3]),
        ("w", DType::F64, &[2, 2]),
    ]);
    let other = schema(&[("x", DType::U64, &[])]);
    let (five, seven) = (Shape { schema: &first, rows: 5 }, Shape { schema: &other, rows: 7 });
    let shapes = [five, seven];
    let mut all = Builder::default();
    let [a, b, s, v, w] = [0, 1, 2, 3, 4].map(|column| all.column(0, column));
    let (x, y, z) = (all.column(1, 0), all.column(2, 0), all.column(0, 9));
    let int = |all: &mut Builder, value| all.constant(Constant::Int(value));
    let (i300, below, half) = (int(&mut all, 300), int(&mut all, -1), all.constant(Constant::float(0.5)));
    let (twice, wrong) = (all.unary(Unary::Square, v), all.cast(DType::U8, i300));
    let cases = [
        (
            all.binary(Binary::Sub, b, b),
            "sub is not for column 'b' of input 0 (bool) and column 'b' of input 0 (bool)",
        ),
        (all.unary(Unary::Neg, b), "neg is not for column 'b' of input 0 (bool)"),
        (
            all.binary(Binary::Or, half, a),
            "or is not for a python float of 0.5 and column 'a' of input 0 (int8)",
        ),
        (all.binary(Binary::And, a, twice), "and is not for column 'a' of input 0 (int8) and float32"),
        (all.binary(Binary::Add, a, i300), "add: 300 does not fit int8 beside column 'a' of input 0 (int8)"),
        (
            all.binary(Binary::Mul, below, x),
            "mul: -1 does not fit uint64 beside column 'x' of input 1 (uint64)",
        ),
        (all.select(b, a, i300), "where: 300 does not fit int8 beside column 'a' of input 0 (int8)"),
        (all.binary(Binary::Add, a, wrong), "cast: 300 does not fit uint8"),
        (
            all.binary(Binary::Max, twice, w),
            "max: a row of float32 has shape [3], one of column 'w' of input 0 (float64) has [2, 2]",
        ),
        (
            all.select(v, a, w),
            "where: a row of column 'v' of input 0 (float32) has shape [3], one of int8 has [2, 2]",
        ),
        (all.binary(Binary::Add, a, x), "input 0 has 5 rows and input 1 has 7"),
        (z, "input 0 has 5 columns and no column 9"),
        (all.binary(Binary::Lt, half, i300), "it reads no column"),
    ];
    for (node, wanted) in cases {
        // One that is wrong by itself is looked at beside inputs whose rows fit.
        let shapes = if wanted.contains("7") { shapes } else { [five, Shape { rows: 5, ..seven }] };
        let got = all.finish(node).expect("an expression").typed(&shapes);
        assert_eq!(got.expect_err("is wrong").to_string(), format!("expression: {wanted}"));
    }
    for (node, wanted) in [
        (s, "expression: column 's' of input 0 is S4, where a number or bool is needed"),
        (y, "expression has 2 inputs where it takes 3"),
    ] {
        let got = all.finish(node).expect("an expression").typed(&shapes);
        assert_eq!(got.expect_err("is wrong").to_string(), wanted);
    }
}

#[test]
fn nodes_that_are_no_expression_are_refused() {
    let cast = Expression::new(vec![Node::Column { input: 0, column: 0 }, Node::Cast(DType::Bytes(3), 0)]);
    assert_eq!(cast.expect_err("is wrong").to_string(), "expression: node 1 is of S3, which is no number");
    let ahead = Expression::new(vec![Node::Unary(Unary::Neg, 0)]);
    assert_eq!(
        ahead.expect_err("is wrong").to_string(),
        "expression: node 0 names node 0, which is not before it"
    );
    let none = Expression::new(vec![]);
    let wanted = format!("expression: 0 nodes, where 1 to {EXPRESSION_NODES} are possible");
    assert_eq!(none.expect_err("is wrong").to_string(), wanted);
    let stray = Builder::default().finish(Builder::default().column(0, 0));
    assert_eq!(stray.expect_err("is wrong").to_string(), "expression: there is no node 0 among 0");
}

#[test]
fn a_power_that_is_none_is_found_where_it_is() {
    let schema = schema(&[("a", DType::I32, &[2]), ("b", DType::I32, &[])]);
    let mut all = Builder::default();
    let (a, b) = (all.column(0, 0), all.column(0, 1));
    let power = all.binary(Binary::Pow, a, b);
    let typed = all.finish(power).expect("an expression").typed(&[Shape { schema: &schema, rows: 600 }]);
    let typed = typed.expect("types");
    let (bases, mut powers) = (vec![3i32; 1200], vec![2i32; 600]);
    powers[599] = -7;
    let columns: [&[u8]; 2] = [bytemuck::cast_slice(&bases), bytemuck::cast_slice(&powers)];
    let got = typed.evaluate(&columns, Run::new(500, 600)).expect_err("is wrong");
    assert_eq!(got.to_string(), "expression: row 599: int32 to the power of -7");
    let got = typed.evaluate(&columns, Run::new(0, 599)).expect("powers");
    assert!(bytemuck::cast_slice::<u8, i32>(&got).iter().all(|&cell| cell == 9));
    let got = typed.evaluate(&columns[..1], Run::new(0, 1)).expect_err("is wrong");
    assert_eq!(got.to_string(), "expression: 1 columns, where it reads 2");
    let got = typed.evaluate(&[columns[1], columns[0]], Run::new(0, 1)).expect_err("is wrong");
    assert_eq!(got.to_string(), "expression: column 0 of input 0 of 2400 bytes, not 4800");
    let got = typed.evaluate(&columns, Run::new(0, 601)).expect_err("is wrong");
    assert_eq!(got.to_string(), "expression: rows up to 601 of 600");
}

/// A hundred thousand terms, in both of the ways that they can be nested.
#[test]
fn long_expressions_are_ordinary() {
    const TERMS: i64 = 100_000;
    let schema = schema(&[("a", DType::F64, &[])]);
    for right in [false, true] {
        let mut all = Builder::default();
        let a = all.column(0, 0);
        let terms: Vec<_> = (0..TERMS)
            .map(|i| {
                let factor = all.constant(Constant::Int(i.into()));
                all.binary(Binary::Mul, a, factor)
            })
            .collect();
        let add = |all: &mut Builder, sum, &term: &_| {
            if right { all.binary(Binary::Add, term, sum) } else { all.binary(Binary::Add, sum, term) }
        };
        let root = if right {
            terms.iter().rev().skip(1).fold(terms[terms.len() - 1], |sum, term| add(&mut all, sum, term))
        } else {
            terms.iter().skip(1).fold(terms[0], |sum, term| add(&mut all, sum, term))
        };
        let expression = all.finish(root).expect("an expression");
        let mut out = Writer::new();
        expression.encode(&mut out);
        assert_eq!(Expression::decode(&mut Reader::new(out.as_slice())).as_ref(), Ok(&expression));
        let typed = expression.typed(&[Shape { schema: &schema, rows: 40 }]).expect("types");
        let cells: Vec<f64> = (0..40).map(f64::from).collect();
        let got = typed.evaluate(&[bytemuck::cast_slice(&cells)], Run::new(0, 40)).expect("cells");
        let sum = (TERMS * (TERMS - 1) / 2) as f64;
        let wanted: Vec<u8> = cells.iter().flat_map(|cell| (cell * sum).to_le_bytes()).collect();
        assert!(got == wanted, "whole numbers are exact");
    }
}

#[test]
fn what_is_said_twice_is_one_node() {
    let mut all = Builder::default();
    let (a, b) = (all.column(0, 0), all.column(0, 1));
    let sum = all.binary(Binary::Add, a, b);
    let (left, right) = (all.unary(Unary::Sin, sum), all.binary(Binary::Add, a, b));
    let right = all.unary(Unary::Sin, right);
    assert_eq!(left, right);
    all.unary(Unary::Cos, sum);
    let square = all.binary(Binary::Mul, left, right);
    let expression = all.finish(square).expect("an expression");
    assert_eq!(expression.nodes().len(), 5, "the cosine is nobody's");
    assert_eq!(expression.nodes()[4], Node::Binary(Binary::Mul, 3, 3));
}

#[test]
fn a_page_has_the_rows_of_all_its_columns() {
    let (many, one) =
        (schema(&[("a", DType::I16, &[]), ("v", DType::F16, &[3])]), schema(&[("k", DType::F32, &[])]));
    let mut all = Builder::default();
    let (a, v, k) = (all.column(0, 0), all.column(0, 1), all.column(1, 0));
    let product = all.binary(Binary::Mul, v, k);
    let [a, k, product] = [a, k, product].map(|root| all.finish(root).expect("an expression"));
    let named = |name: &str, expression: &Expression| (name.to_owned(), expression.clone());
    let rule = Express::new(vec![named("k", &k), named("a", &a), named("p", &product)]).expect("a rule");
    let shapes = [Shape { schema: &many, rows: 9 }, Shape { schema: &one, rows: 1 }];
    let gives = rule.gives(&shapes).expect("a page");
    let columns: Vec<_> =
        gives.columns.iter().map(|column| (column.name(), column.dtype(), column.inner())).collect();
    assert_eq!(gives.rows, 9);
    assert_eq!(columns, [("k", DType::F32, &[][..]), ("a", DType::I16, &[]), ("p", DType::F32, &[3])]);
    let alone = Express::array(k.clone()).gives(&shapes).expect("a page");
    assert_eq!((alone.rows, alone.columns[0].name()), (1, "value"));
    let wrong = Express::new(vec![named("", &k)]).expect("one column").gives(&shapes);
    assert_eq!(wrong.expect_err("is wrong").to_string(), "expression: column name \"\" is empty");
    assert_eq!(
        Express::new(vec![]).expect_err("is wrong").to_string(),
        "expression: 0 columns, where 1 to 1024 are possible"
    );
}

fn node(at: u32) -> BoxedStrategy<Node> {
    let leaf = prop_oneof![
        any::<(u16, u16)>().prop_map(|(input, column)| Node::Column { input, column }),
        any::<i128>().prop_map(|value| Node::Constant(Constant::Int(value))),
        any::<u64>().prop_map(|bits| Node::Constant(Constant::Float(bits))),
        (0usize..12, any::<u64>()).prop_map(|(code, bits)| {
            let dtype = DType::FIXED[code];
            let bits =
                if dtype == DType::Bool { bits & 1 } else { bits & u64::MAX >> (64 - 8 * dtype.size()) };
            Node::Constant(Constant::Cell(dtype, bits))
        }),
    ];
    if at == 0 {
        return leaf.boxed();
    }
    let of = 0..at;
    prop_oneof![
        leaf,
        (0usize..12, of.clone()).prop_map(|(code, a)| Node::Cast(DType::FIXED[code], a)),
        (prop::sample::select(Unary::ALL), of.clone()).prop_map(|(op, a)| Node::Unary(op, a)),
        (prop::sample::select(Binary::ALL), of.clone(), of.clone())
            .prop_map(|(op, a, b)| Node::Binary(op, a, b)),
        (of.clone(), of.clone(), of).prop_map(|(a, b, c)| Node::Where(a, b, c)),
    ]
    .boxed()
}

fn expression() -> impl Strategy<Value = Expression> {
    (1u32..24).prop_flat_map(|n| {
        (0..n).map(node).collect::<Vec<_>>().prop_map(|nodes| Expression::new(nodes).expect("an expression"))
    })
}

fn bytes(rule: &Express) -> Vec<u8> {
    let mut out = Writer::new();
    rule.encode(&mut out);
    out.into_vec()
}

proptest! {
    #[test]
    fn rules_come_back(outputs in prop::collection::vec(("[a-z]{1,5}", expression()), 1..4)) {
        let rule = Express::new(outputs).expect("a rule");
        let bytes = bytes(&rule);
        let mut input = Reader::new(&bytes);
        prop_assert_eq!(Express::decode(&mut input), Ok(rule));
        prop_assert!(input.is_empty());
        for short in 0..bytes.len() {
            let cut = Express::decode(&mut Reader::new(&bytes[..short]));
            prop_assert!(matches!(cut, Err(RuleError::Unreadable(_))));
        }
    }

    #[test]
    fn bytes_that_are_no_rule_are_refused_or_are_another(
        outputs in prop::collection::vec(("[a-z]{1,5}", expression()), 1..3),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..4),
        noise in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut flipped = bytes(&Express::new(outputs).expect("a rule"));
        for (at, by) in flips {
            let at = at.index(flipped.len());
            flipped[at] ^= by;
        }
        let schema = fixed();
        for bytes in [flipped, noise] {
            let mut input = Reader::new(&bytes);
            match Express::decode(&mut input) {
                Ok(rule) => {
                    prop_assert_eq!(&self::bytes(&rule), &bytes[..input.at()], "every rule has one form");
                    let _ = rule.gives(&[Shape { schema: &schema, rows: 3 }]);
                }
                Err(error) => prop_assert!(matches!(error, RuleError::Unreadable(_))),
            }
        }
    }
}

#[test]
fn what_cannot_be_read_is_said_in_so_many_words() {
    let wanted = |bytes: &[u8], text: &str| {
        let got = Expression::decode(&mut Reader::new(bytes)).expect_err("is wrong");
        assert_eq!(got.to_string(), format!("the bytes of a rule cannot be read: {text}"));
    };
    wanted(&[], "truncated: a value needs 1 bytes and 0 are left");
    wanted(&[0], &format!("0 nodes, where 1 to {EXPRESSION_NODES} are possible"));
    wanted(&[0xff, 0xff, 0x7f], &format!("2097151 nodes, where 1 to {EXPRESSION_NODES} are possible"));
    wanted(&[9, 0], "9 nodes in 1 bytes");
    wanted(&[1, 9], "node 0 is of kind 9, which is unknown");
    wanted(&[1, 5, 200], "code 200 of 34");
    wanted(&[1, 5, 0, 1], "node 0 names what is 1 before it");
    wanted(&[2, 0, 0, 0, 5, 0, 0], "node 1 names what is 0 before it");
    wanted(&[1, 1, 0, 2], "a bool of 2");
    wanted(&[1, 0, 0xff, 0xff, 0x7f], "input 2097151 is past 16 bits");
}
