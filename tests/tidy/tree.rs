//! Reads the repository.

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};

/// What the compiler must refuse: cases, one by one, and no modules.
pub(crate) const REFUSED: &str = "tests/ui/fail/";

/// Everything that is ours and is text.
pub(crate) struct Tree {
    pub(crate) root: PathBuf,
    /// Rust files, but for those below [`REFUSED`].
    pub(crate) files: Vec<File>,
    /// All text, by path.
    pub(crate) texts: Vec<(String, String)>,
}

pub(crate) struct File {
    /// From the root of the repository, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    syntax: OnceCell<syn::File>,
}

impl File {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), syntax: OnceCell::new() }
    }

    /// Parsed when it is first asked for: most checks look at a part of the tree.
    pub(crate) fn syntax(&self) -> &syn::File {
        let parse = || syn::parse_file(&self.text);
        self.syntax.get_or_init(|| parse().unwrap_or_else(|error| panic!("{}: {error}", self.path)))
    }
}

impl Tree {
    pub(crate) fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ has a parent");
        let mut texts = Vec::new();
        walk(root, root, &mut texts);
        texts.sort();
        let is_module = |path: &str| path.ends_with(".rs") && !path.starts_with(REFUSED);
        let modules = texts.iter().filter(|(path, _)| is_module(path));
        let files: Vec<File> = modules.map(|(path, text)| File::new(path, text)).collect();
        assert!(files.len() > 50, "the walk found {} files: it has lost its way", files.len());
        Self { root: root.to_owned(), files, texts }
    }

    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.texts.iter().find(|(own, _)| own == path).map(|(_, text)| text.as_str())
    }
}

fn walk(root: &Path, folder: &Path, texts: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}")) {
        let path = entry.expect("a folder can be read to its end").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // What is built, and what git keeps.
        if path.is_dir() {
            if !matches!(name, "target" | ".git") {
                walk(root, &path, texts);
            }
        } else if [".rs", ".toml", ".md", ".sh", ".lua", ".yml"]
            .iter()
            .any(|end| name.ends_with(end))
        {
            let text =
                fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
            let own = path.strip_prefix(root).expect("found below the root");
            texts.push((own.to_string_lossy().replace('\\', "/"), text));
        }
    }
}

/// Whether an item is there for tests or the model checker only.
pub(crate) fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else { return false };
        if !list.path.is_ident("cfg") {
            return false;
        }
        let condition = list.tokens.to_string().replace(' ', "");
        let needed = condition.strip_prefix("all(").and_then(|inner| inner.strip_suffix(')'));
        needed.unwrap_or(&condition).split(',').any(|one| matches!(one, "test" | "seawall_loom"))
    })
}
