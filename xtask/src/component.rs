//! The component: built as a core module, made into a component, and looked at before anybody runs it.

use std::path::PathBuf;

use wit_component::{ComponentEncoder, DecodedWasm};
use wit_parser::{Resolve, WorldItem};

use crate::shell::{Failure, Result, heading, io_failure, say};
use crate::toolchain::Toolchain;
use crate::workspace::{root, shown, target};

/// The component's file name, wherever it lies.
pub(crate) const FILE: &str = "abort_reason.component.wasm";

/// Builds the component, checks it, and gives the file it is in.
pub(crate) fn build(toolchain: &Toolchain) -> Result<PathBuf> {
    heading("The component");
    make(toolchain, "abort-reason-component", FILE)
}

/// Builds the example of a transform in the same way; nobody takes it away, the tests run it.
pub(crate) fn build_example(toolchain: &Toolchain) -> Result<PathBuf> {
    heading("The example of a transform");
    make(toolchain, "repeats", "repeats.component.wasm")
}

fn make(toolchain: &Toolchain, package: &str, file: &str) -> Result<PathBuf> {
    let module = toolchain.build(package, Some("+simd128"))?.join(format!("{}.wasm", package.replace('-', "_")));
    let module = std::fs::read(&module).map_err(io_failure(module.display()))?;
    let component = ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| Failure::new(format!("the module can't be made into a component: {error:#}")))?;
    check(&component)?;

    let file = target()?.join(file);
    std::fs::write(&file, &component).map_err(io_failure(file.display()))?;
    say(&format!("{}: {} KiB, imports nothing, exports the world", shown(&file), component.len().div_ceil(1024)));
    Ok(file)
}

/// Checks that a component imports nothing and exports all that `wit/` says, and nothing else.
fn check(component: &[u8]) -> Result<()> {
    let failure = |error| Failure::new(format!("the component can't be read back: {error:#}"));
    let DecodedWasm::Component(resolve, world) = wit_component::decode(component).map_err(failure)? else {
        return Err(Failure::new("what was built is no component"));
    };
    let world = &resolve.worlds[world];
    let imported: Vec<String> = world
        .imports
        .iter()
        .filter(|(_, item)| does_something(&resolve, item))
        .map(|(key, _)| resolve.name_world_key(key))
        .collect();
    if !imported.is_empty() {
        return Err(Failure::new(format!("the component may import nothing, but imports {}", imported.join(", "))));
    }

    let mut source = Resolve::default();
    let (package, _) =
        source.push_path(root().join("wit")).map_err(|error| Failure::new(format!("wit/: {error:#}")))?;
    let wanted = source.select_world(&[package], None).map_err(|error| Failure::new(format!("wit/: {error:#}")))?;
    let mut wanted: Vec<String> = source.worlds[wanted].exports.keys().map(|key| source.name_world_key(key)).collect();
    let mut exported: Vec<String> = world.exports.keys().map(|key| resolve.name_world_key(key)).collect();
    wanted.sort();
    exported.sort();
    if exported == wanted {
        Ok(())
    } else {
        Err(Failure::new(format!("the component exports {}, but the world {}", exported.join(", "), wanted.join(", "))))
    }
}

/// Whether an import gives the component anything to call. Types alone do not: a world that names a type of an
/// interface mentions the interface among its imports, and a host has nothing to provide for it.
fn does_something(resolve: &Resolve, item: &WorldItem) -> bool {
    match item {
        WorldItem::Type { .. } => false,
        WorldItem::Interface { id, .. } => !resolve.interfaces[*id].functions.is_empty(),
        WorldItem::Function(_) => true,
    }
}
