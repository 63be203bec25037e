//! Deltas as bytes: they come back doing the same, they are small, and garbage is refused.

use mmsb::base::codec::{Reader, Writer};
use mmsb::base::ids::{BranchId, PageId};
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::dtype::DType;
use mmsb::page::error::PageError;
use mmsb::page::operator::OperatorId;
use mmsb::page::schema::Column;
use mmsb::page::select::{Axis, Inner, Rows, Select};
use proptest::prelude::*;
use std::borrow::Cow;
use std::sync::Arc;

fn encoded(delta: &Delta<'_>) -> Vec<u8> {
    let mut out = Writer::new();
    delta.encode(&mut out);
    out.into_vec()
}

/// The cells a selection stands for in a column of `dims` inner axes.
fn cells(select: &Select, dims: &[u64]) -> Vec<u64> {
    let column = Column::new("c", DType::U8, dims.to_vec()).expect("a valid column");
    let mut cells = Vec::new();
    select.runs(&column, |run| cells.extend(run.cell..run.cell + run.cells));
    cells
}

fn axis() -> impl Strategy<Value = Axis> {
    (0..90u64, 0..9u64, 1..4u64).prop_map(|(start, more, step)| Axis { start, stop: start + more, step })
}

fn list() -> impl Strategy<Value = Arc<Vec<u64>>> {
    prop_oneof![
        prop::collection::vec(0..1000u64, 0..20),
        prop::collection::vec(0..1u64 << 40, 0..20),
        prop::collection::btree_set(0..300u64, 0..250).prop_map(|set| set.into_iter().collect()),
        prop::collection::vec((1..9u64, 1..30u64), 0..9).prop_map(|runs| {
            let mut at = 0;
            let mut list = Vec::new();
            for (gap, length) in runs {
                list.extend(at + gap..at + gap + length);
                at += gap + length;
            }
            list
        }),
        (0..50u64, 1..9u64, 0..40u64)
            .prop_map(|(start, step, count)| (0..count).map(|place| start + place * step).collect()),
    ]
    .prop_map(Arc::new)
}

const DIMS: [u64; 2] = [100, 100];

fn select() -> impl Strategy<Value = Select> {
    let rows = prop_oneof![
        axis().prop_map(|Axis { start, stop, step }| Rows::Range { start, stop, step }),
        list().prop_map(Rows::Index),
    ];
    let inner = prop::option::of(prop::collection::vec(axis(), 2));
    prop_oneof![
        3 => (rows, inner).prop_map(|(rows, inner)| Select::Rows { rows, inner: inner.map(Inner) }),
        1 => list().prop_map(Select::Cells),
    ]
}

fn part() -> impl Strategy<Value = Part<'static>> {
    (any::<u16>(), select(), prop::collection::vec(any::<u8>(), 0..40), any::<bool>()).prop_map(
        |(column, select, bytes, fill)| {
            // Dense data of every length, right ones among them: encoding does not know the column.
            let data = if fill {
                Data::Fill(Cow::Owned(bytes))
            } else if bytes.len() > 20 {
                let cells = match &select {
                    Select::Cells(list) | Select::Rows { rows: Rows::Index(list), .. } => list.len(),
                    Select::Rows { .. } => 5,
                };
                Data::Dense(Cow::Owned(vec![bytes[0]; cells]))
            } else {
                Data::Dense(Cow::Owned(bytes))
            };
            Part { column, select, data }
        },
    )
}

fn deltas() -> impl Strategy<Value = Delta<'static>> {
    let parts = prop::collection::vec((part(), any::<bool>()), 0..5).prop_map(|parts| {
        let mut done: Vec<Part<'static>> = Vec::new();
        for (mut part, same) in parts {
            if let (true, Some(before)) = (same, done.last()) {
                part.select = before.select.clone();
            }
            done.push(part);
        }
        done
    });
    (any::<u64>(), any::<u16>(), parts).prop_map(|(page, op, parts)| Delta {
        page: PageId(page),
        op: OperatorId(op),
        parts,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn deltas_of_other_pages_are_passed_over(delta in deltas(), after: [u8; 3], cut: usize) {
        let mut bytes = encoded(&delta);
        let length = bytes.len();
        bytes.extend(after);
        let mut input = Reader::new(&bytes);
        prop_assert_eq!(Delta::decode_of(&mut input, PageId(delta.page.0 ^ 1)), Ok(None));
        prop_assert_eq!(input.at(), length);
        let mut input = Reader::new(&bytes);
        prop_assert_eq!(Delta::decode_of(&mut input, delta.page), Delta::decode(&mut Reader::new(&bytes)).map(Some));
        prop_assert_eq!(input.at(), length);
        let mut input = Reader::new(&bytes[..cut % length]);
        prop_assert!(Delta::decode_of(&mut input, PageId(delta.page.0 ^ 1)).is_err());
    }

    #[test]
    fn deltas_are_read_part_by_part_or_passed_over(delta in deltas(), after: [u8; 3], cut: usize) {
        let mut bytes = encoded(&delta);
        let length = bytes.len();
        bytes.extend(after);
        let read = |input: &mut Reader<'_>, wanted: bool| {
            let (mut head, mut parts) = (None, Vec::new());
            Delta::decode_parts(
                input,
                |page, op| {
                    head = Some((page, op));
                    Ok::<_, PageError>(wanted.then_some(()))
                },
                |(), part| {
                    parts.push(part.clone().into_owned());
                    Ok(())
                },
            )?;
            Ok::<_, PageError>((head, parts))
        };
        let whole = Delta::decode(&mut Reader::new(&bytes)).map_err(|error| TestCaseError::fail(error.to_string()))?;
        for (wanted, parts) in [(true, whole.into_owned().parts), (false, Vec::new())] {
            let mut input = Reader::new(&bytes);
            prop_assert_eq!(read(&mut input, wanted), Ok((Some((delta.page, delta.op)), parts)));
            prop_assert_eq!(input.at(), length);
            prop_assert!(read(&mut Reader::new(&bytes[..cut % length]), wanted).is_err());
        }
    }

    #[test]
    fn deltas_come_back_doing_the_same(delta in deltas(), after: [u8; 3]) {
        let mut bytes = encoded(&delta);
        let length = bytes.len();
        bytes.extend(after);
        let mut input = Reader::new(&bytes);
        let back = Delta::decode(&mut input).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(input.at(), length);
        prop_assert_eq!((back.page, back.op, back.parts.len()), (delta.page, delta.op, delta.parts.len()));
        for (back, part) in back.parts.iter().zip(&delta.parts) {
            prop_assert_eq!(back.column, part.column);
            prop_assert_eq!(&back.data, &part.data);
            prop_assert_eq!(cells(&back.select, &DIMS), cells(&part.select, &DIMS));
            if let (Select::Rows { inner: back, .. }, Select::Rows { inner, .. }) = (&back.select, &part.select) {
                prop_assert_eq!(back, inner);
            }
            if matches!(part.select, Select::Cells(_) | Select::Rows { rows: Rows::Range { .. }, .. }) {
                prop_assert_eq!(&back.select, &part.select);
            }
            prop_assert!(matches!(back.data, Data::Dense(Cow::Borrowed(_)) | Data::Fill(Cow::Borrowed(_))));
        }
        // What was read has one encoding.
        prop_assert_eq!(encoded(&back), &bytes[..length]);
    }

    #[test]
    fn a_cut_delta_is_refused(delta in deltas(), cut: prop::sample::Index) {
        let bytes = encoded(&delta);
        let end = cut.index(bytes.len());
        prop_assert!(Delta::decode(&mut Reader::new(&bytes[..end])).is_err());
    }

    #[test]
    fn damaged_deltas_never_panic(delta in deltas(), damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5)) {
        let mut bytes = encoded(&delta);
        for (place, value) in damage {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Ok(back) = Delta::decode(&mut Reader::new(&bytes)) {
            // What can be read can be checked, and written again.
            let column = Column::new("c", DType::U8, DIMS.to_vec()).expect("a valid column");
            for part in &back.parts {
                let _ = part.check(&column, 1000);
            }
            encoded(&back);
        }
    }

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Delta::decode(&mut Reader::new(&bytes));
    }
}

fn delta(page: PageId, select: Select, data: Data<'_>) -> Delta<'_> {
    Delta::single(page, OperatorId::ASSIGN, Part { column: 0, select, data })
}

#[test]
fn a_small_delta_costs_little_more_than_its_data() {
    let data = [7; 128];
    let dense = || Data::Dense(Cow::Borrowed(&data[..]));
    let plain = encoded(&delta(PageId(5), Select::range(100_000, 100_016), dense()));
    assert!(plain.len() <= 128 + 12, "{} bytes", plain.len());
    // The largest page there can be, a high column, on a branch of many.
    let page = PageId::new(BranchId(100_000), 2_000_000);
    let mut far = delta(page, Select::range((1 << 40) - 128, 1 << 40), dense());
    far.parts[0].column = 1023;
    let far = encoded(&far);
    assert!(far.len() <= 128 + 24, "{} bytes", far.len());
    let fill = encoded(&delta(PageId(5), Select::range(0, 1 << 30), Data::Fill(Cow::Borrowed(&[0; 8]))));
    assert!(fill.len() <= 8 + 13, "{} bytes", fill.len());
}

#[test]
fn selections_are_written_in_their_smallest_form() {
    let size = |select: Select, bytes: usize| {
        let data = vec![1; bytes];
        encoded(&delta(PageId(1), select, Data::Dense(Cow::Owned(data)))).len() - bytes
    };
    // One bit a row.
    let most: Vec<u64> = (0..8000).filter(|row| row % 3 != 1).collect();
    assert!(size(Select::indices(most.clone()), most.len()) < 1000 + 16);
    // Runs.
    let runs: Vec<u64> = (0..80_000).filter(|row| row / 1000 % 2 == 0).collect();
    assert!(size(Select::indices(runs.clone()), runs.len()) < 40 * 4 + 16);
    let cells = Select::Cells(Arc::new((500..90_000).collect()));
    assert!(size(cells, 89_500) < 24);
    // A list that is a range.
    assert!(size(Select::indices((500..90_000).step_by(3).collect()), 29_834) < 20);
    // The same rows of four columns are written once.
    let select = Select::indices(vec![9, 2, 700, 40]);
    let part = |column| Part { column, select: select.clone(), data: Data::Fill(Cow::Borrowed(&[1u8])) };
    let four = Delta { page: PageId(1), op: OperatorId(1), parts: (0..4).map(part).collect() };
    let one = Delta { page: PageId(1), op: OperatorId(1), parts: vec![part(0)] };
    assert_eq!(encoded(&four).len(), encoded(&one).len() + 3 * 4);
}

#[test]
fn hostile_sizes_are_refused_before_memory_is_asked_for() {
    let start = |tag: u8| {
        let mut out = Writer::new();
        for value in [0, 1, 0, 1, 0] {
            out.varint(value);
        }
        out.u8(tag);
        out
    };
    // A list, a rising list, runs: each claims 2^40 entries.
    for tag in [2, 3, 5, 0b1010, 0b1011, 0b1101] {
        let mut out = start(tag);
        if tag & 7 == 5 {
            out.varint(1);
            out.varint(0);
        }
        out.varint(1 << 40);
        out.raw(&[0; 50]);
        assert!(Delta::decode(&mut Reader::new(out.as_slice())).is_err(), "tag {tag}");
    }
    // An unknown flag; a form that is none; the same as nothing; cells as a range; a step of 0.
    for tag in [0x40, 0x80, 6, 7, 0b1000, 0b11010] {
        let mut out = start(tag);
        out.raw(&[1; 50]);
        assert!(Delta::decode(&mut Reader::new(out.as_slice())).is_err(), "tag {tag}");
    }
    let mut out = start(1);
    out.raw(&[0; 50]);
    assert!(Delta::decode(&mut Reader::new(out.as_slice())).is_err());
    // More parts than bytes.
    let mut out = Writer::new();
    for value in [0, 1, 0, 1 << 50] {
        out.varint(value);
    }
    assert!(Delta::decode(&mut Reader::new(out.as_slice())).is_err());
}
