//! The codes of errors: stable, unique, and each one explained in `docs/errors.md`.

use std::collections::BTreeSet;

use mmsb::bus::error::Code;

fn codes() -> BTreeSet<&'static str> {
    Code::ALL.iter().map(|code| code.as_str()).collect()
}

#[test]
fn each_code_has_a_text_of_its_own() {
    assert_eq!(codes().len(), Code::ALL.len());
    for code in codes() {
        assert!(code.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{code}");
    }
}

#[test]
fn the_documentation_explains_exactly_these() {
    let page = include_str!("../../../../docs/errors.md");
    let first_cells = page.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let explained: BTreeSet<&str> =
        first_cells.flat_map(|cell| cell.split(", ")).map(|code| code.trim_matches('`')).collect();
    assert_eq!(explained, codes());
}
