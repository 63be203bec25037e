//! LMDB as a store, by heed. Without syncs it writes to its map, which survives the process.
#![allow(unsafe_code)]

use std::fs;
use std::path::Path;

use heed::byteorder::BigEndian;
use heed::types::{Bytes, U64};
use heed::{Database, Env, EnvFlags, EnvOpenOptions, WithTls};

use crate::measure::Failed;
use crate::store::{Level, Rows, Shape, Store, key, keys};

/// Address space only.
const MAP: usize = 16 << 30;

/// An environment with one database of rows.
pub struct Lmdb {
    env: Env<WithTls>,
    rows: Database<U64<BigEndian>, Bytes>,
    shape: Shape,
}

impl Lmdb {
    fn put_keys<'a>(&self, rows: impl Iterator<Item = (u64, &'a [u8])>) -> Result<(), Failed> {
        let mut write = self.env.write_txn()?;
        for (key, value) in rows {
            self.rows.put(&mut write, &key, value)?;
        }
        Ok(write.commit()?)
    }
}

impl Store for Lmdb {
    const WHO: &'static str = "LMDB (heed)";
    const LEVELS: &'static [Level] = &[Level::Process, Level::Disk];

    fn open(folder: &Path, level: Level, shape: Shape) -> Result<Self, Failed> {
        let path = folder.join("lmdb");
        fs::create_dir_all(&path)?;
        let mut options = EnvOpenOptions::new();
        options.map_size(MAP).max_readers(64);
        // SAFETY: nobody else opens this folder, and what the flags give up is what is being measured.
        let env = unsafe {
            if level == Level::Process {
                options.flags(EnvFlags::NO_SYNC | EnvFlags::WRITE_MAP);
            }
            options.open(&path)?
        };
        let mut write = env.write_txn()?;
        let rows = env.create_database(&mut write, None)?;
        write.commit()?;
        let store = Lmdb { env, rows, shape };
        let read = store.env.read_txn()?;
        let empty = store.rows.is_empty(&read)?;
        drop(read);
        if empty {
            let zeros = vec![0; shape.width];
            store.put_keys(keys(shape).map(|key| (key, zeros.as_slice())))?;
        }
        Ok(store)
    }

    fn put(&self, page: u64, row: u64, value: &[u8]) -> Result<(), Failed> {
        self.put_keys([(key(page, row), value)].into_iter())
    }

    fn put_rows(&self, rows: &Rows, values: &[u8]) -> Result<(), Failed> {
        self.put_keys(rows.iter().zip(values.chunks_exact(self.shape.width)))
    }

    fn put_pages(&self, value: &[u8]) -> Result<(), Failed> {
        self.put_keys((0..self.shape.pages).map(|page| (key(page, 0), value)))
    }

    fn snapshot(&self) -> Result<(), Failed> {
        drop(self.env.read_txn()?);
        Ok(())
    }

    fn get(&self, row: u64) -> Result<Vec<u8>, Failed> {
        let read = self.env.read_txn()?;
        Ok(self.rows.get(&read, &row)?.ok_or("a row is missing")?.to_vec())
    }
}
