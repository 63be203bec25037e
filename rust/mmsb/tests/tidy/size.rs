//! How long a file and a function may be.

use crate::source::Source;
use crate::tokens::item_end;

const FILE: usize = 500;
const MOD_FILE: usize = 120;
const FUNCTION: usize = 70;

/// Files and functions longer than their cap. Unit tests do not count towards their file.
pub fn check(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for source in sources {
        // Helpers that tests share lie in a `mod.rs` because cargo takes every other file for a test.
        let is_mod = source.is_product() && source.path.ends_with("/mod.rs");
        let cap = if is_mod { MOD_FILE } else { FILE };
        let lines = source.lines();
        if lines > cap {
            wrong.push(format!("{}: {lines} lines without its tests, the cap is {cap}", source.path));
        }
        functions(source, &mut wrong);
    }
    wrong
}

fn functions(source: &Source, wrong: &mut Vec<String>) {
    for (index, token) in source.tokens.iter().enumerate() {
        // `fn(u8) -> u8` is a type: no name follows.
        let Some(name) = source.tokens.get(index + 1).filter(|next| token.is("fn") && next.is_word()) else {
            continue;
        };
        let lines = source.tokens[item_end(&source.tokens, index)].line - token.line + 1;
        if lines > FUNCTION {
            wrong.push(format!(
                "{}: `{}` has {lines} lines, the cap is {FUNCTION}",
                source.place(token),
                name.text
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::source::Source;

    fn violations(path: &str, text: &str) -> Vec<String> {
        check(&[Source::new(path, text)])
    }

    #[test]
    fn a_file_at_its_cap_is_right_and_one_line_more_is_wrong() {
        assert!(violations("rust/mmsb/src/page/a.rs", &"\n".repeat(500)).is_empty());
        assert_eq!(violations("rust/mmsb/src/page/a.rs", &"\n".repeat(501)).len(), 1);
        assert!(violations("rust/mmsb/src/page/mod.rs", &"\n".repeat(120)).is_empty());
        assert_eq!(violations("rust/mmsb/src/page/mod.rs", &"\n".repeat(121)).len(), 1);
    }

    #[test]
    fn tests_do_not_count_towards_the_file() {
        let tests = format!("#[cfg(test)]\n#[allow(x)]\nmod tests {{\n{}}}\n", "\n".repeat(300));
        assert!(violations("rust/mmsb/src/page/a.rs", &("\n".repeat(400) + &tests)).is_empty());
        assert_eq!(violations("rust/mmsb/src/page/a.rs", &("\n".repeat(501) + &tests)).len(), 1);
    }

    #[test]
    fn a_function_at_its_cap_is_right_and_one_line_more_is_wrong() {
        let function = |lines: usize| format!("fn f(\n) -> [u8; 2] {{{}}}\nfn g();", "\n".repeat(lines - 2));
        assert!(violations("rust/mmsb/src/page/a.rs", &function(70)).is_empty());
        let found = violations("rust/mmsb/src/page/a.rs", &function(71));
        assert_eq!(found, ["rust/mmsb/src/page/a.rs:1: `f` has 71 lines, the cap is 70"]);
    }

    #[test]
    fn braces_in_strings_do_not_end_a_function() {
        let text = format!("fn f() {{ let s = \"}}\"; let c = '}}';{} }}", "\n".repeat(80));
        assert_eq!(violations("rust/mmsb/src/page/a.rs", &text).len(), 1);
    }

    #[test]
    fn a_declaration_and_a_function_type_have_no_body() {
        let text = format!("trait T {{ fn f(x: fn(u8) -> u8); {} }}", "\n".repeat(80));
        assert!(violations("rust/mmsb/src/page/a.rs", &text).is_empty());
    }
}
