//! Words and punctuation of the code of a file, with the line of each, and what braces enclose.

use crate::lexer::Lexed;

/// A word or one character of punctuation; `::` counts as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub text: String,
    /// Counted from one.
    pub line: usize,
}

impl Token {
    pub fn is(&self, text: &str) -> bool {
        self.text == text
    }

    pub fn is_word(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

/// The tokens of the code, in order.
pub fn tokens(lexed: &Lexed) -> Vec<Token> {
    let mut found: Vec<Token> = Vec::new();
    let mut line = 1;
    let mut chars = lexed.code.iter().copied().peekable();
    while let Some(c) = chars.next() {
        if c == '\n' {
            line += 1;
        } else if c.is_alphanumeric() || c == '_' {
            let mut text = String::from(c);
            while let Some(more) = chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                text.push(more);
            }
            found.push(Token { text, line });
        } else if c == ':' && chars.next_if_eq(&':').is_some() {
            found.push(Token { text: "::".into(), line });
        } else if !c.is_whitespace() {
            found.push(Token { text: c.into(), line });
        }
    }
    found
}

/// The index of the bracket that closes the one at `open`; the last token where none does.
pub fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return index;
        }
    }
    tokens.len() - 1
}

/// The index at which the item that begins at `start` ends: its `;`, or the brace that closes its body.
pub fn item_end(tokens: &[Token], start: usize) -> usize {
    let mut index = start;
    while index < tokens.len() {
        match tokens[index].text.as_str() {
            ";" => return index,
            "{" => return closing(tokens, index),
            "(" | "[" => index = closing(tokens, index),
            _ => {}
        }
        index += 1;
    }
    tokens.len() - 1
}
