//! What exactly was installed: names, versions and digests. Pure.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One package as it was installed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Digests that its archive may have, each as `ALGORITHM-BASE64` (npm) or `sha256:HEX`. Empty where the archive has
    /// none that is the same twice, as a checkout of sources.
    pub hashes: Vec<String>,
}

// === impl Pin ===

impl Pin {
    /// Whether it can stand in a file of requirements without being anything else there: such a file may also have flags
    /// in it, and a lock comes with a project that somebody else wrote.
    pub fn is_plain(&self) -> bool {
        let word = |text: &str, more: &str| {
            text.starts_with(|c: char| c.is_ascii_alphanumeric())
                && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        let digest = |hash: &String| {
            hash.strip_prefix("sha256:")
                .is_some_and(|hex| word(hex, "") && hex.bytes().all(|b| b.is_ascii_hexdigit()))
        };
        word(&self.name, ".-_") && word(&self.version, ".-_!+") && self.hashes.iter().all(digest)
    }

    /// Whether this is what another pin asks for, which may allow several archives.
    pub fn fulfils(&self, wanted: &Self) -> bool {
        let same = (&self.name, &self.version) == (&wanted.name, &wanted.version);
        same && self.hashes.iter().all(|hash| wanted.hashes.contains(hash))
    }
}

/// The packages of npm's own lock file.
pub fn of_npm(lock: &Value) -> Vec<Pin> {
    let packages = lock["packages"].as_object().into_iter().flatten();
    let mut pins: Vec<Pin> = packages
        .filter_map(|(path, package)| {
            let name = path.rsplit_once("node_modules/")?.1;
            // What another package brings along is part of its archive.
            if package["inBundle"] == true {
                return None;
            }
            let text = |key: &str| package[key].as_str().map(str::to_owned);
            let hashes = text("integrity").map(|all| all.split(' ').map(str::to_owned).collect());
            Some(Pin {
                name: text("name").unwrap_or_else(|| name.to_owned()),
                version: text("version").unwrap_or_default(),
                hashes: hashes.unwrap_or_default(),
            })
        })
        .collect();
    pins.sort();
    pins.dedup();
    pins
}

/// Whether a lock of npm puts everything below `node_modules` of its own directory.
pub fn stays_below(lock: &Value) -> bool {
    let packages = lock["packages"].as_object().into_iter().flatten();
    packages.filter(|(path, _)| !path.is_empty()).all(|(path, package)| {
        let below =
            path.starts_with("node_modules/") && path.split('/').all(|part| ![".", ".."].contains(&part));
        below && package["link"] != true
    })
}

/// The package of a file that pip fetched, by the file's name. `None` for what is no wheel and no source distribution of
/// a version: nobody could ask for the same again.
pub fn of_file(name: &str, digest: &str) -> Option<Pin> {
    let (name, version) = match name.strip_suffix(".whl") {
        Some(stem) => {
            let mut parts = stem.split('-');
            (parts.next()?, parts.next()?)
        }
        None => name.strip_suffix(".tar.gz")?.rsplit_once('-')?,
    };
    let numbered = version.starts_with(|c: char| c.is_ascii_digit());
    let hashes = vec![digest.to_owned()];
    numbered.then(|| Pin { name: name.replace('_', "-").to_lowercase(), version: version.to_owned(), hashes })
}

/// A file of requirements that nothing else fulfils.
pub fn requirements(pins: &[Pin]) -> String {
    let line = |pin: &Pin| {
        let hashes: String = pin.hashes.iter().map(|hash| format!(" --hash={hash}")).collect();
        format!("{}=={}{hashes}\n", pin.name, pin.version)
    };
    pins.iter().map(line).collect()
}

/// Reads such a file, as uv writes it: an entry may go on after `\`, and `#` begins a comment.
pub fn of_requirements(text: &str) -> Vec<Pin> {
    let plain: Vec<&str> = text.lines().map(|line| line.split(" #").next().unwrap_or(line)).collect();
    let joined = plain.join("\n").replace("\\\n", " ");
    let entry = |line: &str| {
        let mut words = line.split_whitespace();
        let (name, version) = words.next()?.split_once("==")?;
        let hashes = words.filter_map(|word| word.strip_prefix("--hash=")).map(str::to_owned).collect();
        let name = name.split('[').next().unwrap_or(name);
        Some(Pin { name: name.to_owned(), version: version.trim_end_matches(';').to_owned(), hashes })
    };
    let mut pins: Vec<Pin> =
        joined.lines().filter(|line| !line.trim_start().starts_with('#')).filter_map(entry).collect();
    pins.sort();
    pins
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_an_index_are_pinned_and_checkouts_are_not() {
        let pin = of_file("Some_Tool-1.2.3-py3-none-any.whl", "sha256:ab").expect("a pin");
        assert_eq!((pin.name.as_str(), pin.version.as_str()), ("some-tool", "1.2.3"));
        assert_eq!(of_file("a-b-2.0.tar.gz", "ab").expect("a pin").name, "a-b");
        assert_eq!((of_file("tool.zip", "ab"), of_file("tool-main.tar.gz", "ab")), (None, None));
    }

    #[test]
    fn requirements_are_read_as_they_are_written() {
        let hashes = vec!["sha256:ab".to_owned(), "sha256:cd".to_owned()];
        let pins = vec![Pin { name: "a".into(), version: "1".into(), hashes }];
        assert_eq!(of_requirements(&requirements(&pins)), pins);
        let uvs = "# by uv\na==1 \\\n    --hash=sha256:ab \\\n    --hash=sha256:cd\n    # via b\n";
        assert_eq!(of_requirements(uvs), pins);
    }

    #[test]
    fn a_lock_of_npm_names_every_package_once() {
        let lock = serde_json::json!({ "packages": {
            "": {}, "node_modules/a": { "version": "1.0.0", "integrity": "sha512-x" },
            "node_modules/a/node_modules/@s/b": { "version": "2.0.0", "integrity": "sha512-y" },
            "node_modules/@s/b": { "version": "2.0.0", "integrity": "sha512-y" },
        }});
        let names: Vec<_> =
            of_npm(&lock).into_iter().map(|pin| format!("{}@{}", pin.name, pin.version)).collect();
        assert_eq!(names, ["@s/b@2.0.0", "a@1.0.0"]);
    }
}
