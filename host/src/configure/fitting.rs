//! Fits a module to Fluent Bit's runtime, which puts a heap of its own behind the module's memory, and interprets it.

use std::convert::Infallible;

use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{CodeSection, ExportSection, Instruction, Module};
use wasmparser::{ExportSectionReader, FunctionBody, Parser};

/// By these exports Fluent Bit would put its heap on top of what the module has stored; without them it lies behind all that
/// is the module's.
const HEAP_BOUNDS: [&str; 2] = ["__heap_base", "__data_end"];

/// The module as Fluent Bit is to have it. What was fitted before stays as it is.
pub(super) fn fit(module: &[u8]) -> Result<Vec<u8>, Error> {
    let mut fitted = Module::new();
    Fitting.parse_core_module(&mut fitted, Parser::new(0), module)?;
    Ok(fitted.finish())
}

struct Fitting;

impl Reencode for Fitting {
    type Error = Infallible;

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: ExportSectionReader<'_>,
    ) -> Result<(), Error> {
        for export in section {
            let export = export?;
            if !HEAP_BOUNDS.contains(&export.name) {
                self.parse_export(exports, export)?;
            }
        }
        Ok(())
    }

    /// To set a local and keep its value is an instruction more to WAMR's interpreter: it copies. To set it is none where the
    /// instruction before made the value, which then goes straight there, and to get it is none either.
    fn parse_function_body(&mut self, code: &mut CodeSection, body: FunctionBody<'_>) -> Result<(), Error> {
        let mut function = self.new_function_with_parsed_locals(&body)?;
        let mut instructions = body.get_operators_reader()?;
        while !instructions.eof() {
            match self.parse_instruction(&mut instructions)? {
                Instruction::LocalTee(local) => {
                    function.instruction(&Instruction::LocalSet(local)).instruction(&Instruction::LocalGet(local))
                }
                instruction => function.instruction(&instruction),
            };
        }
        code.function(&function);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{
        CustomSection, ExportKind, Function, FunctionSection, MemorySection, MemoryType, TypeSection, ValType,
    };

    use super::*;

    /// A module with these exports and this code.
    fn module(exported: &[&str], instructions: &[Instruction<'_>]) -> Vec<u8> {
        let memory = MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None };
        let (mut types, mut functions, mut memories) =
            (TypeSection::new(), FunctionSection::new(), MemorySection::new());
        let (mut exports, mut code) = (ExportSection::new(), CodeSection::new());
        types.ty().function([ValType::I32], [ValType::I32]);
        functions.function(0);
        memories.memory(memory);
        exported.iter().for_each(|name| _ = exports.export(name, ExportKind::Memory, 0));
        let mut function = Function::new([(2, ValType::I64)]);
        instructions.iter().for_each(|instruction| _ = function.instruction(instruction));
        code.function(&function);
        let kept = CustomSection { name: "kept".into(), data: b"as it is".into() };
        let mut module = Module::new();
        module.section(&types).section(&functions).section(&memories).section(&exports).section(&code).section(&kept);
        module.finish()
    }

    #[test]
    fn nothing_else_is_changed() {
        use Instruction::{Drop, End, I32Const, LocalGet, LocalSet, LocalTee};
        let all = module(
            &["memory", "_initialize", "__data_end", "__heap_base", "abort_reason"],
            &[LocalGet(0), Drop, I32Const(7), LocalTee(0), End],
        );
        let fitted = module(
            &["memory", "_initialize", "abort_reason"],
            &[LocalGet(0), Drop, I32Const(7), LocalSet(0), LocalGet(0), End],
        );
        assert!(fit(&all).is_ok_and(|module| module == fitted));
        assert!(fit(&fitted).is_ok_and(|module| module == fitted));
        assert!(fit(b"no module").is_err());
    }
}
