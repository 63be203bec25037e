//! What is handed in to say which: pages, epochs, states, names of operators.

use std::sync::Arc;

use mmsb::base::ids::{Epoch, PageId};
use mmsb::bus::error::{Code, Error};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyString};

use crate::bus::Bus;
use crate::error::{Fault, Outcome};
use crate::fork::Own;
use crate::handle::Origin;
use crate::page::Page;
use crate::state::{HeldState, Snapshot};

/// A string that UTF-8 can say.
pub fn text<'a>(given: &'a Bound<'_, PyString>) -> Outcome<&'a str> {
    given.to_str().map_err(|_| {
        let shown = given.repr().map_or_else(|_| "a string".into(), |shown| shown.to_string());
        Fault::invalid(format!("{shown} has half a surrogate pair, which is no text"))
    })
}

/// The name of an operator.
pub fn operator_name(given: &Bound<'_, PyAny>) -> Outcome<String> {
    match given.cast::<PyString>() {
        Ok(name) => Ok(text(name)?.to_owned()),
        Err(_) => Err(Fault::invalid(format!(
            "op {}: an operator is named by a string, as in op='add'",
            given.repr().map_or_else(|_| "?".into(), |shown| shown.to_string())
        ))),
    }
}

/// The id of a page as a number.
pub fn number_of(key: &Bound<'_, PyAny>) -> Outcome<PageId> {
    if !key.hasattr("__index__")? || key.is_instance_of::<PyBool>() {
        let kind = key.get_type().name()?;
        return Err(Fault::dtype(format!("a page is named by a string or an id, not {kind}")));
    }
    key.extract().map(PageId).map_err(|_| Fault::Core(Error::NoPageNamed(key.to_string())))
}

/// An epoch.
pub fn epoch_of(given: &Bound<'_, PyAny>) -> Outcome<Epoch> {
    let wrong = || Fault::Face(Code::EpochNotFound, format!("no epoch {given}"));
    if !given.hasattr("__index__")? || given.is_instance_of::<PyBool>() {
        return Err(Fault::dtype(format!("an epoch is an integer, not {}", given.get_type().name()?)));
    }
    Ok(Epoch(given.extract().map_err(|_| wrong())?))
}

impl Bus {
    /// The id of a page given as itself, its name or its id. A page of another branch means this branch's of its id.
    pub fn id_of(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> Outcome<PageId> {
        if let Ok(page) = key.cast::<Page>() {
            self.check_bus(page.get())?;
            return Ok(page.get().sheet.id);
        }
        if let Ok(name) = key.cast::<PyString>() {
            let name = text(name)?;
            return self.find(py, name)?.ok_or_else(|| Fault::Core(Error::NoPageNamed(name.into())));
        }
        number_of(key)
    }

    /// As `id_of`, for what changes a page: one of another branch is refused.
    pub fn own_id_of(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> Outcome<PageId> {
        let id = self.id_of(py, key)?;
        if let Ok(page) = key.cast::<Page>() {
            let (branch, sheet) = (self.handle.for_show().branch_name(), &page.get().sheet);
            let of = sheet.source.branch();
            if of != branch {
                let message = format!(
                    "page '{}' is of branch {of}, not of branch {branch}: take it from there",
                    sheet.name
                );
                return Err(Fault::invalid(message));
            }
        }
        Ok(id)
    }

    /// Refuses a page of another bus.
    fn check_bus(&self, page: &Page) -> Outcome<()> {
        let origin = page.sheet.source.origin();
        if origin.is_same_bus(&self.handle.origin()) {
            return Ok(());
        }
        let place = |origin: &Origin| origin.handle().map(|handle| handle.for_show().place());
        let (here, there) =
            (self.handle.for_show().place(), place(&origin).unwrap_or_else(|_| "that was closed".into()));
        Err(Fault::invalid(format!(
            "page '{}' is of another bus ({there}), not of this one ({here})",
            page.sheet.name
        )))
    }

    /// A state given as an epoch, a snapshot or another branch.
    pub fn state_of(&self, py: Python<'_>, given: &Bound<'_, PyAny>) -> Outcome<HeldState> {
        if let Ok(snapshot) = given.cast::<Snapshot>() {
            return Ok(Arc::new(snapshot.get().state()?));
        }
        if let Ok(bus) = given.cast::<Bus>() {
            return Ok(Arc::new(Own::new(Arc::new(bus.get().handle.bus()?.state()?))));
        }
        let epoch = epoch_of(given)?;
        let state = self.handle.long(py, |bus| bus.snapshot_at(epoch)?.state())?;
        Ok(Arc::new(Own::new(state)))
    }
}
