//! The project's Rust files, read and taken apart once for all rules.

use std::fs;
use std::path::{Path, PathBuf};

use crate::lexer::{Lexed, lex};
use crate::tokens::{Token, item_end, tokens};

/// One Rust file.
pub struct Source {
    /// From the top of the repository, with `/` between.
    pub path: String,
    pub text: String,
    pub lexed: Lexed,
    pub tokens: Vec<Token>,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Source {
        let lexed = lex(text);
        let tokens = tokens(&lexed);
        Source { path: path.into(), text: text.into(), lexed, tokens }
    }

    /// The room of a file of the core: the first folder, or the file itself, under `src`.
    pub fn room(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("rust/mmsb/src/")?;
        let room = inside.split('/').next()?;
        let room = room.strip_suffix(".rs").unwrap_or(room);
        (room != "lib").then_some(room)
    }

    /// Whether the file is part of the product rather than of its tests, benches or examples.
    pub fn is_product(&self) -> bool {
        self.path.split('/').nth(2) == Some("src")
    }

    /// Names the place of a token for a message.
    pub fn place(&self, token: &Token) -> String {
        format!("{}:{}", self.path, token.line)
    }

    /// The ranges of tokens, first and last, of items under `#[cfg(test)]`.
    pub fn test_items(&self) -> Vec<(usize, usize)> {
        let mut items = Vec::new();
        let marker = ["#", "[", "cfg", "(", "test", ")", "]"];
        let mut index = 0;
        while index + marker.len() < self.tokens.len() {
            if marker.iter().zip(&self.tokens[index..]).all(|(text, token)| token.is(text)) {
                let mut start = index + marker.len();
                while self.tokens[start].is("#") {
                    start = crate::tokens::closing(&self.tokens, start + 1) + 1;
                }
                let end = item_end(&self.tokens, start);
                items.push((index, end));
                index = end;
            }
            index += 1;
        }
        items
    }

    /// Lines of the file without its tests.
    pub fn lines(&self) -> usize {
        let in_tests: usize = self
            .test_items()
            .iter()
            .map(|&(first, last)| self.tokens[last].line - self.tokens[first].line + 1)
            .sum();
        self.text.lines().count() - in_tests
    }
}

/// The top of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the crate lies in the repository")
}

/// Every Rust file of the workspace, in order of path.
pub fn all() -> Vec<Source> {
    let top = repository();
    let mut paths = Vec::new();
    collect(&top.join("rust"), &mut paths);
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let text = fs::read_to_string(path).expect("a source file is readable text");
            let inside = path.strip_prefix(&top).expect("found under the top");
            Source::new(&inside.to_string_lossy(), &text)
        })
        .collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources is readable") {
        let path = entry.expect("an entry is readable").path();
        if path.is_dir() {
            if !path.ends_with("target") {
                collect(&path, paths);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}
