//! Making blocks of a record again: of everything, with what branches share shared, or of one page.

use std::sync::Arc;

use crate::base::limits::UNREAD_FILES;
use crate::memory::addr::Addr;
use crate::memory::arena::Arena;
use crate::memory::disk::Disk;
use crate::memory::pinning::limbo::Limbo;
use crate::page::block::{head, head_mut, is_null, untag};
use crate::page::catalog::{self, DefRef, RootRef, RootSlots};
use crate::page::checkpoint::cells::CellLoader;
use crate::page::checkpoint::chunks::ChunkReader;
use crate::page::checkpoint::error::CheckpointError;
use crate::page::checkpoint::lazy::{Unread, Version};
use crate::page::checkpoint::record::Record;
use crate::page::draft::{Draft, Tables};
use crate::page::stage::{LOADED, Scratch, Stage, recycle};
use crate::page::state_error::StateError;
use crate::page::trie;
use crate::page::version::{self, PageRef};

/// Makes the branches of a record: their roots, null of dropped ones, in its order, with every page's versions. The cells
/// of these are read in later: `tables.lazy`, which is empty yet, knows how. The stage of each branch has a seq of its
/// own, so that none writes over what an earlier one made. After an error the arena is of no use any more.
pub fn load(
    arena: &Arena,
    tables: Tables<'_>,
    disk: &Arc<dyn Disk>,
    record: &Arc<Record>,
) -> Result<Vec<Addr>, CheckpointError> {
    let schemas = record.schemas.iter().map(|schema| tables.schemas.intern(arena, schema));
    let mut loader = Loader {
        record,
        unread: Unread::new(disk, record)?,
        schemas: schemas.collect::<Result<_, _>>()?,
        defs: vec![Addr::default(); record.defs.len()],
        versions: vec![Addr::default(); record.versions.len()],
        roots: Vec::new(),
    };
    let mut retired = Vec::new();
    for number in 0..record.branches.len() {
        let mut stage = Stage::new(arena, LOADED + number as u64, Scratch::default());
        match loader.branch(&mut stage, number) {
            Ok(root) => {
                stage.settle(&mut retired);
                loader.roots.push(root);
            }
            Err(error) => {
                stage.abort();
                return Err(error);
            }
        }
    }
    // What a stage made and grew out of; the arena is not pinned yet.
    recycle(&mut Limbo::default(), arena, &mut Scratch::default(), &mut retired);
    for &root in loader.roots.iter().filter(|root| !is_null(**root)) {
        head_mut(arena, root).born = record.head.seq.0;
    }
    tables.lazy.set(loader.unread);
    if record.files.len() > UNREAD_FILES {
        tables.lazy.all(arena)?;
    }
    Ok(loader.roots)
}

/// Makes a page in a draft that has it not yet: a version of the record.
pub fn load_page(
    draft: &mut Draft<'_>,
    disk: &Arc<dyn Disk>,
    record: &Record,
    version: u32,
) -> Result<(), CheckpointError> {
    let told = &record.versions[version as usize];
    let def = &record.defs[told.def as usize];
    draft.set_epoch(told.epoch, record.head.position);
    draft.create(def.page, &def.name, record.schema(told), told.rows)?;
    if !def.rule.is_empty() {
        draft.set_rule(def.page, &def.rule)?;
        draft.set_marks(def.page, told.marks)?;
    }
    let mut reader = ChunkReader::new(disk);
    let mut cells = CellLoader::new(&mut reader, record);
    draft.fill(def.page, |stage, at| cells.fill(stage, at, version, None))
}

struct Loader<'r> {
    record: &'r Record,
    unread: Unread,
    schemas: Vec<Addr>,
    defs: Vec<Addr>,
    versions: Vec<Addr>,
    roots: Vec<Addr>,
}

impl Loader<'_> {
    /// The root of a branch; null of a dropped one.
    fn branch(&mut self, stage: &mut Stage<'_>, number: usize) -> Result<Addr, CheckpointError> {
        let (record, arena) = (self.record, stage.arena());
        let branch = &record.branches[number];
        let Some(told) = &branch.root else { return Ok(Addr::default()) };
        let at = match told.base {
            Some(base) => catalog::fork_root(stage, self.roots[base as usize], branch.id)?,
            None => catalog::empty_root(stage, branch.id, told.epoch)?,
        };
        let root = RootRef::new(arena, at);
        let (mut directory, mut names, mut pages) = (root.directory(), root.names(), root.len());
        let mut rules = root.rules();
        // Names first go, then come: one may have passed from one page to another.
        for &id in &told.gone {
            let page = root.page(id).ok_or(StateError::NoPage(id))?;
            let def = PageRef::new(arena, page).def();
            rules -= u64::from(!def.rule().is_empty());
            names = trie::remove(stage, names, name_key(def))?;
            directory = trie::remove(stage, directory, id.0)?;
            pages -= 1;
        }
        for &version in &told.pages {
            let def = record.versions[version as usize].def as usize;
            match root.page(record.defs[def].page).map(|page| PageRef::new(arena, page).def()) {
                Some(old) if old.at != self.defs[def] => {
                    rules -= u64::from(!old.rule().is_empty());
                    names = trie::remove(stage, names, name_key(old))?;
                }
                Some(_) => continue,
                None => pages += 1,
            }
            rules += u64::from(!record.defs[def].rule.is_empty());
        }
        for &version in &told.pages {
            names = self.name(stage, names, version)?;
            let page = self.version(stage, number, version)?;
            directory = trie::put(stage, directory, page)?;
        }
        let (epoch, position, counter) = (told.epoch, told.position, told.counter);
        let slots = RootSlots::of(root);
        let mut slots = RootSlots { epoch, position, pages, rules, directory, names, counter, ..slots };
        slots.set_merged(stage, &branch.came_in())?;
        catalog::write_root(arena, at, slots);
        Ok(at)
    }

    /// The names with that of a version's page.
    fn name(&mut self, stage: &mut Stage<'_>, names: Addr, version: u32) -> Result<Addr, CheckpointError> {
        let number = self.record.versions[version as usize].def as usize;
        let told = &self.record.defs[number];
        let known = self.defs[number];
        if is_null(known) {
            let schema = self.schemas[told.schema as usize];
            let def = catalog::define(stage, names, told.page, &told.name, schema, &told.rule)?;
            // The count that `define` adds for a version: each version takes its own.
            head(stage.arena(), def).release();
            self.defs[number] = def;
            return Ok(trie::put(stage, names, def)?);
        }
        match trie::get(stage.arena(), names, head(stage.arena(), known).key) {
            Some(there) if untag(there) == known => Ok(names),
            Some(_) => Err(StateError::NameCollision(told.name.clone()).into()),
            None => {
                stage.retain(known);
                Ok(trie::put(stage, names, known)?)
            }
        }
    }

    /// A version, for one parent more: that of a branch.
    fn version(
        &mut self,
        stage: &mut Stage<'_>,
        branch: usize,
        number: u32,
    ) -> Result<Addr, CheckpointError> {
        let known = self.versions[number as usize];
        if !is_null(known) {
            stage.retain(known);
            return Ok(known);
        }
        let record = self.record;
        let told = &record.versions[number as usize];
        let (def, schema) = (self.defs[told.def as usize], record.schema(told));
        stage.retain(def);
        let id = record.defs[told.def as usize].page;
        let at = version::create(stage, id, def, schema, told.rows, told.epoch)?;
        version::set_marks(stage.arena(), at, told.marks);
        if told.base.is_some_and(|base| is_null(self.versions[base as usize])) {
            return Err(CheckpointError::damaged("", "a version is told against one that no branch has"));
        }
        self.unread.add(stage.arena(), id, Version { number, branch, at });
        self.versions[number as usize] = at;
        Ok(at)
    }
}

fn name_key(def: DefRef<'_>) -> u64 {
    head(def.arena, def.at).key
}
