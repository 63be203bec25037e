//! `layers.toml`, as far as it speaks of Rust.

/// The lists of `layers.toml` that bind the Rust sources.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    /// The rooms of the core, lowest first.
    pub rooms: Vec<String>,
    /// Files that may hold `unsafe`.
    pub unsafe_files: Vec<String>,
    /// Files that may name the file system.
    pub file_system: Vec<String>,
}

impl Layers {
    /// Reads the lists out of the text of `layers.toml`.
    ///
    /// # Panics
    /// When a list is missing, which is a broken file and not a broken rule.
    pub fn parse(text: &str) -> Layers {
        Layers {
            rooms: list(text, "rust"),
            unsafe_files: list(text, "unsafe"),
            file_system: list(text, "file_system"),
        }
    }

    /// How high a room lies, from zero.
    pub fn height(&self, room: &str) -> Option<usize> {
        self.rooms.iter().position(|name| name == room)
    }
}

/// The strings of `key = ["a", "b"]`, on one line or several, comments between allowed.
fn list(text: &str, key: &str) -> Vec<String> {
    let bare: String =
        text.lines().map(|line| line.split('#').next().unwrap_or("")).collect::<Vec<_>>().join("\n");
    let start =
        bare.find(&format!("\n{key} = [")).unwrap_or_else(|| panic!("layers.toml has no list `{key}`"));
    let body = &bare[start..];
    let end = body.find(']').unwrap_or_else(|| panic!("the list `{key}` of layers.toml has no end"));
    body[..end].split('"').skip(1).step_by(2).map(String::from).collect()
}

#[cfg(test)]
mod tests {
    use super::Layers;

    #[test]
    fn lists_are_read_over_lines_and_comments() {
        let text = "\n# rust = [\"not\"]\nrust = [\"a\", \"b\"]\nunsafe = [\n  \"x.rs\", # why\n]\nfile_system = []\n";
        let layers = Layers::parse(text);
        assert_eq!(layers.rooms, ["a", "b"]);
        assert_eq!(layers.unsafe_files, ["x.rs"]);
        assert!(layers.file_system.is_empty());
        assert_eq!((layers.height("b"), layers.height("c")), (Some(1), None));
    }
}
