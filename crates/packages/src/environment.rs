//! The environment of an installer: what it needs to reach a registry, and nothing else of the node's. Pure.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

/// Variables that are passed on: language, proxies, certificates and registries. An address of a registry may hold its
/// own credentials; they are for that registry.
const PASSED: &[&str] = &[
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "PIP_CONFIG_FILE",
    "PIP_DEFAULT_TIMEOUT",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_INDEX_URL",
    "PIP_NO_INDEX",
    "PIP_PROXY",
    "PIP_RETRIES",
    "PIP_TRUSTED_HOST",
    "UV_CONFIG_FILE",
    "UV_DEFAULT_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_NATIVE_TLS",
    "UV_SYSTEM_CERTS",
    "npm_config_https_proxy",
    "npm_config_noproxy",
    "npm_config_proxy",
    "npm_config_registry",
    "npm_config_userconfig",
    "NPM_CONFIG_HTTPS_PROXY",
    "NPM_CONFIG_NOPROXY",
    "NPM_CONFIG_PROXY",
    "NPM_CONFIG_REGISTRY",
    "NPM_CONFIG_USERCONFIG",
];

/// What also code of a package is told: language, time zone, and whom to trust. None of it is secret.
const HARMLESS: &[&str] = &[
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "PIP_CERT",
    "npm_config_cafile",
    "NPM_CONFIG_CAFILE",
];

/// Those of them that name files, to be shown to the installer.
const FILES: &[&str] = &[
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "PIP_CERT",
    "npm_config_cafile",
    "NPM_CONFIG_CAFILE",
];

/// Those that name settings and stores of packages.
const SETTINGS_FILES: &[&str] = &[
    "PIP_CONFIG_FILE",
    "PIP_FIND_LINKS",
    "UV_CONFIG_FILE",
    "npm_config_userconfig",
    "NPM_CONFIG_USERCONFIG",
];

/// Variables that say where packages are, and may stand in a server's own environment. Those of one line mean the same
/// thing, and one of them puts the node's others out of force.
const REGISTRIES: &[&[&str]] = &[
    &["PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"],
    &["PIP_EXTRA_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL"],
    &["PIP_FIND_LINKS"],
    &["PIP_NO_INDEX"],
    &["PIP_TRUSTED_HOST"],
    &["npm_config_registry", "NPM_CONFIG_REGISTRY"],
];

/// Variables, and files below the user's home that name registries: they are found there no more when `HOME` is another.
const SETTINGS: &[(&str, &str)] = &[
    ("npm_config_userconfig", ".npmrc"),
    ("PIP_CONFIG_FILE", ".config/pip/pip.conf"),
    ("PIP_CONFIG_FILE", ".pip/pip.conf"),
    ("UV_CONFIG_FILE", ".config/uv/uv.toml"),
];

/// True for a variable that says where packages are.
pub fn is_registry(name: &str) -> bool {
    REGISTRIES.iter().any(|same| same.contains(&name))
}

/// Looks up the node's own environment, with a server's own registries in the place of the node's.
pub fn replaced(
    registries: &[(String, String)],
    name: &str,
    var: &dyn Fn(&str) -> Option<OsString>,
) -> Option<OsString> {
    if let Some((_, value)) = registries.iter().find(|(own, _)| own == name) {
        return Some(OsString::from(value));
    }
    let same = REGISTRIES.iter().find(|same| same.contains(&name)).copied().unwrap_or_default();
    let replaced = registries.iter().any(|(own, _)| same.contains(&own.as_str()));
    if replaced { None } else { var(name) }
}

/// Settings of the whole machine.
const MACHINES: &[&str] =
    &["/etc/npmrc", "/etc/pip.conf", "/etc/xdg/pip/pip.conf", "/etc/uv/uv.toml", "/etc/xdg/uv/uv.toml"];

/// What an installer is told, and what it is shown for that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The whole environment, beside a cell's own.
    pub env: BTreeMap<String, String>,
    /// Files and directories that it names.
    pub files: Vec<PathBuf>,
}

// === impl Surroundings ===

impl Surroundings {
    /// Of an installer that fetches. `var` looks up the node's own environment, `exists` the host. A value that is no
    /// UTF-8 is left out.
    pub fn of_installer(var: &dyn Fn(&str) -> Option<OsString>, exists: &dyn Fn(&Path) -> bool) -> Self {
        let mut found = Self::of_code(var);
        found.env.extend(PASSED.iter().filter_map(|name| Some(((*name).to_owned(), text(var(name)?)?))));
        let users = var("HOME").map(PathBuf::from).unwrap_or_default();
        for (name, file) in SETTINGS {
            let file = users.join(file);
            let set = found.env.keys().any(|known| known.eq_ignore_ascii_case(name));
            if !set && file.is_absolute() && exists(&file) {
                found.env.extend(file.to_str().map(|file| ((*name).to_owned(), file.to_owned())));
            }
        }
        // What is asked of uvx is done by pip, which knows its own variables only.
        let default = ["UV_DEFAULT_INDEX", "UV_INDEX_URL"].iter().find_map(|name| found.env.get(*name));
        if let (Some(url), false) = (default.cloned(), found.env.contains_key("PIP_INDEX_URL")) {
            found.env.insert("PIP_INDEX_URL".to_owned(), url);
        }
        let named: Vec<PathBuf> = named(&found.env, SETTINGS_FILES);
        found.files.extend(named);
        found.files.extend(MACHINES.iter().map(PathBuf::from).filter(|file| exists(file)));
        found
    }

    /// Of a package's own code: whom to trust, and no credentials.
    pub fn of_code(var: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let pairs = HARMLESS.iter().filter_map(|name| Some(((*name).to_owned(), text(var(name)?)?)));
        let env: BTreeMap<String, String> = pairs.collect();
        Self { files: named(&env, FILES), env }
    }
}

/// Absolute paths in these variables. `PIP_FIND_LINKS` may have several, between spaces.
fn named(env: &BTreeMap<String, String>, names: &[&str]) -> Vec<PathBuf> {
    let values = names.iter().filter_map(|name| env.get(*name));
    values.flat_map(|value| value.split_whitespace()).map(PathBuf::from).filter(|p| p.is_absolute()).collect()
}

fn text(value: OsString) -> Option<String> {
    value.into_string().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn var(name: &str) -> Option<OsString> {
        let value = match name {
            "HOME" => "/home/u",
            "HTTPS_PROXY" => "http://proxy",
            "UV_INDEX_URL" => "https://a.example",
            "SSL_CERT_FILE" => "/opt/ca.pem",
            "AWS_SECRET_ACCESS_KEY"
            | "GITHUB_TOKEN"
            | "NPM_TOKEN"
            | "NODE_OPTIONS"
            | "PYTHONPATH"
            | "LD_PRELOAD" => "secret",
            _ => return None,
        };
        Some(value.into())
    }

    #[test]
    fn an_installer_is_told_of_registries_and_of_nothing_secret() {
        let exists = |path: &Path| path == Path::new("/home/u/.npmrc");
        let told = Surroundings::of_installer(&var, &exists);
        let get = |name: &str| told.env.get(name).map(String::as_str);
        assert_eq!(get("npm_config_userconfig"), Some("/home/u/.npmrc"));
        assert_eq!((get("PIP_INDEX_URL"), get("PIP_CONFIG_FILE")), (Some("https://a.example"), None));
        assert_eq!((get("HTTPS_PROXY"), get("HOME")), (Some("http://proxy"), None));
        assert!(told.env.values().all(|value| value != "secret"), "{told:?}");
        assert_eq!(told.files, [Path::new("/opt/ca.pem"), Path::new("/home/u/.npmrc")]);
    }

    #[test]
    fn code_of_a_package_is_told_of_no_registry_and_shown_no_settings() {
        let told = Surroundings::of_code(&var);
        assert_eq!(told.env.keys().collect::<Vec<_>>(), ["SSL_CERT_FILE"]);
        assert_eq!(told.files, [Path::new("/opt/ca.pem")]);
    }

    #[test]
    fn a_registry_of_the_server_takes_the_place_of_the_nodes() {
        let nodes = ["PIP_INDEX_URL", "UV_DEFAULT_INDEX", "NPM_CONFIG_REGISTRY", "LANG"];
        let var = |name: &str| nodes.contains(&name).then(|| "node's".into());
        let own = [("UV_INDEX_URL", "own"), ("npm_config_registry", "own")];
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let told = Surroundings::of_installer(&|name| replaced(&own, name, &var), &|_| false);
        let get = |name: &str| told.env.get(name).map(String::as_str);
        assert_eq!(
            (get("PIP_INDEX_URL"), get("UV_INDEX_URL"), get("UV_DEFAULT_INDEX")),
            (Some("own"), Some("own"), None)
        );
        assert_eq!(
            (get("npm_config_registry"), get("NPM_CONFIG_REGISTRY"), get("LANG")),
            (Some("own"), None, Some("node's"))
        );
    }
}
