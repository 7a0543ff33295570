//! Texts as compilers make them, and texts that nobody should make.

use proptest::prelude::*;
use ptx_reader::{Error, Module};

/// As LLVM and nvcc write it, with all that may stand at module scope.
const TEXT: &str = r#"
// a comment with .entry no_kernel(
.version 7.8
.target sm_90a, debug
.address_size 64

	.file	1 "kernels.rs"
.global .align 4 .b8 table[8] = {1, 2, 0xF, {4}};
.extern .shared .align 16 .b8 dynamic[];
.const .v4 .f32 four;
.extern .func (.param .b32 out) called(.param .b64 in);
/* .entry nor_this( */
.visible .entry kernel(
	.param .u64 .ptr .global .align 16 kernel_param_0,
	.param .align 8 .b8 kernel_param_1[24],
	.param .f32 kernel_param_2
)
.maxntid 128, 2, 1
.minnctapersm 2
.pragma "nounroll";
{
	.reg .b32 %r<4>;
	{ // .entry inside(
	call (retval0), called, (param0);
	}
	ret;
}
.weak .func (.param .b32 func_retval0) helper()
.noreturn
{
	trap;
}
.visible .entry empty()
.reqntid 32
{ ret; }
.section .debug_info { .b8 1 { } }
@@DWARF .section
"#;

fn error(text: &str) -> Error {
    Module::parse(text).unwrap_err()
}

#[test]
fn a_text_is_read_as_it_is_meant() {
    let module = Module::parse(TEXT).unwrap();
    assert_eq!((module.version, &*module.target), ((7, 8), "sm_90a"));
    assert_eq!(
        (module.address_size, module.compute_capability()),
        (64, Some(90))
    );
    let variables = module.variables.iter();
    let variables: Vec<_> = variables
        .map(|v| (&*v.name, &*v.space, v.bytes, v.alignment))
        .collect();
    let expected = [
        ("table", "global", 8, 4),
        ("dynamic", "shared", 0, 16),
        ("four", "const", 16, 16),
    ];
    assert_eq!(variables, expected);
    let names: Vec<_> = module.entries().map(|entry| &*entry.name).collect();
    assert_eq!(names, ["kernel", "empty"]);
    let kernel = module.entry("kernel").unwrap();
    let parameters = kernel.parameters.iter();
    let parameters: Vec<_> = parameters.map(|p| (p.bytes, p.alignment)).collect();
    assert_eq!(parameters, [(8, 8), (24, 8), (4, 4)]);
    assert_eq!(kernel.line, 13);
    assert_eq!(kernel.max_threads(), Some(256));
    assert_eq!(kernel.directive("minnctapersm"), Some(&[2][..]));
    let body = &TEXT[kernel.body.clone().unwrap()];
    assert!(
        body.starts_with("{\n\t.reg") && body.ends_with("ret;\n}"),
        "{body}"
    );
    assert_eq!(module.entry("empty").unwrap().max_threads(), Some(32));
    let functions: Vec<_> = module.functions.iter().filter(|f| !f.is_entry).collect();
    assert_eq!(
        (&*functions[0].name, functions[0].body.is_some()),
        ("called", false)
    );
    assert_eq!(
        (&*functions[1].name, functions[1].body.is_some()),
        ("helper", true)
    );
}

#[test]
fn mistakes_have_a_line_and_a_cause() {
    let top = ".version 7.0\n.target sm_80\n";
    for (text, line, cause) in [
        ("", 1, "does not begin with .version"),
        (".target sm_80", 1, "does not begin with .version"),
        (".version seven", 1, "`seven` where a version is expected"),
        (".version 7", 1, "`7` is not a version"),
        ("\n\nhello", 3, "`hello` where a directive is expected"),
        (
            &format!("{top}.entry f(\n.param .u64 x,\n"),
            5,
            "the text ends where `.param`",
        ),
        (&format!("{top}.entry f(.param x) {{}}"), 3, "x has no type"),
        (
            &format!("{top}.entry f() {{ {{ }}"),
            3,
            "the text ends where `}`",
        ),
        (
            &format!("{top}.entry f() 7"),
            3,
            "`7` where a directive or a body",
        ),
        (
            &format!("{top}.entry f() .maxntid 5000000000 {{}}"),
            3,
            "`5000000000` is not a number",
        ),
        (
            &format!("{top}.global .b64 x[4294967295][4294967295];"),
            3,
            "x is too large",
        ),
        (&format!("{top}.wrong"), 3, ".wrong is not known here"),
        (&format!("{top}\n/* no end"), 4, "a comment without an end"),
        (
            &format!("{top}.pragma \"no end"),
            3,
            "a text without an end",
        ),
    ] {
        let error = error(text);
        assert_eq!(error.line, line, "{text}: {error}");
        assert!(error.cause.contains(cause), "{text}: {error}");
        assert!(!error.to_string().contains('\n'));
    }
}

proptest! {
    /// Cut, and with a piece of it put elsewhere: an error or a module, and never a panic.
    #[test]
    fn mangled_texts_do_no_harm(cut in 0..TEXT.len(), from in 0..TEXT.len(), len in 0..80usize) {
        let is_there = |at: usize| TEXT.is_char_boundary(at);
        prop_assume!(is_there(cut) && is_there(from));
        let _ = Module::parse(&TEXT[..cut]);
        let piece: String = TEXT[from..].chars().take(len).collect();
        let _ = Module::parse(&format!("{}{piece}{}", &TEXT[..cut], &TEXT[cut..]));
    }

    #[test]
    fn any_text_does_no_harm(text in "[ -~\n\u{e9}]{0,200}") {
        let _ = Module::parse(&text);
        let _ = Module::parse(&format!(".version 7.0 {text}"));
    }
}

#[test]
fn a_body_is_read_statement_by_statement() {
    use ptx_reader::{Constant, Guard, Operand, Statement};
    let text = ".version 8.4 .target sm_80 .address_size 64
        .const .align 8 .u64 table[2] = {generic(first)+8, -1};
        .func (.param .b32 back) twice(.param .b32 x);
        .entry k(.param .u64 p) {
            .reg .pred %p<3>; .reg .b32 %r<9>, %x;
            .loc 1 7 3
            $L1: @!%p1 bra $L2;
            setp.lt.s32 %p1|%p2, %r1, -0x10;
            { .param .b32 a; call.uni (back), twice, (a); }
            ld.global.L2::128B.v2.f32 {%r1, %r2}, [%rd1+-8];
            mov.u32 %r3, %tid.x; mov.b32 %r4, 0fBF800000; mov.u64 %rd1, table+8;
            t: .branchtargets $L1, $L2;
            $L2: bar.sync 0; ret;
        }";
    let module = ptx_reader::Module::parse(text).unwrap();
    let address = Constant::Address {
        name: "first".into(),
        offset: 8,
    };
    assert_eq!(
        module.variables[0].initial,
        [address, Constant::Integer(u64::MAX)]
    );
    assert_eq!(module.functions[0].returns[0].name, "back");
    assert_eq!(module.functions[0].statements(text).unwrap(), []);
    let statements = module.functions[1].statements(text).unwrap();
    let instructions: Vec<_> = statements
        .iter()
        .filter_map(|statement| match statement {
            Statement::Instruction(it) => Some((it.line, it.opcode.join("."), &it.operands)),
            _ => None,
        })
        .collect();
    let name = |name| Operand::Name(name);
    let branch = statements.iter().find_map(|statement| match statement {
        Statement::Instruction(it) => it.guard,
        _ => None,
    });
    let (predicate, negated) = ("%p1", true);
    assert_eq!(branch, Some(Guard { predicate, negated }));
    assert_eq!(instructions[1].2[0], {
        Operand::Pair(Box::new(name("%p1")), Box::new(name("%p2")))
    });
    let minus_16 = Constant::Integer(16u64.wrapping_neg());
    assert_eq!(instructions[1].2[2], Operand::Constant(minus_16));
    assert_eq!(instructions[2].2[2], Operand::List(vec![name("a")]));
    assert_eq!(instructions[3].1, "ld.global.L2::128B.v2.f32");
    assert_eq!(instructions[3].0, 10);
    assert_eq!(
        *instructions[3].2,
        [
            Operand::Vector(vec![name("%r1"), name("%r2")]),
            Operand::Address(Box::new(name("%rd1")), -8)
        ]
    );
    assert_eq!(instructions[4].2[1], name("%tid.x"));
    let minus_one = Constant::F32(0xbf80_0000);
    assert_eq!(instructions[5].2[1], Operand::Constant(minus_one));
    assert_eq!(instructions[6].2[1], Operand::Sum("table", 8));
    assert!(statements.contains(&Statement::Targets("t", vec!["$L1", "$L2"])));
    for (cut, line) in [
        (
            ".version 8.4 .target sm_80 .entry k() {\n add.u32 %r1, %r2;\n mov",
            3,
        ),
        (
            ".version 8.4 .target sm_80 .entry k() {\n add.u32 {%r1, {%r2}};}",
            2,
        ),
        (
            ".version 8.4 .target sm_80 .entry k() {\n ld.u32 %r1, [%r2+];}",
            2,
        ),
        (
            ".version 8.4 .target sm_80 .entry k() {\n mov.u32 %r1, --1;}",
            2,
        ),
    ] {
        let error = ptx_reader::Module::parse(cut)
            .and_then(|module| module.functions[0].statements(cut).map(|_| ()))
            .unwrap_err();
        assert_eq!(error.line, line, "{error}");
    }
}
