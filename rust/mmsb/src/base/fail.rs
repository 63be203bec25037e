//! Points at which a test has its process die, as if it were killed there. Nothing is left of them without the feature
//! `failpoints`, which only this crate's own tests turn on.

/// Dies here where `MMSB_FAIL` is `NAME:N` and this is the N-th time that the point of that name is reached.
#[inline(always)]
pub fn at(name: &'static str) {
    #[cfg(feature = "failpoints")]
    points::reach(name);
    #[cfg(not(feature = "failpoints"))]
    let _ = name;
}

#[cfg(feature = "failpoints")]
mod points {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Wanted {
        name: String,
        left: AtomicU64,
    }

    fn wanted() -> Option<&'static Wanted> {
        static WANTED: OnceLock<Option<Wanted>> = OnceLock::new();
        let find = || {
            let (name, times) =
                std::env::var("MMSB_FAIL").ok()?.rsplit_once(':').map(|(n, t)| (n.to_owned(), t.parse()))?;
            Some(Wanted { name, left: AtomicU64::new(times.ok()?) })
        };
        WANTED.get_or_init(find).as_ref()
    }

    pub fn reach(name: &'static str) {
        let Some(wanted) = wanted().filter(|wanted| wanted.name == name) else { return };
        if wanted.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            // Nothing is run on the way out: no destructor, no handler, no other thread.
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            loop {
                std::thread::park();
            }
        }
    }
}
