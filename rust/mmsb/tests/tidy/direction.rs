//! Which way a file may look: a room names only the rooms below it, each by its full path.

use crate::layers::Layers;
use crate::source::Source;
use crate::tokens::{Token, closing};

/// Rooms that name a room above them, names taken through the crate root, and stars.
pub fn check(sources: &[Source], layers: &Layers) -> Vec<String> {
    let mut wrong = Vec::new();
    for source in sources {
        if let Some(room) = source.room() {
            match layers.height(room) {
                Some(height) => in_core(source, height, layers, &mut wrong),
                None => wrong.push(format!("{}: the room `{room}` is not in layers.toml", source.path)),
            }
        }
        root_names(source, layers, &mut wrong);
    }
    wrong
}

fn in_core(source: &Source, height: usize, layers: &Layers, wrong: &mut Vec<String>) {
    let tests = source.test_items();
    for (index, token) in source.tokens.iter().enumerate() {
        let place = source.place(token);
        if token.is("crate") && follows(source, index, "::") {
            let named = &source.tokens[index + 2];
            match layers.height(&named.text) {
                Some(other) if other > height => wrong.push(format!(
                    "{place}: `{}` names `{}`, a room above it",
                    layers.rooms[height], named.text
                )),
                Some(_) if star(&source.tokens[index..]) => {
                    wrong.push(format!("{place}: a star import of `{}` hides what is used", named.text));
                }
                Some(_) => {}
                None => wrong.push(format!(
                    "{place}: `crate::{}` goes through the crate root; write the full path",
                    named.text
                )),
            }
        }
        if token.is("super") && climbs(&source.tokens, index) > depth(source, index) {
            wrong.push(format!("{place}: `super` climbs out of its room; write the full path"));
        }
        let in_tests = tests.iter().any(|&(first, last)| (first..=last).contains(&index));
        if token.is("super") && star(&source.tokens[index..]) && !in_tests {
            wrong.push(format!("{place}: `super::*` hides what is used"));
        }
    }
}

/// The binding, the tests and the examples take names from rooms too, not from the crate root.
fn root_names(source: &Source, layers: &Layers, wrong: &mut Vec<String>) {
    for (index, token) in source.tokens.iter().enumerate() {
        let starts = index == 0 || !source.tokens[index - 1].is("::");
        if token.is("mmsb") && starts && follows(source, index, "::") {
            let named = &source.tokens[index + 2];
            if layers.height(&named.text).is_none() {
                wrong.push(format!(
                    "{}: `mmsb::{}` goes through the crate root; write the full path",
                    source.place(token),
                    named.text
                ));
            }
        }
        if token.is("mod") && source.tokens.get(index + 1).is_some_and(|name| name.is("prelude")) {
            wrong.push(format!("{}: a prelude hides where names come from", source.place(token)));
        }
    }
}

fn follows(source: &Source, index: usize, text: &str) -> bool {
    source.tokens.get(index + 1).is_some_and(|token| token.is(text)) && index + 2 < source.tokens.len()
}

/// Whether the path that begins here ends in a star.
fn star(path: &[Token]) -> bool {
    let mut index = 0;
    while path.get(index + 1).is_some_and(|token| token.is("::")) {
        index += 2;
    }
    path.get(index).is_some_and(|token| token.is("*")) && index > 0
}

/// How many `super` stand in a row from `index`; zero inside such a row.
fn climbs(tokens: &[Token], index: usize) -> usize {
    if index >= 2 && tokens[index - 2].is("super") {
        return 0;
    }
    tokens[index..].iter().step_by(2).take_while(|token| token.is("super")).count()
}

/// How many `super` stay inside the room at this token: one for each module around it below the room.
fn depth(source: &Source, at: usize) -> usize {
    let inside = source.path.strip_prefix("rust/mmsb/src/").unwrap_or(&source.path);
    let files = inside.trim_end_matches(".rs").trim_end_matches("/mod").split('/').count() - 1;
    let inline = (0..at)
        .filter(|&index| {
            source.tokens[index].is("mod") && source.tokens.get(index + 2).is_some_and(|t| t.is("{"))
        })
        .filter(|&index| closing(&source.tokens, index + 2) > at)
        .count();
    files + inline
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::layers::Layers;
    use crate::source::Source;

    fn violations(path: &str, text: &str) -> Vec<String> {
        let layers = Layers { rooms: vec!["base".into(), "page".into(), "bus".into()], ..Layers::default() };
        check(&[Source::new(path, text)], &layers)
    }

    #[test]
    fn looking_down_is_right() {
        let text = "use crate::base::ids::Seq;\nfn f() { crate::page::x(); super::y() }\n";
        assert_eq!(violations("rust/mmsb/src/page/delta.rs", text), [""; 0]);
        let tests = "#[cfg(test)]\nmod tests { use super::*; use super::super::error::E; }";
        assert_eq!(violations("rust/mmsb/src/page/delta.rs", tests), [""; 0]);
    }

    #[test]
    fn looking_up_is_wrong() {
        let found = violations("rust/mmsb/src/base/ids.rs", "fn f() {\n    crate::page::x() }");
        assert_eq!(found, ["rust/mmsb/src/base/ids.rs:2: `base` names `page`, a room above it"]);
        let found = violations("rust/mmsb/src/page/a/b.rs", "use super::super::super::bus::Bus;");
        assert!(found[0].contains("climbs out"), "{found:?}");
        let found = violations("rust/mmsb/src/page/a.rs", "mod inner { use super::super::super::bus::Bus; }");
        assert!(found[0].contains("climbs out"), "{found:?}");
    }

    #[test]
    fn words_of_strings_and_comments_do_not_count() {
        let text = "// crate::bus::Bus\nconst A: &str = \"crate::bus::Bus\";";
        assert_eq!(violations("rust/mmsb/src/base/ids.rs", text), [""; 0]);
    }

    #[test]
    fn the_crate_root_is_no_short_cut() {
        for text in ["use crate::Seq;", "use crate::{base, page};", "type A = crate :: Seq;"] {
            assert_eq!(violations("rust/mmsb/src/page/a.rs", text).len(), 1, "{text}");
        }
        assert_eq!(violations("rust/mmsb-python/src/lib.rs", "use mmsb::Seq;").len(), 1);
        assert_eq!(violations("rust/mmsb-python/src/lib.rs", "use mmsb::base::ids::Seq;"), [""; 0]);
    }

    #[test]
    fn stars_and_preludes_are_wrong() {
        assert_eq!(violations("rust/mmsb/src/page/a.rs", "use crate::base::ids::*;").len(), 1);
        assert_eq!(violations("rust/mmsb/src/page/a.rs", "use super::*;").len(), 1);
        assert_eq!(violations("rust/mmsb/src/page/a.rs", "pub mod prelude;").len(), 1);
    }

    #[test]
    fn an_unlisted_room_is_wrong() {
        assert!(violations("rust/mmsb/src/attic/mod.rs", "")[0].contains("not in layers.toml"));
    }
}
