//! redb as a store. `Durability::None` is what a later `Immediate` commit takes with it: alone it survives nothing.

use std::path::Path;

use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};

use crate::measure::Failed;
use crate::store::{Level, Rows, Shape, Store, key, keys};

const ROWS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rows");

/// A database of rows.
pub struct Redb {
    base: Database,
    durability: Durability,
    shape: Shape,
}

impl Redb {
    fn begin(&self) -> Result<WriteTransaction, Failed> {
        let mut write = self.base.begin_write()?;
        write.set_durability(self.durability)?;
        Ok(write)
    }
}

impl Store for Redb {
    const WHO: &'static str = "redb";
    const LEVELS: &'static [Level] = &[Level::Memory, Level::Disk];

    fn open(folder: &Path, level: Level, shape: Shape) -> Result<Self, Failed> {
        let base = Database::create(folder.join("base.redb"))?;
        let durability = if level == Level::Memory { Durability::None } else { Durability::Immediate };
        let write = base.begin_write()?;
        {
            let mut table = write.open_table(ROWS)?;
            if table.first()?.is_none() {
                let zeros = vec![0; shape.width];
                for key in keys(shape) {
                    table.insert(key, zeros.as_slice())?;
                }
            }
        }
        write.commit()?;
        Ok(Redb { base, durability, shape })
    }

    fn put(&self, page: u64, row: u64, value: &[u8]) -> Result<(), Failed> {
        let write = self.begin()?;
        write.open_table(ROWS)?.insert(key(page, row), value)?;
        Ok(write.commit()?)
    }

    fn put_rows(&self, rows: &Rows, values: &[u8]) -> Result<(), Failed> {
        let write = self.begin()?;
        {
            let mut table = write.open_table(ROWS)?;
            for (row, value) in rows.iter().zip(values.chunks_exact(self.shape.width)) {
                table.insert(row, value)?;
            }
        }
        Ok(write.commit()?)
    }

    fn put_pages(&self, value: &[u8]) -> Result<(), Failed> {
        let write = self.begin()?;
        {
            let mut table = write.open_table(ROWS)?;
            for page in 0..self.shape.pages {
                table.insert(key(page, 0), value)?;
            }
        }
        Ok(write.commit()?)
    }

    fn snapshot(&self) -> Result<(), Failed> {
        drop(self.base.begin_read()?);
        Ok(())
    }

    fn get(&self, row: u64) -> Result<Vec<u8>, Failed> {
        let table = self.base.begin_read()?.open_table(ROWS)?;
        let found = redb::ReadableTable::get(&table, row)?.ok_or("a row is missing")?;
        Ok(found.value().to_vec())
    }
}
