//! The build says in a sentence when the assembler is missing.

#![allow(clippy::unwrap_used, missing_docs)]

use std::ffi::OsStr;

include!("../build/nasm.rs");

unsafe extern "C" {
    /// openh264's processor detection: defined only in its assembly, so without it this test does not even link.
    #[cfg(target_arch = "x86_64")]
    fn WelsCPUIdVerify() -> i32;
}

#[test]
fn a_path_without_nasm_is_refused_with_what_to_do() {
    let sentence = nasm_complaint("x86_64", Some(OsStr::new("/nowhere:/nor/here")), false).unwrap();
    assert!(sentence.contains("nasm") && sentence.contains("apt install"), "{sentence}");
    assert!(nasm_complaint("x86_64", None, false).is_some());
}

#[test]
fn switching_the_assembly_off_is_refused() {
    assert!(nasm_complaint("x86_64", std::env::var_os("PATH").as_deref(), true).is_some());
}

#[test]
fn arm_needs_no_nasm_and_this_machine_has_what_it_needs() {
    assert_eq!(nasm_complaint("aarch64", None, false), None);
    assert_eq!(nasm_complaint(std::env::consts::ARCH, std::env::var_os("PATH").as_deref(), false), None);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_codec_was_built_with_its_assembly() {
    // Linked at all, which is the point. SAFETY: takes nothing, reads the processor's flags.
    let _codec = openh264::OpenH264API::from_source();
    assert_ne!(unsafe { WelsCPUIdVerify() }, 0);
}
