//! Replay of frames with many small deltas, which put off where their bytes go: the same state, whatever comes between.
//! So it is with past states, which are made of the same frames page by page.

use std::borrow::Cow;

use mmsb::base::ids::PageId;
use mmsb::bus::commit::Change;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Note, Options};
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::dtype::DType;
use mmsb::page::operator::OperatorId;
use mmsb::page::schema::{Column, Kind, Schema};
use mmsb::page::select::{Rows, Select};
use proptest::prelude::*;

const ROWS: u64 = 30_000;

/// One change of a commit: of which page, and where.
#[derive(Clone, Debug)]
enum Step {
    /// So many rows of one column, one after the other.
    Small(usize, u16, u64, u64),
    /// One value in all of some rows.
    Fill(usize, u64, u64),
    /// Every third row.
    Strided(usize, u64),
    /// All of a column.
    Whole(usize, u16),
    Resize(usize, u64),
}

fn steps() -> impl Strategy<Value = Step> {
    // Often the same places, often across the end of a chunk of 8 KiB.
    let at = prop_oneof![0u64..20, 4_090u64..4_100, 8_180u64..8_200, 0..ROWS - 400];
    let rows = prop_oneof![1u64..8, 1u64..400];
    prop_oneof![
        40 => (0usize..2, 0u16..2, at.clone(), rows).prop_map(|(page, column, at, n)| Step::Small(page, column, at, n)),
        2 => (0usize..2, at.clone(), 1u64..9000).prop_map(|(page, at, n)| Step::Fill(page, at, n)),
        1 => (0usize..2, at).prop_map(|(page, at)| Step::Strided(page, at)),
        1 => (0usize..2, 0u16..2).prop_map(|(page, column)| Step::Whole(page, column)),
        1 => (0usize..2, ROWS - 300..ROWS + 300).prop_map(|(page, rows)| Step::Resize(page, rows)),
    ]
}

/// Bytes of one row of a column.
fn width(column: u16) -> u64 {
    if column == 0 { 1 } else { 6 }
}

fn change(step: &Step, pages: &[PageId; 2], rows: &mut [u64; 2], salt: u64) -> Change<'static> {
    let bytes = |n: u64| Cow::Owned((0..n).map(|i| (i * 7 + salt * 31 + 1) as u8).collect::<Vec<u8>>());
    let write = |page: usize, column, select, data| {
        Change::Write(Delta::single(pages[page], OperatorId::ASSIGN, Part { column, select, data }))
    };
    match *step {
        Step::Small(page, column, at, n) => {
            let stop = (at + n).min(rows[page]);
            let data = Data::Dense(bytes((stop - at) * width(column)));
            write(page, column, Select::range(at, stop), data)
        }
        Step::Fill(page, at, n) => {
            let stop = (at + n).min(rows[page]);
            write(page, 0, Select::range(at, stop), Data::Fill(bytes(1)))
        }
        Step::Strided(page, at) => {
            let at = at.min(rows[page] - 300);
            let some = Rows::Range { start: at, stop: at + 300, step: 3 };
            write(page, 0, Select::Rows { rows: some, inner: None }, Data::Dense(bytes(100)))
        }
        Step::Whole(page, column) => {
            write(page, column, Select::range(0, rows[page]), Data::Dense(bytes(rows[page] * width(column))))
        }
        Step::Resize(page, to) => {
            rows[page] = to;
            Change::Resize(pages[page], to)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn many_small_deltas_replay_to_the_same_state(
        commits in prop::collection::vec((prop::collection::vec(steps(), 1..120), any::<bool>()), 2..8),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { checkpoint_after: None, ..Options::default() };
        let bus = Bus::open(folder.path().join("bus"), &options).unwrap();
        let columns = [Column::new("a", DType::U8, vec![]), Column::new("b", DType::U16, vec![3])];
        let columns = columns.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
        let schema = Schema::new(Kind::Table, columns, None).unwrap();
        let page = |name| bus.create_page(name, schema.clone(), ROWS, &Note::default()).unwrap();
        let (pages, mut rows, mut salt) = ([page("p"), page("q")], [ROWS; 2], 0);
        let mut were = Vec::new();
        for (steps, checkpoints) in &commits {
            let changes: Vec<_> = steps
                .iter()
                .map(|step| {
                    salt += 1;
                    change(step, &pages, &mut rows, salt)
                })
                .collect();
            bus.commit(&changes, &Note::default()).unwrap();
            let state = bus.state().unwrap();
            were.push((state.epoch(), state.digest().unwrap()));
            if *checkpoints {
                bus.checkpoint(&mut |_| {}).unwrap();
            }
        }
        // Each page on its own, from the images of a checkpoint where there is one before.
        for (epoch, digest) in were {
            prop_assert_eq!(bus.at(epoch).unwrap().digest().unwrap(), digest);
        }
        let digest = bus.state().unwrap().digest().unwrap();
        prop_assert_eq!(bus.replay_digest(true).unwrap()[0].digest, digest);
        drop(bus);
        let again = Bus::open(folder.path().join("bus"), &options).unwrap();
        prop_assert_eq!(again.state().unwrap().digest().unwrap(), digest);
    }
}
