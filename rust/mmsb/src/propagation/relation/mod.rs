//! Relations: pages whose rows are rows of other pages: named by an index, chosen by a mask, found by a key; and what
//! becomes of the rows before each row.
//!
//! | relation | gives | a change costs |
//! |---|---|---|
//! | [`gather::Gather`] | row `i` is the source's row `index[i]`; -1 is zeros | its index rows, and the rows that name a changed source row: a search for each changed row, once the rows are sorted by what they name |
//! | [`filter::Filter`] | the rows whose bool is true, in order, and where they were | rows between the first and the last whose bool changed, to the end where as many are not kept as before; else the rows themselves |
//! | [`window::Window`] | a reduction of the last so many rows | as many rows again as the window has, three steps each |
//! | [`join::Join`] | each left row with the one right row of its key | changed left rows, and the left rows with the keys of changed right rows, as for gather |
//!
//! What is remembered only finds rows that may be new; the cells come from the inputs alone. So whatever was run before,
//! kept or not, a page has the bits that it would have made from nothing.

pub mod filter;
pub mod gather;
mod ints;
mod inverse;
pub mod join;
mod kept;
mod lookup;
mod rolling;
mod rows;
mod shape;
pub mod window;
