//! Collects the pages of `docs/errors` into the binary.

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
    fs::write(Path::new(&env::var("OUT_DIR")?).join("error_pages.rs"), format!("&[\n{list}]\n"))?;
    Ok(())
}
