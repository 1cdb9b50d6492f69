//! Which file needs which: no two may need each other, directly or by way of others.
//!
//! A file needs another if its code names an item that the other defines. What counts is the file
//! with the definition, by whatever way its name came: a re-export is only a way, and so is `mod`.
//! A type also needs each file that has a block of its methods, other than those of a trait: they
//! are a part of it, and the file cannot be without the type either.
//!
//! Names are followed as the compiler does it, but for those in macros that are not written out,
//! and for small words alone, which are mostly variables.

mod facts;
mod words;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use self::facts::{Facts, Import, Module, Named, facts};
use crate::sources::Source;

/// What is wrong with the files of a crate that begins at `root`. It is not wrong that the first
/// file of a pair in `parts_above` needs the second.
pub(crate) fn problems(root: &str, files: &[Source], parts_above: &[(&str, &str)]) -> Vec<String> {
    problems_of_each(root, files, &[parts_above.to_vec()]).concat()
}

/// The same for each of several lists of such pairs, by reading the files once.
pub(crate) fn problems_of_each(
    root: &str,
    files: &[Source],
    lists: &[Vec<(&str, &str)>],
) -> Vec<Vec<String>> {
    let files: Vec<_> = files
        .iter()
        .filter(|source| !source.path.ends_with("/tests.rs"))
        .map(|source| facts(root, source))
        .collect();
    let tree = Tree::new(&files);
    let (mut needs, mut problems) = (Needs::new(), Vec::new());
    for file in &files {
        tree.add_needs(file, &mut needs, &mut problems);
    }
    needs.retain(|(one, other), _| one != other);
    let found = lists.iter().map(|parts_above| {
        let mut needs = needs.clone();
        needs.retain(|pair, _| !parts_above.contains(pair));
        [problems.clone(), cycles(&needs)].concat()
    });
    found.collect()
}

/// For a file and one that it needs, what of it.
type Needs<'a> = BTreeMap<(&'a str, &'a str), String>;

/// All files of a crate, by module.
struct Tree<'a> {
    // The files that define something under a name: several, where they stand in for each other.
    definitions: BTreeMap<(Module<'a>, &'a str), Vec<&'a str>>,
    macros: BTreeMap<&'a str, &'a str>,
    modules: BTreeSet<Module<'a>>,
    imports: BTreeMap<Module<'a>, Vec<&'a Import<'a>>>,
}

/// What a path leads to.
enum Found<'a> {
    Item(&'a str, &'a str),
    Module(Module<'a>),
}

impl<'a> Tree<'a> {
    fn new(files: &'a [Facts<'a>]) -> Self {
        let mut tree = Self {
            definitions: BTreeMap::new(),
            macros: BTreeMap::new(),
            modules: BTreeSet::new(),
            imports: BTreeMap::new(),
        };
        for Facts { file, definitions, macros, modules, imports, .. } in files {
            for definition in definitions {
                tree.definitions.entry(definition.clone()).or_default().push(file);
            }
            tree.macros.extend(macros.iter().map(|name| (*name, *file)));
            tree.modules.extend(modules.iter().cloned());
            for import in imports {
                tree.imports.entry(import.from.module.clone()).or_default().push(import);
            }
        }
        tree
    }

    fn add_needs(&self, facts: &Facts<'a>, needs: &mut Needs<'a>, problems: &mut Vec<String>) {
        let Facts { file, imports, named, implemented, .. } = facts;
        let imported = imports.iter().filter(|import| !import.is_handed_on);
        for named in imported.map(|import| &import.from).chain(named) {
            let found = self.follow(named);
            if found.is_empty() && ["crate", "self", "super"].contains(&named.path[0]) {
                problems.push(format!("{file}: nobody defines {}", named.path.join("::")));
            }
            for (other, name) in found.iter().filter_map(Found::item) {
                needs.entry((*file, other)).or_insert_with(|| name.to_owned());
            }
        }
        for named in implemented {
            for (other, name) in self.follow(named).iter().filter_map(Found::item) {
                needs.entry((other, *file)).or_insert_with(|| format!("impl {name}"));
            }
        }
    }

    fn follow(&self, Named { module, path, is_macro }: &Named<'a>) -> Vec<Found<'a>> {
        let found = self.follow_path(module, path, HOPS_MAX);
        match self.macros.get(path[0]) {
            Some(file) if *is_macro && found.is_empty() => vec![Found::Item(file, path[0])],
            _ => found,
        }
    }

    /// Follows a path as it is said in a module.
    fn follow_path(&self, module: &Module<'a>, path: &[&'a str], hops: usize) -> Vec<Found<'a>> {
        match path.split_first() {
            Some((&"crate", rest)) => self.follow_within(&Module::new(), rest, hops),
            Some((&"self", rest)) => self.follow_within(module, rest, hops),
            _ => self.follow_within(module, path, hops),
        }
    }

    /// Follows a path from a module on.
    fn follow_within(&self, module: &Module<'a>, path: &[&'a str], hops: usize) -> Vec<Found<'a>> {
        let Some((&first, rest)) = path.split_first() else {
            return vec![Found::Module(module.clone())];
        };
        let Some(hops) = hops.checked_sub(1) else {
            return Vec::new();
        };
        if first == "super" {
            let parent = module.split_last().map(|(_, parent)| parent.to_vec());
            return parent.map(|it| self.follow_within(&it, rest, hops)).unwrap_or_default();
        }
        let inner = module.iter().copied().chain([first]).collect();
        let has_inner = self.modules.contains(&inner);
        if has_inner && !rest.is_empty() {
            return self.follow_within(&inner, rest, hops);
        }
        // What follows the name of an item is a part of it.
        if let Some(files) = self.definitions.get(&(module.clone(), first)) {
            return files.iter().map(|file| Found::Item(file, first)).collect();
        }
        let imports = self.imports.get(module).into_iter().flatten();
        let (here, all): (Vec<&Import<'_>>, Vec<_>) = imports
            .copied()
            .filter(|import| import.alias.is_none_or(|alias| alias == first))
            .partition(|import| import.alias.is_some());
        let mut found = Vec::new();
        for import in here {
            let path: Vec<_> = import.from.path.iter().chain(rest).copied().collect();
            found.extend(self.follow_path(module, &path, hops));
        }
        if found.is_empty() && has_inner {
            found.push(Found::Module(inner));
        }
        if !found.is_empty() {
            return found;
        }
        for import in all {
            for there in self.follow_path(module, &import.from.path, hops) {
                if let Found::Module(there) = there {
                    found.extend(self.follow_within(&there, path, hops));
                }
            }
        }
        found
    }
}

impl<'a> Found<'a> {
    fn item(&self) -> Option<(&'a str, &'a str)> {
        match self {
            Self::Item(file, name) => Some((file, name)),
            Self::Module(_) => None,
        }
    }
}

/// A shortest cycle of each file that is the first in it.
fn cycles(needs: &Needs<'_>) -> Vec<String> {
    let files: BTreeSet<_> = needs.keys().map(|(file, _)| *file).collect();
    let mut cycles = Vec::new();
    for begin in files {
        // Each file that is reached from it, with the one before.
        let (mut reached, mut queue) = (BTreeMap::new(), VecDeque::from([begin]));
        while let Some(file) = queue.pop_front() {
            for (_, other) in needs.keys().filter(|(one, other)| *one == file && *other >= begin) {
                if !reached.contains_key(other) {
                    reached.insert(*other, file);
                    queue.push_back(other);
                }
            }
        }
        let (mut text, mut at) = (begin.to_owned(), begin);
        while let Some(before) = reached.get(at) {
            text = format!("{before} ({}) -> {text}", needs[&(*before, at)]);
            at = before;
            if at == begin {
                cycles.push(text);
                break;
            }
        }
    }
    cycles
}

/// No name is handed on so often; an import of itself is.
const HOPS_MAX: usize = 32;

#[test]
fn files_that_need_each_other_are_found() {
    for (tree, expected) in CASES {
        let tree = tree.replace("+ B", B);
        let files = tree.split(" + ").map(|file| {
            let (path, text) = file.split_once(": ").unwrap();
            Source { path: format!("src/{path}.rs"), text: text.to_owned() }
        });
        let problems = problems("src", &files.collect::<Vec<_>>(), &[("src/x.rs", "src/y.rs")]);
        let problems = problems.join("; ");
        let problems = problems.replace("src/", "").replace(".rs", "");
        assert_eq!(problems, expected, "{tree}");
    }
}

/// The file that `B` stands for below, and what is wrong if `a` needs it as well.
const B: &str = "+ b: use crate::a::A; struct B;";
const BOTH: &str = "a (B) -> b (A) -> a";

/// Files with their texts, and what is wrong with them.
const CASES: [(&str, &str); 39] = [
    // Each way to name something.
    ("a: enum A {} + B", ""),
    ("a: enum A {} use crate::b::B; + B", BOTH),
    ("a: enum A {} + b: use crate::a::A; struct B; fn f(a: A) -> super::a::A {}", ""),
    ("a: enum A {} fn f(b: crate::b::B) {} + B", BOTH),
    (
        "a: type A = u8; fn f() { crate::b::f() } + b: use crate::a::A; fn f() {}",
        "a (f) -> b (A) -> a",
    ),
    (
        "a: trait A {} use crate::b; const C: u8 = b::C; \
            + b: use super::a::A; const C: u8 = 1;",
        "a (C) -> b (A) -> a",
    ),
    (
        "a: trait A {} fn f() { use crate::b::B as It; } \
            + b: use crate::a::A; trait B {}",
        BOTH,
    ),
    (
        "a: const A: u8 = 1; use crate::{b::{self, B}}; \
            + b: use crate::a::A; static B: u8 = 0;",
        BOTH,
    ),
    ("a: struct A; use crate::b::*; type It = B; + B", BOTH),
    ("a: struct A; use crate::b::*; type It = C; + B", ""),
    ("a: enum A {} use crate::b::B::{C, D}; + b: use crate::a::A; enum B { C, D }", BOTH),
    ("a: enum A { B(u8, crate::b::B) } + B", BOTH),
    ("a: macro_rules! a { () => {} } use crate::b::B; + b: a!(); struct B;", "a (B) -> b (a) -> a"),
    ("a: struct A; macro_rules! a { () => { $crate::b::B } } + B", BOTH),
    ("a: struct A; use crate::b::B; impl B for A {} + b: use crate::a::A; trait B {}", BOTH),
    // What names nothing.
    ("a: struct A; // crate::b::B + B", ""),
    ("a: /// [`crate::b::B`]\nstruct A; + B", ""),
    ("a: struct A; fn f() { \"crate::b::B\" } + B", ""),
    ("a: struct A;\n#[cfg(test)]\nmod tests { use crate::b::B; } + B", ""),
    ("a: struct A; + a/tests: use crate::b::B; use super::A; + B", ""),
    ("a: struct A; use ::b::B; use bytes::B; fn f() { std::b::B(x.b) } + B", ""),
    ("a: struct A; pub(crate) use crate::b::B; + B", ""),
    ("a: enum A { B, #[serde] B(u8), C { b: u8 }, B } pub use crate::b::B; + B", ""),
    ("lib: mod a; pub use crate::a::A; struct It; + a: use crate::It; struct A;", ""),
    // Methods of a type of another file.
    ("a: mod c; struct A; + a/c: impl super::A { fn f() {} }", "a (impl A) -> a/c (A) -> a"),
    (
        "a: mod c; struct A<T>; \
            + a/c: use super::A; impl<T: Of<u8>> A<T> where T: for<'a> Of<'a> {}",
        "a (impl A) -> a/c (A) -> a",
    ),
    (
        "a: mod c; struct A; \
            + a/c: use super::A; impl<T> Clone for A {} impl Iterator for A {}",
        "",
    ),
    ("a: mod c; struct A; + a/c: use super::A; fn f(it: impl Into<A>) -> impl A {}", ""),
    // By way of modules that hand on.
    (
        "a/mod: mod c; struct A; use self::c::C; + a/c: use super::A; struct C;",
        "a/c (A) -> a/mod (C) -> a/c",
    ),
    ("a/mod: mod c; struct A; pub use self::c::C; + a/c: use super::A; struct C;", ""),
    (
        "a/mod: mod c; struct A; pub use self::c::C; struct It(C); \
            + a/c: use super::A; struct C;",
        "a/c (A) -> a/mod (C) -> a/c",
    ),
    (
        "a/mod: mod c; mod d; pub use self::{c::C, d::*}; \
            + a/c: use super::D; struct C; + a/d: use crate::a::C as It; struct D;",
        "a/c (D) -> a/d (C) -> a/c",
    ),
    (
        "a/mod: mod c; mod d; use self::c::C; + a/c: fn f() { super::d::f() } struct C; \
            + a/d: fn f() { super::C::new() }",
        "a/c (f) -> a/d (C) -> a/c",
    ),
    (
        "a: mod inner { pub use crate::b::B; } struct A; + b: struct B(crate::a::A); \
            + c: use crate::a::inner::B;",
        "",
    ),
    ("a: use crate::b::Missing; + b: pub use bytes::Bytes;", "a: nobody defines crate::b::Missing"),
    // Round by a third, and two at once.
    (
        "a: use crate::b::B; fn f() {} + a/c: fn g() { crate::a::f() } \
            + b: use crate::a::c::g; struct B;",
        "a (B) -> b (g) -> a/c (f) -> a",
    ),
    (
        "a: struct A(crate::b::B); + b: struct B(crate::a::A, crate::c::C); \
            + c: struct C(crate::b::B);",
        "a (B) -> b (A) -> a; b (C) -> c (B) -> b",
    ),
    // A part that may be above, and only that.
    ("x: struct X; + y: use crate::x::X; impl X { fn f() {} }", ""),
    ("x: struct X; + w: use crate::x::X; impl X { fn f() {} }", "w (X) -> x (impl X) -> w"),
];
