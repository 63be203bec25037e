//! Waiting in the core: a thread that is attached to the interpreter lets go of it meanwhile, so that whoever it waits for
//! can run Python.
#![allow(unsafe_code)]

use std::cell::Cell;

thread_local! {
    static ATTACHED: Cell<bool> = const { Cell::new(false) };
}

/// Has the core's waits let go of the interpreter; called when the module is loaded.
pub fn load() {
    mmsb::base::wait::set_aside(|work| {
        if !ATTACHED.replace(false) {
            return work();
        }
        // SAFETY: the flag says that this thread is attached. It attaches again before anything of Python's is touched,
        // also where the work panics.
        let _again = Again(unsafe { pyo3::ffi::PyEval_SaveThread() });
        work();
    });
}

/// Attaches again.
struct Again(*mut pyo3::ffi::PyThreadState);

impl Drop for Again {
    fn drop(&mut self) {
        // SAFETY: what this thread let go of, on the same thread.
        unsafe { pyo3::ffi::PyEval_RestoreThread(self.0) };
        ATTACHED.set(true);
    }
}

/// Does the core's work on a thread that stays attached, unless it has to wait.
pub fn attached<T>(work: impl FnOnce() -> T) -> T {
    let _before = Before(ATTACHED.replace(true));
    work()
}

/// Does Python's work in the midst of the core's: whatever it calls says for itself that it is attached.
pub fn python<T>(work: impl FnOnce() -> T) -> T {
    let _before = Before(ATTACHED.replace(false));
    work()
}

/// Puts back what the flag was.
struct Before(bool);

impl Drop for Before {
    fn drop(&mut self) {
        ATTACHED.set(self.0);
    }
}
