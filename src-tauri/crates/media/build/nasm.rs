// Included by the build script and by its test.

/// What to tell the person who builds, if the H.264 codec would silently be built without its assembly, which makes it
/// 2.5 to 4.5 times slower. Only x86 needs the nasm assembler; the C compiler assembles for ARM.
fn nasm_complaint(arch: &str, path: Option<&std::ffi::OsStr>, no_asm: bool) -> Option<String> {
    if !matches!(arch, "x86" | "x86_64") {
        return None;
    }
    if no_asm {
        return Some("OPENH264_NO_ASM is set, which makes video several times slower: unset it and build again.".into());
    }
    let name = if cfg!(windows) { "nasm.exe" } else { "nasm" };
    let found = path.is_some_and(|path| std::env::split_paths(path).any(|folder| folder.join(name).is_file()));
    (!found).then(|| {
        "The nasm assembler is missing, without which video is several times slower. \
         Install it (Debian, Ubuntu: sudo apt install nasm; macOS: brew install nasm; \
         Windows: winget install nasm, then add it to PATH) and build again."
            .into()
    })
}
