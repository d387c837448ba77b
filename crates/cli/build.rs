//! Collects the pages of `docs/errors` into the binary, and has it linked small.

use std::{env, fs, path::Path};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pages = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../docs/errors");
    println!("cargo::rerun-if-changed={}", pages.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(&pages)? {
        let path = entry?.path();
        let code = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default().to_owned();
        if code.starts_with("CE") {
            found.push((code, fs::read_to_string(&path)?));
        }
    }
    found.sort();
    let list: String = found.iter().map(|(code, text)| format!("({code:?}, {text:?}),\n")).collect();
    packed_relocations();
    fs::write(Path::new(&env::var("OUT_DIR")?).join("error_pages.rs"), format!("&[\n{list}]\n"))?;
    Ok(())
}

/// The addresses that the loader has to correct take a sixteenth of the file as plain entries, all of which are read, and
/// so become memory, at every start. Packed (DT_RELR) they are a few kilobytes. glibc reads that from 2.36 on; what is
/// built here needs the glibc that it was built with anyway. A linker that does not know the word says so and goes on.
fn packed_relocations() {
    let target = |key: &str| env::var(key).unwrap_or_default();
    if target("CARGO_CFG_TARGET_OS") == "linux" && target("CARGO_CFG_TARGET_ENV") == "gnu" {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
