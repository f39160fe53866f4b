//! No file of the core names another in a circle: data flows one way through them.
//!
//! A file names another by a path, in a `use` or anywhere in its code, that leads into the other's module. What is there
//! for tests alone does not count, neither does the root of the crate, which declares all and uses none.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};
use syn::{ItemMod, UseTree};

use crate::shell::{Failure, Result};

use super::invariants::{none, sources};

/// A module's path below the crate, as `["join", "clock"]`.
type Module = Vec<String>;

/// Which modules each module names.
type Edges = BTreeMap<Module, BTreeSet<Module>>;

/// No circle in `src/`.
pub(crate) fn no_circles() -> Result<()> {
    let files: Vec<(Module, String)> = sources()?.into_iter().map(|(path, text)| (module_of(&path), text)).collect();
    let edges = edges(&files).map_err(|error| Failure::new(format!("src/: {error}")))?;
    none(circle(&edges).map(|circle| circle.join(" → ")).into_iter(), "data flows one way: see ARCHITECTURE.md")
}

/// The module that a file of `src/` holds.
fn module_of(path: &std::path::Path) -> Module {
    let below = path.components().map(|part| part.as_os_str().to_string_lossy().into_owned());
    let mut module: Module = below.collect();
    let root = module.iter().rposition(|part| part == "src").map_or(0, |at| at + 1);
    module.drain(..root);
    let name = module.pop().unwrap_or_default();
    let name = name.trim_end_matches(".rs");
    if !matches!(name, "lib" | "mod") {
        module.push(name.to_owned());
    }
    module
}

fn edges(files: &[(Module, String)]) -> syn::Result<Edges> {
    let modules: BTreeSet<&Module> = files.iter().map(|(module, _)| module).collect();
    let mut edges = Edges::new();
    for (module, text) in files.iter().filter(|(module, _)| !module.is_empty()) {
        let mut named = Named { module, modules: &modules, found: BTreeSet::new() };
        named.visit_file(&syn::parse_file(text)?);
        edges.insert(module.clone(), named.found);
    }
    Ok(edges)
}

/// The modules that a file names.
struct Named<'a> {
    module: &'a Module,
    modules: &'a BTreeSet<&'a Module>,
    found: BTreeSet<Module>,
}

impl Named<'_> {
    fn note(&mut self, path: &[String]) {
        let mut path = path;
        let mut at = self.module.clone();
        match path.first().map(String::as_str) {
            Some("crate") => (at, path) = (Vec::new(), &path[1..]),
            Some("self") => path = &path[1..],
            Some("super") => {
                while path.first().is_some_and(|part| part == "super") {
                    at.pop();
                    path = &path[1..];
                }
            }
            // A path into a module that is declared here, or into another crate.
            Some(child) => {
                let child = [at.as_slice(), &[child.to_owned()]].concat();
                if !self.modules.contains(&child) {
                    return;
                }
            }
            None => return,
        }
        for part in path {
            at.push(part.clone());
            if !self.modules.contains(&at) {
                at.pop();
                break;
            }
        }
        if !at.is_empty() && at != *self.module {
            self.found.insert(at);
        }
    }

    fn note_tree(&mut self, tree: &UseTree, before: &mut Vec<String>) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.note_tree(&path.tree, before);
                before.pop();
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.note_tree(tree, before)),
            UseTree::Name(name) => self.note(&[before.as_slice(), &[name.ident.to_string()]].concat()),
            UseTree::Rename(name) => self.note(&[before.as_slice(), &[name.ident.to_string()]].concat()),
            UseTree::Glob(_) => self.note(before),
        }
    }
}

impl<'ast> Visit<'ast> for Named<'_> {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !item.attrs.iter().any(|attribute| attribute.path().is_ident("cfg")) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_use_tree(&mut self, tree: &'ast UseTree) {
        self.note_tree(tree, &mut Vec::new());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<String> = path.segments.iter().map(|part| part.ident.to_string()).collect();
        if parts.len() > 1 {
            self.note(&parts);
        }
        visit::visit_path(self, path);
    }
}

/// A circle, if there is one: its modules in order, the first one again at the end.
fn circle(edges: &Edges) -> Option<Vec<String>> {
    let mut done = BTreeSet::new();
    edges.keys().find_map(|start| walk(start, edges, &mut Vec::new(), &mut done))
}

fn walk<'e>(
    module: &'e Module,
    edges: &'e Edges,
    way: &mut Vec<&'e Module>,
    done: &mut BTreeSet<&'e Module>,
) -> Option<Vec<String>> {
    if let Some(at) = way.iter().position(|before| *before == module) {
        return Some(way[at..].iter().chain([&module]).map(|module| module.join("::")).collect());
    }
    if !done.contains(module) {
        way.push(module);
        let found = edges.get(module)?.iter().find_map(|next| walk(next, edges, way, done));
        way.pop();
        done.insert(module);
        return found;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{circle, edges, module_of};

    fn circle_of(files: &[(&str, &str)]) -> Option<Vec<String>> {
        let files: Vec<_> = files.iter().map(|(path, text)| (module_of(path.as_ref()), (*text).to_owned())).collect();
        circle(&edges(&files).unwrap())
    }

    #[test]
    fn a_circle_is_found_however_the_path_is_written() {
        let files = [
            ("src/lib.rs", "mod a; mod b;"),
            ("src/a/mod.rs", "mod c; use crate::b::{X, Y}; fn f() {}"),
            ("src/a/c.rs", "fn f() { super::super::b::g() }"),
            ("src/b.rs", "fn g() { crate::a::f() }"),
        ];
        assert_eq!(circle_of(&files), Some(["a", "b", "a"].map(str::to_owned).to_vec()));
    }

    #[test]
    fn one_way_and_what_tests_use_are_no_circle() {
        let files = [
            ("src/lib.rs", "mod a; mod b; use a::c::X;"),
            ("src/a/mod.rs", "mod c; use c::X; use crate::b::Y;"),
            ("src/a/c.rs", "use std::fmt; struct X;"),
            ("src/b.rs", "struct Y; #[cfg(test)] mod tests { use crate::a::c::X; }"),
        ];
        assert_eq!(circle_of(&files), None);
    }
}
