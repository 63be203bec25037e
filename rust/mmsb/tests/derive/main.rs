//! Pages that follow from others, through a bus.
#![allow(clippy::unwrap_used)]

mod basics;
mod common;
mod deferred;
mod edges;
mod functions;
mod large;
mod lazy;
mod oracles;
mod posts;
mod seeing;
mod small;
mod threads;
mod threads_rules;
