//! The digest of a state: BLAKE3 over its pages by id, their schemas and cells. Nothing of epochs, branches, time or
//! placement goes in, so equal contents have equal digests on any machine.
//!
//! A column is a hash tree over logical leaves of 4 KiB with fan-out 64, in which a subtree of zeros is a constant of
//! its height; the pages are hashed along the canonical trie of their ids (Merkle, 1987).

use std::collections::HashMap;
use std::fmt;
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::base::codec::Writer;
use crate::base::limits::CHUNK;
use crate::memory::addr::Addr;
use crate::page::block::is_null;
use crate::page::catalog::Catalog;
use crate::page::column::ColumnRef;
use crate::page::schema::Schema;
use crate::page::version::PageRef;

/// Bytes of a leaf of a column's hash tree. Part of the format: it never follows the chunk size.
const LEAF: usize = 4096;
const FAN: usize = 64;
const _: () = assert!(CHUNK.is_multiple_of(LEAF));

type Hash = [u8; 32];

/// BLAKE3 of a state.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// Hashes of what was hashed before, by where it lies and when it was made: a block is never both at once anew.
#[derive(Debug, Default)]
pub struct DigestCache {
    pages: Mutex<HashMap<(Addr, u64), Hash>>,
    chunks: Mutex<HashMap<(u64, u64), [Hash; CHUNK / LEAF]>>,
}

/// Entries after which the cache starts anew, so that it stays a share of what it speaks of.
const CACHE_MAX: usize = 1 << 20;

fn tagged(domain: &str, parts: &[&[u8]]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(domain.as_bytes());
    parts.iter().for_each(|part| {
        hasher.update(part);
    });
    *hasher.finalize().as_bytes()
}

/// The hash of a subtree of zeros, by height.
static ZERO: LazyLock<[Hash; 8]> = LazyLock::new(|| {
    let mut zero = [tagged("mmsb zero leaf", &[]); 8];
    for height in 1..8 {
        zero[height] = tagged("mmsb zero node", &[&[height as u8], &zero[height - 1]]);
    }
    zero
});

fn leaf_hash(bytes: &[u8]) -> Hash {
    if bytes.iter().all(|&byte| byte == 0) { ZERO[0] } else { tagged("mmsb leaf", &[bytes]) }
}

/// The root over a column's leaves.
fn fold(mut hashes: Vec<Hash>) -> Hash {
    let mut height = 0;
    while hashes.len() > 1 || height == 0 {
        height += 1;
        hashes = hashes.chunks(FAN).map(|children| node_hash(children, height)).collect();
        if hashes.is_empty() {
            return ZERO[1];
        }
    }
    hashes[0]
}

fn node_hash(children: &[Hash], height: usize) -> Hash {
    let zero = &ZERO[height - 1];
    let used = children.len() - children.iter().rev().take_while(|hash| *hash == zero).count();
    if used == 0 {
        return ZERO[height];
    }
    tagged("mmsb node", &[&[height as u8, used as u8], children[..used].as_flattened()])
}

impl DigestCache {
    /// The hash of a column's cells.
    fn column(&self, column: &ColumnRef<'_>) -> Hash {
        let leaves = column.bytes.div_ceil(LEAF as u64) as usize;
        let mut hashes = vec![ZERO[0]; leaves];
        let mut chunks = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
        if chunks.len() > CACHE_MAX {
            chunks.clear();
        }
        column.chunks(|first, at, born| {
            if is_null(at) {
                return;
            }
            let n = (column.bytes - first).min(CHUNK as u64) as usize;
            let to = &mut hashes[first as usize / LEAF..][..n.div_ceil(LEAF)];
            // A chunk's bytes beyond the last row are zeros, but the leaf ends with the row: only whole chunks are cached.
            let whole = n == CHUNK && born != 0;
            if let Some(known) = chunks.get(&(at.0, born)).filter(|_| whole) {
                to.copy_from_slice(&known[..]);
                return;
            }
            let bytes = column.slice(at, n);
            to.iter_mut().zip(bytes.chunks(LEAF)).for_each(|(hash, leaf)| *hash = leaf_hash(leaf));
            if whole {
                let mut known = [[0; 32]; CHUNK / LEAF];
                known.copy_from_slice(to);
                chunks.insert((at.0, born), known);
            }
        });
        fold(hashes)
    }

    /// The hash of a page: its id, name, schema, rows and columns. `stable` says that the version is published, so
    /// that its hash may be remembered by where it lies.
    pub fn page(&self, page: PageRef<'_>, schema: &Schema, stable: bool) -> [u8; 32] {
        let key = (page.at, page.born());
        if stable && let Some(&known) = self.pages.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return known;
        }
        let mut about = Writer::new();
        about.u64(page.id().0);
        about.str(page.def().name());
        schema.encode(&mut about);
        about.u64(page.rows());
        let columns: Vec<Hash> =
            (0..schema.columns().len()).map(|i| self.column(&page.column(schema, i))).collect();
        let hash = tagged("mmsb page", &[about.as_slice(), columns.as_flattened()]);
        if stable {
            let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
            if pages.len() > CACHE_MAX {
                pages.clear();
            }
            pages.insert(key, hash);
        }
        hash
    }

    /// The digest of the pages, given in the order of their ids.
    pub fn state<'a>(
        &self,
        pages: impl Iterator<Item = PageRef<'a>>,
        catalog: &Catalog,
        stable: bool,
    ) -> Digest {
        let hashed: Vec<(u64, Hash)> = pages
            .map(|page| {
                let schema = catalog.schema(page.def());
                (page.id().0, self.page(page, &schema, stable))
            })
            .collect();
        Digest(tagged("mmsb state", &[&trie(&hashed)]))
    }
}

/// The hash of the canonical trie of pages sorted by id.
fn trie(pages: &[(u64, Hash)]) -> Hash {
    match pages {
        [] => tagged("mmsb no pages", &[]),
        [(_, hash)] => *hash,
        [(first, _), .., (last, _)] => {
            let shift = (63 - (first ^ last).leading_zeros()) / 6 * 6;
            let parts: Vec<Hash> = pages.chunk_by(|a, b| a.0 >> shift == b.0 >> shift).map(trie).collect();
            tagged("mmsb pages", &[&[shift as u8], parts.as_flattened()])
        }
    }
}
