//! Where `unsafe` and the file system may be named, and that each `unsafe` says why it is right.

use crate::layers::Layers;
use crate::source::Source;

/// Files outside the allow-lists, reasons that are missing, and entries of the lists that nothing needs.
pub fn check(sources: &[Source], layers: &Layers) -> Vec<String> {
    let mut wrong = Vec::new();
    // A test that reaches under the API says so at its top, by allowing itself `unsafe_code`.
    for source in sources.iter().filter(|source| source.is_product()) {
        let listed = layers.unsafe_files.contains(&source.path);
        let uses = source.tokens.iter().any(|token| token.is("unsafe"));
        match (uses, listed) {
            (true, false) => {
                wrong.push(format!("{}: `unsafe` outside the files that layers.toml allows", source.path));
            }
            (false, true) => {
                wrong.push(format!("{}: allowed `unsafe` in layers.toml, uses none", source.path))
            }
            _ => {}
        }
        reasons(source, &mut wrong);
        file_system(source, layers, &mut wrong);
    }
    for path in layers.unsafe_files.iter().chain(&layers.file_system) {
        if !sources.iter().any(|source| source.path == *path) {
            wrong.push(format!("{path}: named in layers.toml, does not exist"));
        }
    }
    wrong
}

fn reasons(source: &Source, wrong: &mut Vec<String>) {
    let code: String = source.lexed.code.iter().collect();
    let comments: String = source.lexed.comments.iter().collect();
    let code: Vec<&str> = code.lines().map(str::trim).collect();
    let comments: Vec<&str> = comments.lines().map(str::trim).collect();
    for pair in source.tokens.windows(2) {
        let block = pair[0].is("unsafe") && (pair[1].is("{") || pair[1].is("impl"));
        if block && !has_reason(&code, &comments, pair[0].line - 1) {
            wrong.push(format!("{}: `unsafe` without a `SAFETY:` reason above it", source.place(&pair[0])));
        }
    }
}

/// Whether a reason stands on the line or above it, before the end of an earlier statement.
fn has_reason(code: &[&str], comments: &[&str], line: usize) -> bool {
    if comments[line].contains("SAFETY:") {
        return true;
    }
    for above in (0..line).rev() {
        if comments[above].contains("SAFETY:") {
            return true;
        }
        let nothing = code[above].is_empty() && comments[above].is_empty();
        if nothing || code[above].ends_with([';', '{', '}']) {
            return false;
        }
    }
    false
}

fn file_system(source: &Source, layers: &Layers, wrong: &mut Vec<String>) {
    let listed = layers.file_system.contains(&source.path);
    let named = source.tokens.iter().enumerate().find(|&(index, _)| names_file_system(source, index));
    match (named, listed) {
        (Some((_, token)), false) => wrong.push(format!(
            "{}: the file system outside the files that layers.toml allows",
            source.place(token)
        )),
        (None, true) => wrong.push(format!("{}: allowed files in layers.toml, names none", source.path)),
        _ => {}
    }
}

/// Whether `std::fs` or `rustix::fs` is named at this token, alone or in a group.
fn names_file_system(source: &Source, index: usize) -> bool {
    let tokens = &source.tokens;
    let library = tokens[index].is("std") || tokens[index].is("rustix");
    if !library || !tokens.get(index + 1).is_some_and(|token| token.is("::")) {
        return false;
    }
    match tokens.get(index + 2) {
        Some(open) if open.is("{") => {
            let end = crate::tokens::closing(tokens, index + 2);
            (index + 3..end).any(|at| tokens[at].is("fs") && !tokens[at - 1].is("::"))
        }
        Some(name) => name.is("fs"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::layers::Layers;
    use crate::source::Source;

    const FILE: &str = "rust/mmsb/src/memory/a.rs";

    fn violations(text: &str, unsafe_files: &[&str], file_system: &[&str]) -> Vec<String> {
        let own = |list: &[&str]| list.iter().map(|&path| path.to_owned()).collect();
        let layers =
            Layers { unsafe_files: own(unsafe_files), file_system: own(file_system), ..Layers::default() };
        check(&[Source::new(FILE, text)], &layers)
    }

    #[test]
    fn unsafe_needs_a_place_on_the_list() {
        let text = "// SAFETY: it is so.\nunsafe impl Send for A {}";
        assert_eq!(violations(text, &[FILE], &[]), [""; 0]);
        assert_eq!(violations(text, &[], &[]).len(), 1);
        assert_eq!(violations("#![deny(unsafe_code)] // unsafe", &[], &[]), [""; 0]);
    }

    #[test]
    fn tests_are_free() {
        let test = Source::new("rust/mmsb/tests/a.rs", "use std::fs;\nfn f() { unsafe { g() } }");
        assert_eq!(check(&[test], &Layers::default()), [""; 0]);
    }

    #[test]
    fn a_stale_entry_is_wrong() {
        assert!(violations("fn f() {}", &[FILE], &[])[0].contains("uses none"));
        assert!(violations("fn f() {}", &[], &[FILE])[0].contains("names none"));
        assert!(violations("fn f() {}", &["rust/gone.rs"], &[])[0].contains("does not exist"));
    }

    #[test]
    fn unsafe_needs_a_reason_of_its_own() {
        let right = [
            "fn f() {\n// SAFETY: so.\nunsafe { g() }\n}",
            "fn f() {\n// SAFETY: so,\n// and so.\nlet a =\nunsafe { g() };\n}",
            "fn f() {\nunsafe { g() } // SAFETY: so.\n}",
            "unsafe fn g();",
        ];
        for text in right {
            assert_eq!(violations(text, &[FILE], &[]), [""; 0], "{text}");
        }
        let wrong = [
            "fn f() {\nunsafe { g() }\n}",
            "fn f() {\n// SAFETY: so.\nlet a = 1;\nunsafe { g() }\n}",
            "fn f() {\n// SAFETY: so.\nunsafe { g() };\nunsafe { g() }\n}",
            "fn f() {\n\"SAFETY:\";\nunsafe { g() }\n}",
        ];
        for text in wrong {
            assert_eq!(violations(text, &[FILE], &[]).len(), 1, "{text}");
        }
    }

    #[test]
    fn the_file_system_needs_a_place_on_the_list() {
        let uses = [
            "use std::fs;",
            "use std::fs::File;",
            "use std::{fs::File, io};",
            "fn f() { rustix::fs::open(p) }",
        ];
        for text in uses {
            assert_eq!(violations(text, &[], &[FILE]), [""; 0], "{text}");
            assert_eq!(violations(text, &[], &[]).len(), 1, "{text}");
        }
        assert_eq!(violations("use std::{io, mem};\nlet fs = 1;", &[], &[]), [""; 0]);
    }
}
