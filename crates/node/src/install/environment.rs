//! The environment of an installer: what it needs to reach a registry, and nothing else of the node's. Pure.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// Variables that are passed on: programs, language, proxies, certificates, registries, and where version switchers keep
/// what their shims start. An address of a registry may hold its own credentials; they are for that registry.
const PASSED: &[&str] = &[
    "PATH",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "PIP_CERT",
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
    "npm_config_cafile",
    "npm_config_https_proxy",
    "npm_config_noproxy",
    "npm_config_proxy",
    "npm_config_registry",
    "npm_config_userconfig",
    "NPM_CONFIG_CAFILE",
    "NPM_CONFIG_HTTPS_PROXY",
    "NPM_CONFIG_NOPROXY",
    "NPM_CONFIG_PROXY",
    "NPM_CONFIG_REGISTRY",
    "NPM_CONFIG_USERCONFIG",
    "ASDF_DATA_DIR",
    "ASDF_DIR",
    "MISE_DATA_DIR",
    "NVM_DIR",
    "PYENV_ROOT",
    "PYENV_VERSION",
    "VOLTA_HOME",
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
    ("VOLTA_HOME", ".volta"),
];

/// True for a variable that says where packages are.
pub(super) fn is_registry(name: &str) -> bool {
    REGISTRIES.iter().any(|same| same.contains(&name))
}

/// The whole environment. `home` is a directory of the store; `registries` are the server's own, `var` looks up the node's
/// own environment, `exists` the host.
pub(super) fn environment(
    home: &Path,
    registries: &[(String, String)],
    var: &dyn Fn(&str) -> Option<OsString>,
    exists: &dyn Fn(&Path) -> bool,
) -> Vec<(String, OsString)> {
    let var = |name: &str| {
        if let Some((_, value)) = registries.iter().find(|(own, _)| own == name) {
            return Some(OsString::from(value));
        }
        let same = REGISTRIES.iter().find(|same| same.contains(&name)).copied().unwrap_or_default();
        let replaced = registries.iter().any(|(own, _)| same.contains(&own.as_str()));
        if replaced { None } else { var(name) }
    };
    let mut env: Vec<(String, OsString)> =
        PASSED.iter().filter_map(|name| Some(((*name).to_owned(), var(name)?))).collect();
    let users = var("HOME").map(PathBuf::from).unwrap_or_default();
    for (name, file) in SETTINGS {
        let file = users.join(file);
        if !env.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
            && file.is_absolute()
            && exists(&file)
        {
            env.push(((*name).to_owned(), file.into_os_string()));
        }
    }
    // What is asked of uvx is done by pip, which knows its own variables only.
    let default = ["UV_DEFAULT_INDEX", "UV_INDEX_URL"].iter().find_map(|name| var(name));
    if let (Some(url), None) = (default, var("PIP_INDEX_URL")) {
        env.push(("PIP_INDEX_URL".to_owned(), url));
    }
    env.push(("HOME".to_owned(), home.as_os_str().to_owned()));
    env
}

/// Where a program is, by the `PATH` of that environment.
pub(super) fn program(
    name: &str,
    env: &[(String, OsString)],
    is_program: &dyn Fn(&Path) -> bool,
) -> Option<PathBuf> {
    let (_, path) = env.iter().find(|(key, _)| key == "PATH")?;
    let dirs = std::env::split_paths(path).filter(|dir| dir.is_absolute());
    dirs.map(|dir| dir.join(name)).find(|file| is_program(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installer_is_told_of_registries_and_of_nothing_secret() {
        let var = |name: &str| {
            let value = match name {
                "HOME" => "/home/u",
                "PATH" => "/usr/bin",
                "HTTPS_PROXY" => "http://proxy",
                "UV_INDEX_URL" => "https://a.example",
                "AWS_SECRET_ACCESS_KEY"
                | "GITHUB_TOKEN"
                | "NPM_TOKEN"
                | "NODE_OPTIONS"
                | "PYTHONPATH"
                | "LD_PRELOAD" => "secret",
                _ => return None,
            };
            Some(value.into())
        };
        let exists = |path: &Path| path == Path::new("/home/u/.npmrc");
        let env = environment(Path::new("/store/home"), &[], &var, &exists);
        let get = |name: &str| env.iter().find(|(key, _)| key == name).and_then(|(_, value)| value.to_str());
        assert_eq!(get("HOME"), Some("/store/home"));
        assert_eq!(get("npm_config_userconfig"), Some("/home/u/.npmrc"));
        assert_eq!((get("PIP_INDEX_URL"), get("PIP_CONFIG_FILE")), (Some("https://a.example"), None));
        assert_eq!((get("PATH"), get("HTTPS_PROXY")), (Some("/usr/bin"), Some("http://proxy")));
        assert!(env.iter().all(|(_, value)| value != "secret"), "{env:?}");
    }

    #[test]
    fn a_registry_of_the_server_takes_the_place_of_the_nodes() {
        let nodes = ["PATH", "PIP_INDEX_URL", "UV_DEFAULT_INDEX", "NPM_CONFIG_REGISTRY"];
        let var = |name: &str| nodes.contains(&name).then(|| "node's".into());
        let own = [("UV_INDEX_URL", "own"), ("npm_config_registry", "own")];
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let env = environment(Path::new("/store/home"), &own, &var, &|_| false);
        let get = |name: &str| env.iter().find(|(key, _)| key == name).and_then(|(_, value)| value.to_str());
        assert_eq!(
            (get("PIP_INDEX_URL"), get("UV_INDEX_URL"), get("UV_DEFAULT_INDEX")),
            (Some("own"), Some("own"), None)
        );
        assert_eq!(
            (get("npm_config_registry"), get("NPM_CONFIG_REGISTRY"), get("PATH")),
            (Some("own"), None, Some("node's"))
        );
    }
}
