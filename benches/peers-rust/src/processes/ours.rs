//! mmsb: a bus on disk; each change is an epoch, in the mapped log before it is seen.

use std::borrow::Cow;
use std::path::Path;

use mmsb::base::ids::{Epoch, PageId};
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Mode, Note, Options};
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::dtype::DType;
use mmsb::page::operator::OperatorId;
use mmsb::page::schema::Schema;
use mmsb::page::select::Select;

use super::{Looks, Party, Writes, number_of};
use crate::measure::Failed;

pub(super) const PARTY: Party = Party { who: "mmsb", writer, reader };

struct Writer {
    bus: Bus,
    page: PageId,
    bytes: Vec<u8>,
    note: Note,
}

fn writer(place: &Path, words: usize) -> Result<Box<dyn Writes>, Failed> {
    let bus = Bus::open(place.join("bus"), &Options::default())?;
    let schema = Schema::array(DType::U64, vec![], false, None)?;
    let page = bus.create_page("state", schema, words as u64, &Note::default())?;
    Ok(Box::new(Writer { bus, page, bytes: vec![0; 8 * words], note: Note::default() }))
}

impl Writes for Writer {
    fn write(&mut self, number: u64) -> Result<(), Failed> {
        self.bytes.chunks_exact_mut(8).for_each(|word| word.copy_from_slice(&number.to_le_bytes()));
        let select = Select::range(0, self.bytes.len() as u64 / 8);
        let part = Part { column: 0, select, data: Data::Dense(Cow::Borrowed(&self.bytes)) };
        self.bus.write(Delta::single(self.page, OperatorId::ASSIGN, part), &self.note)?;
        Ok(())
    }
}

struct Reader {
    bus: Bus,
    page: PageId,
    seen: Epoch,
    words: Vec<u64>,
}

fn reader(place: &Path, _words: usize) -> Result<Box<dyn Looks>, Failed> {
    let bus = Bus::open(place.join("bus"), &Options { mode: Mode::Read, ..Options::default() })?;
    if !bus.follows() {
        return Err("the reader has a copy of its own".into());
    }
    let page = bus.state()?.find("state").ok_or("no page")?;
    Ok(Box::new(Reader { bus, page, seen: Epoch(0), words: Vec::new() }))
}

impl Looks for Reader {
    fn look(&mut self) -> Result<Option<u64>, Failed> {
        let state = self.bus.state()?;
        if state.epoch() == self.seen {
            return Ok(None);
        }
        self.seen = state.epoch();
        let view = state.into_view(self.page, 0, None)?;
        self.words.clear();
        let words = view.bytes().chunks_exact(8);
        self.words.extend(words.map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default())));
        number_of(&self.words).map(Some)
    }
}
