//! Posts: changes that many threads hand over without waiting for anybody, and one collects into one commit.
//!
//! A commit waits for the one writer; a thread that must not wait, a sensor or a worker, posts instead. What was posted is
//! in no state and no log until somebody collects it, and is put in order then by who posted it and as the how-manieth, never
//! by when it arrived: the same posts make the same commit, however the threads ran.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use crate::base::ids::PageId;
use crate::base::inbox::Inbox;
use crate::base::limits::POSTED_MAX;
use crate::base::wait::aside;
use crate::bus::commit::{Change, Committed, commit_with};
use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::bus::handle::Bus;
use crate::bus::line::Line;
use crate::bus::options::Note;
use crate::bus::validate::fits;
use crate::memory::addr::Addr;
use crate::page::catalog::RootRef;
use crate::page::delta::{Data, Delta, Part};
use crate::page::schema;
use crate::page::select::Select;
use crate::page::state_error::StateError;
use crate::page::version::PageRef;

/// Producers that a commit's source names at most, where nobody says what it is.
const NAMED: usize = 4;

/// What was posted on a branch and is in no commit yet.
#[derive(Debug)]
pub(crate) struct Posts {
    inbox: Inbox<Post>,
    /// What was taken out of that for a commit that was refused; locked by who collects.
    kept: Mutex<Vec<Post>>,
    /// By name.
    sources: Mutex<BTreeMap<String, Arc<Source>>>,
}

/// Who posts.
#[derive(Debug)]
struct Source {
    name: String,
    /// How many posts it made.
    posts: AtomicU64,
    /// How many of them were not collected yet, and their bytes.
    waiting: AtomicU64,
    bytes: AtomicU64,
    /// So many bytes may wait.
    limit: AtomicU64,
}

/// One delta that was handed over.
#[derive(Debug)]
struct Post {
    source: Arc<Source>,
    number: u64,
    delta: Delta<'static>,
}

/// Whoever hands over changes of a branch, by [`Bus::post`].
///
/// Posts of one producer are applied in the order in which they were made. Where several threads use it at once that
/// is the order in which they came, but for those that one is in the midst of handing over while another collects.
#[derive(Clone, Debug)]
pub struct Producer {
    line: Arc<Line>,
    source: Arc<Source>,
}

/// What becomes of posts that do not fit their page any more when they are collected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnRefused {
    /// Nothing is committed, and all of them wait on.
    #[default]
    Raise,
    /// They are left out, and told of.
    Drop,
}

/// A post that did not fit its page any more, and was left out.
#[derive(Debug)]
pub struct Refused {
    /// Who posted it.
    pub producer: String,
    /// As the how-manieth, from 0 on.
    pub number: u64,
    /// The page it was for.
    pub page: PageId,
    /// Why it does not fit.
    pub why: Error,
}

/// What was collected.
#[derive(Debug, Default)]
pub struct Collected {
    /// The commit; `None` where there was nothing to commit.
    pub committed: Option<Committed>,
    /// How many posts are in it.
    pub posts: usize,
    /// Those that were left out.
    pub refused: Vec<Refused>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Posts {
    pub fn new() -> Self {
        Posts { inbox: Inbox::new(), kept: Mutex::default(), sources: Mutex::default() }
    }

    /// What is to be collected, for one at a time who collects.
    fn collecting(&self, timeout: Duration) -> Result<MutexGuard<'_, Vec<Post>>, Error> {
        let mut kept = match self.kept.try_lock() {
            Ok(kept) => kept,
            Err(TryLockError::Poisoned(kept)) => kept.into_inner(),
            Err(TryLockError::WouldBlock) => aside(|| self.wait(timeout))?,
        };
        kept.extend(self.inbox.take());
        kept.sort_by(|a, b| (&a.source.name, a.number).cmp(&(&b.source.name, b.number)));
        Ok(kept)
    }

    fn wait(&self, timeout: Duration) -> Result<MutexGuard<'_, Vec<Post>>, Error> {
        let end = Instant::now().checked_add(timeout);
        loop {
            match self.kept.try_lock() {
                Ok(kept) => return Ok(kept),
                Err(TryLockError::Poisoned(kept)) => return Ok(kept.into_inner()),
                Err(TryLockError::WouldBlock) => {}
            }
            if end.is_some_and(|end| Instant::now() >= end) {
                let by = "another thread is collecting".into();
                return Err(Error::Busy { seconds: timeout.as_secs_f64(), by });
            }
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    /// Forgets all: their branch is gone.
    pub fn forget(&self) {
        drop((
            self.inbox.take(),
            std::mem::take(&mut *lock(&self.kept)),
            std::mem::take(&mut *lock(&self.sources)),
        ));
    }
}

impl Producer {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.source.name
    }

    /// How many of its posts nobody collected so far.
    pub fn waiting(&self) -> u64 {
        self.source.waiting.load(Ordering::Relaxed)
    }

    /// How many posts it made.
    pub fn posts(&self) -> u64 {
        self.source.posts.load(Ordering::Relaxed)
    }
}

impl Bus {
    /// Who hands over changes of this branch under a name: the same one for the same name. `limit` is how many bytes of its
    /// posts may wait to be collected; by default [`POSTED_MAX`], or what the producer has already.
    pub fn producer(&self, name: &str, limit: Option<u64>) -> Result<Producer, Error> {
        self.writable()?;
        schema::check_name(name)?;
        let mut sources = lock(&self.line().posts.sources);
        let source = sources.entry(name.into()).or_insert_with(|| {
            let count = AtomicU64::default;
            let limit = AtomicU64::new(POSTED_MAX);
            Arc::new(Source { name: name.into(), posts: count(), waiting: count(), bytes: count(), limit })
        });
        if let Some(limit) = limit {
            source.limit.store(limit, Ordering::Relaxed);
        }
        Ok(Producer { line: Arc::clone(self.line()), source: Arc::clone(source) })
    }

    /// Hands over a delta without waiting for anybody; which of the producer's posts it is, from 0 on. It is checked against
    /// the page as that is now.
    pub fn post(&self, producer: &Producer, delta: Delta<'_>) -> Result<u64, Error> {
        self.writable()?;
        let (core, source) = (self.core(), &producer.source);
        if !Arc::ptr_eq(&producer.line, self.line()) {
            let (here, there) = (self.branch_name(), &producer.line.name);
            let message = format!("producer '{}' posts on branch '{there}', not on '{here}'", source.name);
            return Err(Error::Invalid(message));
        }
        let (pin, root) = core.pin(&producer.line)?;
        check(core, root, &delta)?;
        drop(pin);
        let bytes = bytes_of(&delta);
        let before = source.bytes.fetch_add(bytes, Ordering::Relaxed);
        let limit = source.limit.load(Ordering::Relaxed);
        if before.saturating_add(bytes) > limit {
            source.bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(Error::Posted { producer: source.name.clone(), waiting: before, bytes, limit });
        }
        source.waiting.fetch_add(1, Ordering::Relaxed);
        let number = source.posts.fetch_add(1, Ordering::Relaxed);
        let post = Post { source: Arc::clone(source), number, delta: delta.into_owned() };
        producer.line.posts.inbox.put(post);
        Ok(number)
    }

    /// Commits what was posted on this branch so far, as one epoch, in the order of the producers' names and of each one's
    /// posts. Where the note has no source, their names are it. After an error all of it waits on.
    pub fn collect(&self, on_refused: OnRefused, note: &Note) -> Result<Collected, Error> {
        self.writable()?;
        let mut posts = self.line().posts.collecting(self.manner().busy_timeout)?;
        let collected = self.commit_posts(&posts, on_refused, note)?;
        posts.drain(..).for_each(|post| post.is_through());
        Ok(collected)
    }

    fn commit_posts(&self, posts: &[Post], on_refused: OnRefused, note: &Note) -> Result<Collected, Error> {
        let mut collected = Collected::default();
        if posts.is_empty() {
            return Ok(collected);
        }
        // What lies on disk still is read while others can commit.
        let state = self.state()?;
        posts.iter().try_for_each(|post| state.page_if(post.delta.page).map(drop))?;
        drop(state);
        let (core, mut changes, mut names) = (self.core(), Composed::default(), Vec::new());
        // Nobody changes a page between its check and the commit.
        let writer = core.writer_within(self.manner().busy_timeout)?;
        for post in posts {
            let root = self.line().appended()?;
            match check(core, root, &post.delta) {
                Ok(()) => {
                    changes.add(core, root, &post.delta)?;
                    names.push(&*post.source.name);
                }
                Err(why) if on_refused == OnRefused::Drop => collected.refused.push(post.refused(why)),
                Err(why) => return Err(post.error(why)),
            }
        }
        collected.posts = names.len();
        if !names.is_empty() {
            let source = note.source.clone().unwrap_or_else(|| who(names));
            let note = Note { source: Some(source), ..note.clone() };
            let request = self.request(&changes.changes, &note);
            collected.committed = Some(commit_with(core, writer, &request)?);
        }
        Ok(collected)
    }
}

impl Post {
    fn is_through(&self) {
        self.source.waiting.fetch_sub(1, Ordering::Relaxed);
        self.source.bytes.fetch_sub(bytes_of(&self.delta), Ordering::Relaxed);
    }

    fn refused(&self, why: Error) -> Refused {
        Refused { producer: self.source.name.clone(), number: self.number, page: self.delta.page, why }
    }

    fn error(&self, source: Error) -> Error {
        Error::Post { producer: self.source.name.clone(), number: self.number, source: Box::new(source) }
    }
}

/// The names of those who posted, the first ones; they are sorted.
fn who(mut names: Vec<&str>) -> String {
    names.dedup();
    let others = names.split_off(names.len().min(NAMED));
    match others.len() {
        0 => names.join(", "),
        others => format!("{} and {others} more", names.join(", ")),
    }
}

/// Changes of a commit: deltas of different pages may change places, and those of one page that follow one another with
/// the same operator become one.
#[derive(Default)]
struct Composed<'p> {
    changes: Vec<Change<'p>>,
    /// By page, its newest change.
    newest: HashMap<PageId, usize>,
}

impl<'p> Composed<'p> {
    /// Adds a delta that fits its page.
    fn add(&mut self, core: &Core, root: Addr, delta: &'p Delta<'static>) -> Result<(), Error> {
        let parts = delta.parts.iter().map(borrowed);
        let newest = self.newest.get(&delta.page).map(|&at| &mut self.changes[at]);
        match newest {
            Some(Change::Write(before)) if before.op == delta.op => {
                let schema = core.schemas.of(page_at(core, root, delta.page)?.def());
                let operator = core.operators.get(delta.op)?;
                parts.for_each(|part| before.add(part, schema, operator));
            }
            _ => {
                self.newest.insert(delta.page, self.changes.len());
                let delta = Delta { page: delta.page, op: delta.op, parts: parts.collect() };
                self.changes.push(Change::Write(delta));
            }
        }
        Ok(())
    }
}

fn borrowed<'p>(part: &'p Part<'static>) -> Part<'p> {
    let data = match &part.data {
        Data::Dense(bytes) => Data::Dense(bytes.as_ref().into()),
        Data::Fill(bytes) => Data::Fill(bytes.as_ref().into()),
    };
    Part { column: part.column, select: part.select.clone(), data }
}

/// Fails where a delta cannot be written to its page as the state at a root has it, which stays meanwhile.
fn check(core: &Core, root: Addr, delta: &Delta<'_>) -> Result<(), Error> {
    let page = page_at(core, root, delta.page)?;
    if !page.def().rule().is_empty() {
        return Err(Error::Follows(page.def().name().into()));
    }
    fits(core, page, delta)
}

fn page_at(core: &Core, root: Addr, page: PageId) -> Result<PageRef<'_>, Error> {
    let at = RootRef::new(&core.arena, root).page(page).ok_or(StateError::NoPage(page))?;
    Ok(PageRef::new(&core.arena, at))
}

/// Bytes that a post takes while it waits.
fn bytes_of(delta: &Delta<'_>) -> u64 {
    let cells = |part: &Part<'_>| match &part.select {
        Select::Cells(cells) => cells.len() * size_of::<u64>(),
        Select::Rows { .. } => 0,
    };
    let parts = delta.parts.iter().map(|part| size_of::<Part<'_>>() + part.data.bytes().len() + cells(part));
    (size_of::<Post>() + parts.sum::<usize>()) as u64
}
