//! What every file has: a first line that says what it is, a module that reaches it, nothing left unfinished.

use std::collections::BTreeSet;

use crate::layers::Layers;
use crate::source::Source;

/// Files without a first line, rooms that do not name their layer, files that nothing reaches, unfinished marks.
pub fn check(sources: &[Source], layers: &Layers) -> Vec<String> {
    let mut wrong = Vec::new();
    for source in sources {
        first_line(source, layers, &mut wrong);
        marks(source, &mut wrong);
    }
    let programs = sources.iter().map(|source| source.path.as_str()).filter(|path| is_program(path));
    for root in ["rust/mmsb/src/lib.rs", "rust/mmsb-python/src/lib.rs"].into_iter().chain(programs) {
        unreached(root, sources, &mut wrong);
    }
    wrong
}

fn first_line(source: &Source, layers: &Layers, wrong: &mut Vec<String>) {
    let line = source.text.lines().next().unwrap_or("");
    if line.strip_prefix("//! ").is_none_or(|words| words.len() <= 10) {
        wrong.push(format!("{}: the first line does not say what the file is (`//! ...`)", source.path));
    }
    for room in &layers.rooms {
        if source.path == format!("rust/mmsb/src/{room}/mod.rs") && !line.contains(&format!("({room}): ")) {
            wrong.push(format!("{}: the first line does not name its layer, `({room}): ...`", source.path));
        }
    }
}

fn marks(source: &Source, wrong: &mut Vec<String>) {
    // Put together here, so that this file does not hold them.
    let unfinished = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    for (number, line) in source.text.lines().enumerate() {
        if unfinished.iter().any(|mark| line.contains(mark)) {
            wrong.push(format!("{}:{}: an unfinished mark", source.path, number + 1));
        }
    }
}

/// Whether a file lists the tests of a program that has a folder.
fn is_program(path: &str) -> bool {
    path.starts_with("rust/mmsb/tests/") && path.ends_with("/main.rs")
}

fn unreached(root: &str, sources: &[Source], wrong: &mut Vec<String>) {
    let mut reached = BTreeSet::new();
    let mut open = vec![root.to_owned()];
    while let Some(path) = open.pop() {
        if let Some(source) = sources.iter().find(|source| source.path == path)
            && reached.insert(path)
        {
            open.extend(children(source));
        }
    }
    let folder = root.trim_end_matches("lib.rs").trim_end_matches("main.rs");
    for source in sources {
        if source.path.starts_with(folder) && !reached.contains(&source.path) {
            wrong.push(format!("{}: no `mod` reaches this file", source.path));
        }
    }
}

/// The files that the `mod name;` of a file may mean.
fn children(source: &Source) -> Vec<String> {
    let (folder, name) = source.path.rsplit_once('/').expect("a path has folders");
    let folder = match name {
        "lib.rs" | "main.rs" | "mod.rs" => folder.to_owned(),
        _ => format!("{folder}/{}", name.trim_end_matches(".rs")),
    };
    let declared = source.tokens.windows(3).filter(|three| three[0].is("mod") && three[2].is(";"));
    declared
        .flat_map(|three| {
            let name = &three[1].text;
            [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::layers::Layers;
    use crate::source::Source;

    const FIRST: &str = "//! A file that says what it is.\n";

    fn violations(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<Source> = files.iter().map(|(path, text)| Source::new(path, text)).collect();
        check(&sources, &Layers { rooms: vec!["page".into()], ..Layers::default() })
    }

    #[test]
    fn the_first_line_says_what_the_file_is() {
        for text in ["", "use a;", "//!", "//! Short", "// A comment that documents nothing."] {
            assert_eq!(violations(&[("rust/mmsb/tests/a.rs", text)]).len(), 1, "{text}");
        }
        assert_eq!(violations(&[("rust/mmsb/tests/a.rs", FIRST)]), [""; 0]);
    }

    #[test]
    fn a_room_names_its_layer() {
        let lib = ("rust/mmsb/src/lib.rs", "//! The library, whole.\nmod page;");
        let right = "//! Layer 1 (page): typed pages.";
        assert_eq!(violations(&[lib, ("rust/mmsb/src/page/mod.rs", right)]), [""; 0]);
        assert_eq!(violations(&[lib, ("rust/mmsb/src/page/mod.rs", FIRST)]).len(), 1);
    }

    #[test]
    fn an_unreached_file_is_wrong() {
        let lib = (
            "rust/mmsb/src/lib.rs",
            "//! The library, whole.\npub mod a;\n// mod c;\nconst D: &str = \"mod d;\";",
        );
        let a = ("rust/mmsb/src/a.rs", "//! A file with a child.\nmod b;");
        let b = ("rust/mmsb/src/a/b.rs", FIRST);
        assert_eq!(violations(&[lib, a, b]), [""; 0]);
        for path in
            ["rust/mmsb/src/c.rs", "rust/mmsb/src/d.rs", "rust/mmsb/src/b.rs", "rust/mmsb-python/src/a.rs"]
        {
            assert_eq!(violations(&[lib, a, b, (path, FIRST)]).len(), 1, "{path}");
        }
    }

    #[test]
    fn a_test_that_no_program_has_is_wrong() {
        let main = ("rust/mmsb/tests/room/main.rs", "//! The tests of a room.\nmod a;\nmod model;");
        let a = ("rust/mmsb/tests/room/a.rs", FIRST);
        let model = ("rust/mmsb/tests/room/model/mod.rs", FIRST);
        let own = [("rust/mmsb/tests/alone.rs", FIRST), ("rust/mmsb/tests/shared/mod.rs", FIRST)];
        assert_eq!(violations(&[main, a, model, own[0], own[1]]), [""; 0]);
        for path in ["rust/mmsb/tests/room/b.rs", "rust/mmsb/tests/room/model/deeper.rs"] {
            assert_eq!(violations(&[main, a, model, (path, FIRST)]).len(), 1, "{path}");
        }
    }

    #[test]
    fn unfinished_marks_are_wrong() {
        let text = format!("{FIRST}// {}: later\n", concat!("TO", "DO"));
        assert_eq!(violations(&[("rust/mmsb/tests/a.rs", &text)]).len(), 1);
    }
}
