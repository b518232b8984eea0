//! Refuses to build a video codec without its assembly.

include!("build/nasm.rs");

fn main() {
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rerun-if-env-changed=OPENH264_NO_ASM");
    println!("cargo::rerun-if-changed=build/nasm.rs");
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let no_asm = std::env::var_os("OPENH264_NO_ASM").is_some();
    if let Some(complaint) = nasm_complaint(&arch, std::env::var_os("PATH").as_deref(), no_asm) {
        println!("cargo::error={complaint}");
        std::process::exit(1);
    }
}
