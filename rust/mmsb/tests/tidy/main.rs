//! The rules of the house, as tests: which way a room may look, how long a file may be, where `unsafe` may stand.
//!
//! Each rule is a sibling file and is tested there on planted violations; here they read the real sources. The lists
//! they go by are in `layers.toml`.

mod direction;
mod layers;
mod lexer;
mod safety;
mod shape;
mod size;
mod source;
mod tokens;

use std::fs;

use layers::Layers;

fn real_layers() -> Layers {
    let path = source::repository().join("layers.toml");
    Layers::parse(&fs::read_to_string(path).expect("layers.toml is readable"))
}

fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} broken:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_room_names_only_rooms_below_it() {
    none(&direction::check(&source::all(), &real_layers()));
}

#[test]
fn files_and_functions_are_short() {
    none(&size::check(&source::all()));
}

#[test]
fn unsafe_and_the_file_system_stay_where_they_are_allowed() {
    none(&safety::check(&source::all(), &real_layers()));
}

#[test]
fn every_file_says_what_it_is_and_is_reached() {
    none(&shape::check(&source::all(), &real_layers()));
}

#[test]
fn the_sources_are_found() {
    let sources = source::all();
    let rooms: Vec<&str> = sources.iter().filter_map(source::Source::room).collect();
    for room in real_layers().rooms {
        assert!(rooms.contains(&room.as_str()), "the room `{room}` of layers.toml has no file");
    }
}

#[test]
fn the_core_knows_nothing_of_python() {
    let manifest = source::repository().join("rust/mmsb/Cargo.toml");
    let manifest = fs::read_to_string(manifest).expect("the manifest is readable");
    assert!(
        !manifest.contains("pyo3"),
        "the crate `mmsb` is useful without Python; the binding is `mmsb-python`"
    );
}
