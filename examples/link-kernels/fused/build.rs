//! The kernel crate as PTX.

fn main() {
    let built = ptx_builder::PtxBuilder::new("../fused-kernels")
        .arch("sm_80")
        .build()
        .unwrap_or_else(|error| {
            eprintln!("{error}");
            std::process::exit(1)
        });
    println!(
        "cargo:rustc-env=FUSED_PTX={}",
        built.modules[0].path.display()
    );
}
