//! The digest of a state: BLAKE3 over its pages by id, their schemas and cells. Nothing of epochs, branches, time or
//! placement goes in, so equal contents have equal digests on any machine.
//!
//! A column is a hash tree over logical leaves of 4 KiB with fan-out 64, in which a subtree of zeros is a constant of
//! its height; the pages are hashed along the canonical trie of their ids (Merkle, 1987).

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use crate::base::codec::Writer;
use crate::base::limits::CHUNK;
use crate::memory::addr::Addr;
use crate::memory::arena::Arena;
use crate::page::block::{head, is_leaf, is_null, untag};
use crate::page::catalog::RootRef;
use crate::page::column::{
    ColumnRef, FAN as FAN_CHUNKS, Place, child, chunks_of, entry, height, slots, span,
};
use crate::page::schemas::Schemas;
use crate::page::trie;
use crate::page::version::PageRef;

/// Bytes of a leaf of a column's hash tree. Part of the format: it never follows the chunk size.
const LEAF: usize = 4096;
const FAN: usize = 64;
const _: () = assert!(
    CHUNK == 2 * LEAF && FAN as u64 == FAN_CHUNKS,
    "a node of a column's tree is two of the hash tree"
);

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

/// Two digests of neighbouring subtrees of a column, which one chunk, or one node of its tree, stands for.
type Pair = [Hash; 2];

/// Hashes of what was hashed before, by where it lies and when it was made: a block is never both at once anew. So only
/// what changed since, and the path to it, is hashed again.
#[derive(Debug, Default)]
pub struct DigestCache {
    /// Versions of pages, and nodes of the directory.
    pages: Mutex<HashMap<(Addr, u64), Hash>>,
    /// Chunks, and nodes of columns.
    pairs: Mutex<Pairs>,
    /// How often something was hashed because it was not remembered.
    missed: AtomicU64,
}

type Pairs = HashMap<(Addr, u64), Pair>;

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

fn node_hash(children: &[Hash], height: usize) -> Hash {
    let zero = &ZERO[height - 1];
    let used = children.len() - children.iter().rev().take_while(|hash| *hash == zero).count();
    if used == 0 {
        return ZERO[height];
    }
    tagged("mmsb node", &[&[height as u8, used as u8], children[..used].as_flattened()])
}

/// Who is told how many bytes of cells were hashed so far. Nothing is locked meanwhile, so it may ask for digests too.
pub struct Tally<'p> {
    hashed: u64,
    progress: &'p mut dyn FnMut(u64),
}

impl fmt::Debug for Tally<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tally({} bytes)", self.hashed)
    }
}

impl<'p> Tally<'p> {
    /// Nothing was hashed so far.
    pub fn new(progress: &'p mut dyn FnMut(u64)) -> Self {
        Tally { hashed: 0, progress }
    }

    fn tell(&mut self) {
        (self.progress)(self.hashed);
    }
}

/// One column being hashed.
struct Hashing<'a, 'c, 'p> {
    column: ColumnRef<'a>,
    cache: &'c DigestCache,
    tally: &'c mut Tally<'p>,
}

impl Hashing<'_, '_, '_> {
    /// The digests at height `h + 1` of the two subtrees that the node of the column's tree over the chunks from `first`
    /// on stands for, `h` being its height.
    fn node(&mut self, at: Addr, h: u32, first: u64) -> Pair {
        let height = h as usize + 1;
        if is_null(at) {
            return [ZERO[height]; 2];
        }
        let arena = self.column.arena;
        self.remember(at, head(arena, at).born, (first + span(h + 1)) * CHUNK as u64, |hashing| {
            let mut below = [ZERO[height - 1]; 2 * FAN];
            for (i, pair) in below.as_chunks_mut::<2>().0.iter_mut().enumerate().take(slots(arena, at)) {
                let from = first + i as u64 * span(h);
                *pair = match h {
                    0 => hashing.chunk(entry(arena, at, i), from),
                    _ => hashing.node(child(arena, at, h, i), h - 1, from),
                };
            }
            if h == 0 {
                hashing.tally.tell();
            }
            let (left, right) = below.split_at(FAN);
            [node_hash(left, height), node_hash(right, height)]
        })
    }

    /// The digests of a chunk's leaves.
    fn chunk(&mut self, (at, born): (Addr, u64), index: u64) -> Pair {
        let first = index * CHUNK as u64;
        if is_null(at) || first >= self.column.bytes {
            return [ZERO[0]; 2];
        }
        self.remember(at, born, first + CHUNK as u64, |hashing| {
            let n = (hashing.column.bytes - first).min(CHUNK as u64) as usize;
            hashing.tally.hashed += n as u64;
            let mut pair = [ZERO[0]; 2];
            let leaves = hashing.column.slice(at, n).chunks(LEAF);
            pair.iter_mut().zip(leaves).for_each(|(hash, leaf)| *hash = leaf_hash(leaf));
            pair
        })
    }

    /// What is known of the block, or is made and known from now on. A leaf ends with the last row: nothing is known of
    /// what ends, at byte `end`, behind that.
    fn remember(&mut self, at: Addr, born: u64, end: u64, make: impl FnOnce(&mut Self) -> Pair) -> Pair {
        let lasts = end <= self.column.bytes;
        if lasts && let Some(&known) = self.cache.pairs().get(&(at, born)) {
            return known;
        }
        self.cache.missed.fetch_add(1, Ordering::Relaxed);
        let pair = make(self);
        if lasts {
            self.cache.pairs().insert((at, born), pair);
        }
        pair
    }

    /// The digest of the whole column.
    fn root(&mut self) -> Hash {
        let leaves = self.column.bytes.div_ceil(LEAF as u64);
        let (pair, mut height) = match self.column.place {
            _ if leaves == 0 => return ZERO[1],
            Place::Block(at, _) if is_null(at) => ([ZERO[1]; 2], 1),
            Place::Block(at, offset) => {
                let bytes = self.column.slice(Addr(at.0 + offset as u64), self.column.bytes as usize);
                let hashes: Vec<Hash> = bytes.chunks(LEAF).map(leaf_hash).collect();
                self.tally.hashed += self.column.bytes;
                ([node_hash(&hashes, 1), ZERO[1]], 1)
            }
            Place::Tree(root) => {
                let h = height(chunks_of(self.column.bytes));
                (self.node(root, h, 0), h as usize + 1)
            }
        };
        if leaves <= span(height as u32) {
            return pair[0];
        }
        height += 1;
        node_hash(&pair, height)
    }
}

impl DigestCache {
    /// How many chunks, nodes and pages were hashed, because they were not remembered.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    fn pairs(&self) -> MutexGuard<'_, Pairs> {
        self.pairs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The hash of a column's cells.
    fn column(&self, column: ColumnRef<'_>, tally: &mut Tally<'_>) -> Hash {
        let mut pairs = self.pairs();
        if pairs.len() > CACHE_MAX {
            pairs.clear();
        }
        drop(pairs);
        Hashing { column, cache: self, tally }.root()
    }

    fn known(&self, key: (Addr, u64)) -> Option<Hash> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied()
    }

    fn learn(&self, key: (Addr, u64), hash: Hash) -> Hash {
        self.missed.fetch_add(1, Ordering::Relaxed);
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if pages.len() > CACHE_MAX {
            pages.clear();
        }
        pages.insert(key, hash);
        hash
    }

    /// The hash of a page version whose cells can be read: its id, name, schema, rows, rule, marks and columns.
    fn page(&self, page: PageRef<'_>, schemas: &Schemas, tally: &mut Tally<'_>) -> Hash {
        let key = (page.at, page.born());
        if let Some(known) = self.known(key) {
            return known;
        }
        let schema = schemas.of(page.def());
        let mut about = Writer::new();
        about.u64(page.id().0);
        about.str(page.def().name());
        schema.encode(&mut about);
        about.u64(page.rows());
        if !page.def().rule().is_empty() {
            about.bytes(page.def().rule());
            about.u8(page.marks());
        }
        let columns: Vec<Hash> =
            (0..schema.columns().len()).map(|i| self.column(page.column(schema, i), tally)).collect();
        tally.tell();
        self.learn(key, tagged("mmsb page", &[about.as_slice(), columns.as_flattened()]))
    }

    /// The digest of a published state. `ready` is asked to see to it that the cells of a page can be read.
    pub fn state<E>(
        &self,
        root: RootRef<'_>,
        schemas: &Schemas,
        ready: &mut dyn FnMut(PageRef<'_>) -> Result<(), E>,
        tally: &mut Tally<'_>,
    ) -> Result<Digest, E> {
        let directory = root.directory();
        let hash = if is_null(directory) {
            no_pages()
        } else {
            self.directory(root.arena, directory, schemas, ready, tally)?
        };
        Ok(Digest(tagged("mmsb state", &[&hash])))
    }

    /// The hash of a node of the directory, or of a page in it.
    fn directory<E>(
        &self,
        arena: &Arena,
        at: Addr,
        schemas: &Schemas,
        ready: &mut dyn FnMut(PageRef<'_>) -> Result<(), E>,
        tally: &mut Tally<'_>,
    ) -> Result<Hash, E> {
        if is_leaf(at) {
            let page = PageRef::new(arena, untag(at));
            ready(page)?;
            return Ok(self.page(page, schemas, tally));
        }
        let key = (at, head(arena, at).born);
        if let Some(known) = self.known(key) {
            return Ok(known);
        }
        let children = trie::children(arena, at).iter();
        let parts: Vec<Hash> = children
            .map(|&child| self.directory(arena, Addr(child), schemas, ready, tally))
            .collect::<Result<_, _>>()?;
        Ok(self.learn(key, pages_hash(head(arena, at).shift, &parts)))
    }

    /// The digest of a state that is these pages, whose cells can be read, by id.
    pub fn pages<'a>(
        &self,
        pages: impl Iterator<Item = PageRef<'a>>,
        schemas: &Schemas,
        tally: &mut Tally<'_>,
    ) -> Digest {
        let hashed: Vec<(u64, Hash)> =
            pages.map(|page| (page.id().0, self.page(page, schemas, tally))).collect();
        Digest(tagged("mmsb state", &[&directory_of(&hashed)]))
    }
}

fn no_pages() -> Hash {
    tagged("mmsb no pages", &[])
}

fn pages_hash(shift: u8, parts: &[Hash]) -> Hash {
    tagged("mmsb pages", &[&[shift], parts.as_flattened()])
}

/// The hash that the directory of pages sorted by id would have.
fn directory_of(pages: &[(u64, Hash)]) -> Hash {
    match pages {
        [] => no_pages(),
        [(_, hash)] => *hash,
        [(first, _), .., (last, _)] => {
            let shift = (63 - (first ^ last).leading_zeros()) / 6 * 6;
            let parts: Vec<Hash> =
                pages.chunk_by(|a, b| a.0 >> shift == b.0 >> shift).map(directory_of).collect();
            pages_hash(shift as u8, &parts)
        }
    }
}
