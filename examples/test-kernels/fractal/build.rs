//! The kernel crate as PTX.

fn main() {
    let built = ptx_builder::PtxBuilder::new("../kernels")
        .arch("sm_80")
        .build()
        .unwrap_or_else(|error| {
            eprintln!("{error}");
            std::process::exit(1)
        });
    let path = built.modules[0].path.display();
    println!("cargo:rustc-env=FRACTAL_PTX={path}");
}
