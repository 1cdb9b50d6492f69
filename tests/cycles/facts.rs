//! What one file defines, imports and names.
//!
//! Read from its words, without understanding them: an item is what stands outside of all braces,
//! a path is names with `::` between them. What a path means is for `cycles` to say.

use super::words::{is_name, words};
use crate::sources::Source;

/// A module, by its path from the root of the crate.
pub(super) type Module<'a> = Vec<&'a str>;

pub(super) struct Facts<'a> {
    pub(super) file: &'a str,
    pub(super) definitions: Vec<(Module<'a>, &'a str)>,
    pub(super) macros: Vec<&'a str>,
    pub(super) modules: Vec<Module<'a>>,
    pub(super) imports: Vec<Import<'a>>,
    pub(super) named: Vec<Named<'a>>,
    // The types that blocks without a trait are for.
    pub(super) implemented: Vec<Named<'a>>,
}

pub(super) struct Import<'a> {
    pub(super) from: Named<'a>,
    // What it is called here; none if it is all that is there.
    pub(super) alias: Option<&'a str>,
    // It is one for others: a re-export.
    pub(super) is_handed_on: bool,
}

/// A path, and the module that says it.
#[derive(Clone)]
pub(super) struct Named<'a> {
    pub(super) module: Module<'a>,
    pub(super) path: Vec<&'a str>,
    pub(super) is_macro: bool,
}

struct Reader<'a> {
    words: Vec<&'a str>,
    at: usize,
    module: Module<'a>,
    depth: usize,
    // Depths at which modules within the file began.
    inner: Vec<usize>,
    facts: Facts<'a>,
}

/// Reads a file of a crate that begins at `root`.
pub(super) fn facts<'a>(root: &str, source: &'a Source) -> Facts<'a> {
    let file = source.path.as_str();
    let code = source.text.split("\n#[cfg(test)]").next().unwrap_or_default();
    let path = file.trim_start_matches(root).trim_start_matches('/').trim_end_matches(".rs");
    let module = path.split('/').filter(|part| !["mod", "lib"].contains(part)).collect();
    let mut reader = Reader {
        words: words(code),
        at: 0,
        module,
        depth: 0,
        inner: Vec::new(),
        facts: Facts {
            file,
            definitions: Vec::new(),
            macros: Vec::new(),
            modules: Vec::new(),
            imports: Vec::new(),
            named: Vec::new(),
            implemented: Vec::new(),
        },
    };
    reader.facts.modules.push(reader.module.clone());
    while reader.at < reader.words.len() {
        reader.read();
        reader.at += 1;
    }
    reader.facts
}

impl<'a> Reader<'a> {
    fn read(&mut self) {
        let (before, word, next) = (self.word(-1), self.word(0), self.word(1));
        let is_item = self.depth == self.inner.len();
        match word {
            "{" => self.depth += 1,
            "}" => {
                self.depth -= 1;
                if self.inner.pop_if(|depth| *depth == self.depth).is_some() {
                    self.module.pop();
                }
            }
            "use" if next != "<" => {
                let is_handed_on = ["pub", ")"].contains(&before);
                self.at += 1;
                self.read_import(Vec::new(), is_handed_on);
            }
            "mod" if self.word(2) == "{" => {
                self.module.push(next);
                self.facts.modules.push(self.module.clone());
                self.inner.push(self.depth);
                (self.at, self.depth) = (self.at + 2, self.depth + 1);
            }
            "macro_rules" => {
                self.facts.macros.push(self.word(2));
                self.at += 2;
            }
            "impl" if is_item && ["", "}", "{", ";", "]"].contains(&before) => self.read_impl(),
            _ if DEFINING.contains(&word) && !["<", ",", "*"].contains(&before) => {
                let is_named = is_path(next) && !DEFINING.contains(&next);
                if is_named && is_item && next != "_" {
                    self.facts.definitions.push((self.module.clone(), next));
                }
                if word == "enum" && is_named {
                    self.forget_variants();
                }
                self.at += usize::from(is_named);
            }
            _ if is_path(word) && ![".", "::"].contains(&before) => self.read_path(),
            _ => {}
        }
    }

    /// Makes nothing of the names of variants, which are those of an item's parts.
    fn forget_variants(&mut self) {
        let mut depth = 0_usize;
        let begin = (self.at..self.words.len()).find(|at| self.words[*at] == "{");
        for at in begin.unwrap_or(self.words.len())..self.words.len() {
            match self.words[at] {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => depth -= 1,
                _ if depth == 1 && ["{", ",", "]"].contains(&self.words[at - 1]) => {
                    self.words[at] = "";
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }

    /// Reads a tree of imports up to the word behind it.
    fn read_import(&mut self, mut path: Vec<&'a str>, is_handed_on: bool) {
        loop {
            let (word, next) = (self.word(0), self.word(1));
            self.at += 1;
            match word {
                "{" => {
                    while self.word(0) != "}" {
                        self.read_import(path.clone(), is_handed_on);
                        self.at += usize::from(self.word(0) == ",");
                    }
                    self.at += 1;
                    return;
                }
                // From outside of the crate.
                "::" if path.is_empty() => path.push(word),
                "::" => {}
                "*" => return self.note_import(path, None, is_handed_on),
                "self" if !path.is_empty() => {}
                _ => path.push(word),
            }
            if word != "::" && next != "::" {
                let mut alias = path.last().copied();
                if next == "as" {
                    alias = Some(self.word(1));
                    self.at += 2;
                }
                return self.note_import(path, alias, is_handed_on);
            }
        }
    }

    fn note_import(&mut self, path: Vec<&'a str>, alias: Option<&'a str>, is_handed_on: bool) {
        let from = Named { module: self.module.clone(), path, is_macro: false };
        self.facts.imports.push(Import { from, alias, is_handed_on });
    }

    /// Reads the head of an `impl`, unless it is of a trait. Its words are read again.
    fn read_impl(&mut self) {
        let head: Vec<_> =
            self.words[self.at + 1..].iter().copied().take_while(|word| *word != "{").collect();
        let (mut brackets, mut begin) = (0_usize, None);
        for (at, word) in head.iter().enumerate() {
            match *word {
                "<" => brackets += 1,
                ">" => brackets -= 1,
                "for" if head.get(at + 1) != Some(&"<") => return,
                "where" => break,
                _ if brackets == 0 => begin = begin.or(Some(at)),
                _ => {}
            }
        }
        let path = begin.map(|begin| path_at(&head[begin..])).unwrap_or_default();
        let module = self.module.clone();
        self.facts.implemented.push(Named { module, path, is_macro: false });
    }

    fn read_path(&mut self) {
        let path = path_at(&self.words[self.at..]);
        self.at += path.len() * 2 - 2;
        let next = self.word(1);
        // One small word alone may be a variable or a field.
        let is_small = path.len() == 1 && path[0].starts_with(|first: char| first.is_lowercase());
        if !is_small || ["(", "!"].contains(&next) {
            let module = self.module.clone();
            self.facts.named.push(Named { module, path, is_macro: next == "!" });
        }
    }

    fn word(&self, offset: isize) -> &'a str {
        let at = self.at.checked_add_signed(offset);
        at.and_then(|at| self.words.get(at)).copied().unwrap_or_default()
    }
}

/// The names at the beginning that `::` joins.
fn path_at<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let mut path = words.get(..1).unwrap_or_default().to_vec();
    for pair in words.get(1..).unwrap_or_default().chunks_exact(2) {
        if pair[0] != "::" || !is_path(pair[1]) {
            break;
        }
        path.push(pair[1]);
    }
    path
}

fn is_path(word: &str) -> bool {
    word.starts_with(|first| is_name(first) && !first.is_ascii_digit())
}

const DEFINING: [&str; 7] = ["fn", "struct", "enum", "trait", "type", "const", "static"];
