//! How deep a module's calls go on the stack that Fluent Bit's interpreter has for them: 8 KiB by default, and a call beyond
//! loses the record. The interpreter of the tests has more room and other frames, so the module measures itself: each of its
//! functions is wrapped in one that counts the frame that WAMR 2.4.1 would make (`WASMInterpFrame`: 40 bytes, and 4 for each
//! cell of parameters, locals, constants and operands).
//!
//! It is an estimate from above: WAMR needs no cell for an operand that is a local or a constant.

use std::collections::HashSet;

use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, ExportKind, ExportSection, Function, FunctionSection, GlobalSection, GlobalType,
    Module, RawSection, ValType,
};
use wasmparser::{FuncType, FuncValidatorAllocations, Operator, Parser, Payload, TypeRef, ValidPayload, Validator};

/// Bytes of a frame without its cells.
const FRAME: u32 = 40;

/// The name of the global that says how deep it went.
pub(crate) const DEEPEST: &str = "deepest";

/// A function that the module defines.
struct Defined<'a> {
    kind: u32,
    parameters: u32,
    frame: u32,
    body: &'a [u8],
}

/// The module, which measures itself from now on.
pub(crate) fn measured(module: &[u8]) -> Vec<u8> {
    let (defined, imported) = functions(module);
    let mut new = Module::new();
    let (mut globals, mut exports) = (GlobalSection::new(), ExportSection::new());
    for payload in Parser::new(0).parse_all(module) {
        match payload.expect("a module") {
            // Those that are called by their numbers are the wrappers; behind them come what they wrap.
            Payload::FunctionSection(_) => {
                let mut section = FunctionSection::new();
                defined.iter().chain(&defined).for_each(|function| _ = section.function(function.kind));
                new.section(&section);
            }
            Payload::GlobalSection(section) => {
                RoundtripReencoder.parse_global_section(&mut globals, section).expect("globals");
                let kind = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
                for _ in 0..2 {
                    globals.global(kind, &ConstExpr::i32_const(0));
                }
                new.section(&globals);
            }
            Payload::ExportSection(section) => {
                RoundtripReencoder.parse_export_section(&mut exports, section).expect("exports");
                exports.export(DEEPEST, ExportKind::Global, globals.len() - 1);
                new.section(&exports);
            }
            Payload::CodeSectionStart { .. } => {
                let mut section = CodeSection::new();
                let (depth, deepest) = (globals.len() - 2, globals.len() - 1);
                for (wrapped, function) in (imported + defined.len() as u32..).zip(&defined) {
                    section.function(&wrapper(function, wrapped, depth, deepest));
                }
                defined.iter().for_each(|function| _ = section.raw(function.body));
                new.section(&section);
            }
            Payload::CodeSectionEntry(_) | Payload::CustomSection(_) => {}
            other => {
                if let Some((id, range)) = other.as_section() {
                    new.section(&RawSection { id, data: &module[range] });
                }
            }
        }
    }
    new.finish()
}

fn wrapper(function: &Defined<'_>, wrapped: u32, depth: u32, deepest: u32) -> Function {
    let mut wrapper = Function::new([]);
    let frame = function.frame as i32;
    let mut code = wrapper.instructions();
    code.global_get(depth).i32_const(frame).i32_add().global_set(depth);
    // WAMR makes a frame where there is room for two of it.
    code.global_get(depth).i32_const(frame).i32_add().global_get(deepest).i32_gt_u().if_(BlockType::Empty);
    code.global_get(depth).i32_const(frame).i32_add().global_set(deepest).end();
    (0..function.parameters).for_each(|parameter| _ = code.local_get(parameter));
    code.call(wrapped);
    code.global_get(depth).i32_const(frame).i32_sub().global_set(depth).end();
    wrapper
}

/// What the module defines, and how many functions it imports.
fn functions(module: &[u8]) -> (Vec<Defined<'_>>, u32) {
    let mut validator = Validator::new();
    let (mut types, mut kinds, mut imported, mut defined) = (Vec::<FuncType>::new(), Vec::new(), 0, Vec::new());
    let mut allocations = FuncValidatorAllocations::default();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.expect("a module");
        match &payload {
            Payload::TypeSection(section) => {
                types = section.clone().into_iter_err_on_gc_types().map(|kind| kind.expect("a type")).collect();
            }
            Payload::ImportSection(section) => {
                let imports = section.clone().into_imports().map(|import| import.expect("an import").ty);
                imported = imports.filter(|kind| matches!(kind, TypeRef::Func(_))).count() as u32;
            }
            Payload::FunctionSection(section) => {
                kinds = section.clone().into_iter().map(|kind| kind.expect("a function")).collect();
            }
            _ => {}
        }
        let ValidPayload::Func(function, body) = validator.payload(&payload).expect("a valid module") else { continue };
        let kind = kinds[defined.len()];
        let mut function = function.into_validator(std::mem::take(&mut allocations));
        function.read_locals(&mut body.get_binary_reader()).expect("locals");
        let locals = (0..function.len_locals()).filter_map(|local| function.get_local_type(local));
        let (mut constants, mut most) = (HashSet::new(), 0);
        let locals: u32 = locals.map(cells).sum();
        let mut operators = body.get_operators_reader().expect("operators");
        while !operators.eof() {
            let (operator, at) = operators.read_with_offset().expect("an operator");
            function.op(at, &operator).expect("a valid operator");
            let constant = match operator {
                Operator::I32Const { value } => Some((1, u64::from(value as u32))),
                Operator::F32Const { value } => Some((1, u64::from(value.bits()))),
                Operator::I64Const { value } => Some((2, value as u64)),
                Operator::F64Const { value } => Some((2, value.bits())),
                _ => None,
            };
            constants.extend(constant);
            let operands = 0..function.operand_stack_height() as usize;
            let operands: u32 = operands.filter_map(|depth| function.get_operand_type(depth)?).map(cells).sum();
            most = most.max(operands);
        }
        allocations = function.into_allocations();
        let constants: u32 = constants.iter().map(|(cells, _)| cells).sum();
        let parameters = types[kind as usize].params().len() as u32;
        let frame = FRAME + 4 * (locals + constants + most);
        defined.push(Defined { kind, parameters, frame, body: &module[body.range()] });
    }
    (defined, imported)
}

/// Cells of a value.
fn cells(kind: wasmparser::ValType) -> u32 {
    if matches!(kind, wasmparser::ValType::I64 | wasmparser::ValType::F64) { 2 } else { 1 }
}
