//! What reductions give, what they refuse and how they say so, and that they come back from bytes.

use mmsb::base::codec::{Reader, Writer};
use mmsb::page::dtype::DType;
use mmsb::page::schema::{Column, Kind, Schema};
use mmsb::propagation::error::RuleError;
use mmsb::propagation::kernel::{Shape, Spec};
use mmsb::propagation::reduction::spec::{Over, Reduce, Reduction};

fn table(columns: &[(&str, DType, &[u64])]) -> Schema {
    let columns =
        columns.iter().map(|(name, dtype, inner)| Column::new(*name, *dtype, inner.to_vec()).unwrap());
    Schema::new(Kind::Table, columns.collect(), None).unwrap()
}

#[test]
fn shapes_and_types_are_those_of_numpy() {
    let schema = table(&[("x", DType::F32, &[2, 5]), ("i", DType::U16, &[]), ("b", DType::Bool, &[4])]);
    let gives = |column, what, over| {
        let gives = Reduce { column, what, over }.gives(&[Shape { schema: &schema, rows: 9 }]).unwrap();
        let [column] = &gives.columns[..] else { panic!("one column") };
        assert_eq!(column.name(), "value");
        (gives.rows, column.inner().to_vec(), column.dtype())
    };
    assert_eq!(gives(0, Reduction::Sum, Over::Whole), (1, vec![], DType::F32));
    assert_eq!(gives(0, Reduction::Mean, Over::Rows), (2, vec![5], DType::F32));
    assert_eq!(gives(0, Reduction::ArgMax, Over::Inner(0)), (9, vec![5], DType::I64));
    assert_eq!(gives(0, Reduction::Min, Over::Inner(1)), (9, vec![2], DType::F32));
    assert_eq!(gives(1, Reduction::Sum, Over::Rows), (1, vec![], DType::U64));
    assert_eq!(gives(1, Reduction::Mean, Over::Key { column: 1, groups: 7 }), (7, vec![], DType::F64));
    assert_eq!(gives(2, Reduction::Sum, Over::Rows), (4, vec![], DType::I64));
    assert_eq!(gives(2, Reduction::All, Over::Inner(0)), (9, vec![], DType::Bool));
}

#[test]
fn what_cannot_be_reduced_is_told_by_name() {
    let schema = table(&[
        ("x", DType::F64, &[]),
        ("k", DType::I32, &[]),
        ("wide", DType::I32, &[3]),
        ("text", DType::Bytes(4), &[]),
    ]);
    let shape = Shape { schema: &schema, rows: 9 };
    let says = |column, over| {
        let reduce = Reduce { column, what: Reduction::Sum, over };
        let wrong = reduce.gives(&[shape]).unwrap_err();
        assert_eq!(reduce.kernel(&[shape]).unwrap_err(), wrong);
        wrong.to_string()
    };
    let key = |column, groups| Over::Key { column, groups };
    assert_eq!(says(4, Over::Whole), "reduce: column 4 is out of range: the page has 4");
    assert_eq!(
        says(3, Over::Whole),
        "reduce: the column 'text' is S4, where a type of numbers or bool for sum is needed"
    );
    assert_eq!(says(2, Over::Inner(1)), "reduce: column 'wide' has 1 inner axes, and none of number 1");
    assert_eq!(
        says(0, key(0, 5)),
        "reduce: the column of keys 'x' is float64, where a type of integers is needed"
    );
    assert_eq!(
        says(0, key(2, 5)),
        "reduce: the column of keys 'wide' has 1 inner axes, where by key it can have none"
    );
    assert_eq!(
        says(2, key(1, 5)),
        "reduce: the column of values 'wide' has 1 inner axes, where by key it can have none"
    );
    assert_eq!(says(0, key(1, 0)), "reduce: 0 groups, where 1 to 67108864 are possible");
    assert_eq!(says(0, key(1, 1 << 40)), "reduce: 1099511627776 groups, where 1 to 67108864 are possible");
    let two = Reduce { column: 0, what: Reduction::Sum, over: Over::Whole }.gives(&[shape, shape]);
    assert_eq!(two.unwrap_err().to_string(), "reduce has 2 inputs where it takes 1");
    let wrong = Reduction::named("median").unwrap_err().to_string();
    assert!(wrong.contains("'median'") && wrong.contains("argmin"), "{wrong}");
    assert!(Reduction::all().all(|what| Reduction::named(what.name()) == Ok(what)));
}

#[test]
fn rules_come_back_from_bytes() {
    let overs = [Over::Whole, Over::Rows, Over::Inner(3), Over::Key { column: 300, groups: 1 << 20 }];
    for (what, over) in Reduction::all().flat_map(|what| overs.map(|over| (what, over))) {
        let reduce = Reduce { column: 700, what, over };
        let mut out = Writer::new();
        reduce.encode(&mut out);
        let mut input = Reader::new(out.as_slice());
        assert_eq!(Reduce::decode(&mut input), Ok(reduce));
        assert!(input.is_empty());
        for end in 0..out.len() {
            assert!(matches!(
                Reduce::decode(&mut Reader::new(&out.as_slice()[..end])),
                Err(RuleError::Unreadable(_))
            ));
        }
    }
    let says = |bytes: &[u8]| Reduce::decode(&mut Reader::new(bytes)).unwrap_err().to_string();
    assert_eq!(says(&[0, 9, 0]), "the bytes of a rule cannot be read: no reduction has the code 9");
    assert_eq!(says(&[0, 0, 4]), "the bytes of a rule cannot be read: a reduction is over nothing of code 4");
    assert!(says(&[0x80, 0x80, 0x04]).contains("65536 is past 16 bits"));
}
