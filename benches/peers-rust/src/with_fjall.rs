//! fjall as a store. Its journal is written to the kernel with every commit, and synced with those that are to be durable.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};

use crate::measure::Failed;
use crate::store::{Level, Rows, Shape, Store, key, keys};

/// A keyspace of rows.
pub struct Fjall {
    base: Database,
    rows: Keyspace,
    durable: bool,
    shape: Shape,
}

impl Fjall {
    fn put_keys<'a>(&self, rows: impl Iterator<Item = (u64, &'a [u8])>) -> Result<(), Failed> {
        let mut batch = self.base.batch().durability(self.durable.then_some(PersistMode::SyncData));
        rows.for_each(|(key, value)| batch.insert(&self.rows, key.to_be_bytes(), value));
        Ok(batch.commit()?)
    }
}

impl Store for Fjall {
    const WHO: &'static str = "fjall";
    const LEVELS: &'static [Level] = &[Level::Process, Level::Disk];

    fn open(folder: &Path, level: Level, shape: Shape) -> Result<Self, Failed> {
        let base = Database::builder(folder.join("fjall")).open()?;
        let rows = base.keyspace("rows", KeyspaceCreateOptions::default)?;
        let store = Fjall { base, rows, durable: level == Level::Disk, shape };
        if store.rows.get(key(0, 0).to_be_bytes())?.is_none() {
            let zeros = vec![0; shape.width];
            store.put_keys(keys(shape).map(|key| (key, zeros.as_slice())))?;
        }
        Ok(store)
    }

    fn put(&self, page: u64, row: u64, value: &[u8]) -> Result<(), Failed> {
        self.rows.insert(key(page, row).to_be_bytes(), value)?;
        if self.durable {
            self.base.persist(PersistMode::SyncData)?;
        }
        Ok(())
    }

    fn put_rows(&self, rows: &Rows, values: &[u8]) -> Result<(), Failed> {
        self.put_keys(rows.iter().zip(values.chunks_exact(self.shape.width)))
    }

    fn put_pages(&self, value: &[u8]) -> Result<(), Failed> {
        self.put_keys((0..self.shape.pages).map(|page| (key(page, 0), value)))
    }

    fn snapshot(&self) -> Result<(), Failed> {
        drop(self.base.snapshot());
        Ok(())
    }

    fn get(&self, row: u64) -> Result<Vec<u8>, Failed> {
        let found = self.base.snapshot().get(&self.rows, row.to_be_bytes())?;
        Ok(found.ok_or("a row is missing")?.to_vec())
    }
}
