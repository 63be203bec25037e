//! Splits Rust source into what is code and what is comment, without parsing it.
//!
//! Both come back in the shape of the source, one character for one character, so that a line number in either is a
//! line number in the file. What strings and character literals hold is in neither: a brace in a string is not a brace.

/// A source file, taken apart.
pub struct Lexed {
    /// The source with everything blanked that is not code.
    pub code: Vec<char>,
    /// The source with everything blanked that is not comment.
    pub comments: Vec<char>,
}

/// Takes `source` apart.
pub fn lex(source: &str) -> Lexed {
    let chars: Vec<char> = source.chars().collect();
    let mut lexer = Lexer {
        code: chars.iter().map(|&c| blank(c)).collect(),
        comments: chars.iter().map(|&c| blank(c)).collect(),
        chars,
        at: 0,
    };
    while lexer.at < lexer.chars.len() {
        lexer.step();
    }
    Lexed { code: lexer.code, comments: lexer.comments }
}

fn blank(c: char) -> char {
    if c == '\n' { '\n' } else { ' ' }
}

struct Lexer {
    chars: Vec<char>,
    code: Vec<char>,
    comments: Vec<char>,
    at: usize,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn step(&mut self) {
        match (self.peek(0), self.peek(1)) {
            ('/', '/') => self.line_comment(),
            ('/', '*') => self.block_comment(),
            ('"', _) => self.string(),
            ('\'', _) => self.quote(),
            (c, _) if c.is_alphabetic() || c == '_' => self.word(),
            _ => self.keep(1),
        }
    }

    fn keep(&mut self, count: usize) {
        let end = (self.at + count).min(self.chars.len());
        self.code[self.at..end].copy_from_slice(&self.chars[self.at..end]);
        self.at = end;
    }

    fn line_comment(&mut self) {
        while self.at < self.chars.len() && self.peek(0) != '\n' {
            self.comments[self.at] = self.peek(0);
            self.at += 1;
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        while self.at < self.chars.len() {
            let width = match (self.peek(0), self.peek(1)) {
                ('/', '*') => {
                    depth += 1;
                    2
                }
                ('*', '/') => {
                    depth -= 1;
                    2
                }
                _ => 1,
            };
            self.comments[self.at..self.at + width].copy_from_slice(&self.chars[self.at..self.at + width]);
            self.at += width;
            if depth == 0 {
                break;
            }
        }
    }

    fn string(&mut self) {
        self.at += 1;
        while self.at < self.chars.len() && self.peek(0) != '"' {
            self.at += if self.peek(0) == '\\' { 2 } else { 1 };
        }
        self.at += 1;
    }

    /// A character literal, or the tick of a lifetime or label.
    fn quote(&mut self) {
        if self.peek(1) == '\\' {
            self.at += 3;
            while self.at < self.chars.len() && self.peek(0) != '\'' {
                self.at += 1;
            }
            self.at += 1;
        } else if self.peek(2) == '\'' {
            self.at += 3;
        } else {
            self.keep(1);
        }
    }

    /// An identifier, or the prefix of a raw or byte string.
    fn word(&mut self) {
        let mut length = 1;
        while self.peek(length).is_alphanumeric() || self.peek(length) == '_' {
            length += 1;
        }
        let word: String = self.chars[self.at..self.at + length].iter().collect();
        self.keep(length);
        if matches!(word.as_str(), "r" | "br" | "cr") {
            self.raw_string();
        }
    }

    fn raw_string(&mut self) {
        let mut hashes = 0;
        while self.peek(hashes) == '#' {
            hashes += 1;
        }
        if self.peek(hashes) != '"' {
            return;
        }
        self.at += hashes + 1;
        while self.at < self.chars.len() {
            let closes = self.peek(0) == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == '#');
            if closes {
                self.at += hashes + 1;
                return;
            }
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::lex;

    fn code(source: &str) -> String {
        lex(source).code.iter().collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_are_not_code() {
        assert_eq!(code("a // b {\nc"), "a c");
        assert_eq!(code("a /* b /* c */ d */ e"), "a e");
        assert_eq!(code("/// doc\nfn f() {}"), "fn f() {}");
    }

    #[test]
    fn strings_are_not_code() {
        assert_eq!(code(r#"f("{", b"}", c"\"{")"#), "f( , b , c )");
        assert_eq!(code("f(r\"\\\", br#\"\"{\"#) }"), "f(r , br ) }");
        assert_eq!(code("\"// no comment\" x"), "x");
    }

    #[test]
    fn characters_are_not_code_but_lifetimes_are() {
        assert_eq!(code(r"f('{', '\'', b'}', '\u{7d}')"), "f( , , b , )");
        assert_eq!(code("fn f<'a>(x: &'a str) -> &'static str"), "fn f<'a>(x: &'a str) -> &'static str");
        assert_eq!(code("'outer: loop { break 'outer; }"), "'outer: loop { break 'outer; }");
    }

    #[test]
    fn a_raw_identifier_is_code() {
        assert_eq!(code("r#type + r"), "r#type + r");
    }

    #[test]
    fn both_halves_keep_the_lines() {
        let source = "a\n/* b\nc */ \"d\ne\" f";
        let lexed = lex(source);
        assert_eq!(lexed.code.len(), source.chars().count());
        assert_eq!(lexed.code.iter().filter(|&&c| c == '\n').count(), 3);
        assert_eq!(lexed.comments.iter().filter(|&&c| c == '\n').count(), 3);
    }
}
