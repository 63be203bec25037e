//! mmsb as a store.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use mmsb::base::ids::PageId;
use mmsb::bus::commit::Change;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Note, Options};
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::dtype::DType;
use mmsb::page::log::Durability;
use mmsb::page::operator::OperatorId;
use mmsb::page::schema::Schema;
use mmsb::page::select::{Rows as Selected, Select};

use crate::measure::Failed;
use crate::store::{Level, Rows, Shape, Store};

/// A bus and its pages.
pub struct Ours {
    pub bus: Bus,
    pub pages: Vec<PageId>,
    note: Note,
    width: usize,
}

/// The options of a durability.
pub fn options(level: Level) -> Options {
    let durability = match level {
        Level::Memory => Durability::Memory,
        Level::Process => Durability::Process,
        Level::Disk => Durability::Disk,
    };
    Options { durability, ..Options::default() }
}

/// Assigns cells of a page of one column.
pub fn assign(page: PageId, select: Select, bytes: &[u8]) -> Delta<'_> {
    let part = Part { column: 0, select, data: Data::Dense(Cow::Borrowed(bytes)) };
    Delta::single(page, OperatorId::ASSIGN, part)
}

fn create(bus: &Bus, shape: Shape) -> Result<(), Failed> {
    for page in 0..shape.pages {
        let schema = Schema::array(DType::U8, vec![shape.width as u64], false, None)?;
        bus.create_page(&page.to_string(), schema, shape.rows, &Note::default())?;
    }
    Ok(())
}

impl Store for Ours {
    const WHO: &'static str = "mmsb";
    const LEVELS: &'static [Level] = &[Level::Memory, Level::Process, Level::Disk];

    fn open(folder: &Path, level: Level, shape: Shape) -> Result<Self, Failed> {
        let options = options(level);
        let bus = match level {
            Level::Memory => Bus::memory(&options)?,
            _ => Bus::open(folder.join("bus"), &options)?,
        };
        if bus.state()?.is_empty() {
            create(&bus, shape)?;
        }
        let state = bus.state()?;
        let found = |page: u64| state.find(&page.to_string()).ok_or("a page is missing");
        let pages = (0..shape.pages).map(found).collect::<Result<_, _>>()?;
        drop(state);
        Ok(Ours { bus, pages, note: Note::default(), width: shape.width })
    }

    fn put(&self, page: u64, row: u64, value: &[u8]) -> Result<(), Failed> {
        self.bus.write(assign(self.pages[page as usize], Select::range(row, row + 1), value), &self.note)?;
        Ok(())
    }

    fn put_rows(&self, rows: &Rows, values: &[u8]) -> Result<(), Failed> {
        let select = match rows {
            Rows::Range(range) => Select::range(range.start, range.end),
            Rows::List(rows) => Select::Rows { rows: Selected::Index(Arc::clone(rows)), inner: None },
        };
        self.bus.write(assign(self.pages[0], select, values), &self.note)?;
        Ok(())
    }

    fn put_pages(&self, value: &[u8]) -> Result<(), Failed> {
        let change = |&page: &PageId| Change::Write(assign(page, Select::range(0, 1), value));
        let changes: Vec<_> = self.pages.iter().map(change).collect();
        self.bus.commit(&changes, &self.note)?;
        Ok(())
    }

    fn snapshot(&self) -> Result<(), Failed> {
        drop(self.bus.state()?);
        Ok(())
    }

    fn get(&self, row: u64) -> Result<Vec<u8>, Failed> {
        let state = self.bus.state()?;
        let mut bytes = vec![0; self.width];
        state.read(self.pages[0], 0, &Select::range(row, row + 1), &mut bytes)?;
        Ok(bytes)
    }
}
