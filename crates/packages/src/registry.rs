//! Which hosts an installer may reach: those that its own configuration names. No registry is known to Cella by name.
//! Pure: what the tools answer comes from outside.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use cella_contract::EgressGrant;
use serde::Deserialize;
use serde_json::Value;

use crate::{Index, Recipe};

/// Variables that name a proxy.
const PROXIES: [&str; 6] =
    ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];

/// Variables that name indexes for uv: one, or several between spaces, each perhaps as `name=address`.
const UV_INDEXES: [&str; 4] = ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL"];

/// Asks pip for its effective settings and for what it takes where nothing is set; it prints one line of JSON.
pub const ASK_PIP: &str = "\
import json
from pip._internal.commands import create_command
from pip._internal.models.index import PyPI
o, _ = create_command('download').parse_args([])
print(json.dumps({'index': o.index_url, 'extra': list(o.extra_index_urls), 'links': list(o.find_links),
 'proxy': o.proxy, 'cert': o.cert, 'default': PyPI.simple_url, 'files': PyPI.file_storage_domain}))
";

/// Hosts to be reached and files to be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Entries of `egress`.
    pub grants: BTreeSet<String>,
    /// Files that the settings name.
    pub files: Vec<PathBuf>,
    /// Proxies, under the variable that names each to the installer.
    pub proxies: BTreeMap<String, String>,
}

/// An address that cannot be granted, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Without credentials.
    pub url: String,
    /// What is wrong with it.
    pub why: String,
}

/// What pip answers to [`ASK_PIP`].
#[derive(Debug, Deserialize)]
pub struct PipSettings {
    index: Option<String>,
    extra: Vec<String>,
    links: Vec<String>,
    proxy: Option<String>,
    cert: Option<String>,
    default: String,
    files: String,
}

// === impl Reach ===

impl Reach {
    /// What npm's own list of its settings (`npm config list --json`) comes to.
    pub fn of_npm(
        settings: &Value,
        recipe: &Recipe,
        env: &BTreeMap<String, String>,
    ) -> Result<Self, Unreadable> {
        let mut reach = Self::of_recipe(recipe, env)?;
        for (key, value) in settings.as_object().into_iter().flatten() {
            let is_registry = key == "registry" || (key.starts_with('@') && key.ends_with(":registry"));
            match (key.as_str(), value.as_str()) {
                (_, Some(url)) if is_registry => reach.add(url)?,
                ("cafile", Some(file)) => reach.files.push(file.into()),
                ("proxy" | "http-proxy", Some(url)) => reach.proxy("npm_config_proxy", url),
                ("https-proxy", Some(url)) => reach.proxy("npm_config_https_proxy", url),
                _ => {}
            }
        }
        Ok(reach)
    }

    /// What pip's settings come to. The files of pip's own default index are on a host of their own, which pip names.
    pub fn of_pip(
        settings: &PipSettings,
        recipe: &Recipe,
        env: &BTreeMap<String, String>,
    ) -> Result<Self, Unreadable> {
        let mut reach = Self::of_recipe(recipe, env)?;
        let instead = recipe.indexes.iter().find_map(|index| match index {
            Index::Instead(url) => Some(url.as_str()),
            Index::Before(_) => None,
        });
        let index = instead.or(settings.index.as_deref()).unwrap_or(&settings.default);
        for url in settings.extra.iter().map(String::as_str).chain([index]) {
            reach.add(url)?;
        }
        for link in &settings.links {
            if link.contains("://") {
                reach.add(link)?;
            } else {
                reach.files.push(link.into());
            }
        }
        reach.files.extend(settings.cert.as_ref().map(PathBuf::from));
        if let Some(proxy) = &settings.proxy {
            reach.proxy("PIP_PROXY", proxy);
        }
        if host(index) == host(&settings.default) {
            reach.add(&format!("https://{}", settings.files))?;
        }
        Ok(reach)
    }

    /// The same for uv, which reads variables and a file of its own beside.
    pub fn with_uv(mut self, file: Option<&str>, env: &BTreeMap<String, String>) -> Result<Self, Unreadable> {
        let named = UV_INDEXES.iter().filter_map(|name| env.get(*name)).flat_map(|list| list.split(' '));
        for entry in named.filter(|entry| !entry.is_empty()) {
            self.add(
                entry.split_once('=').filter(|(name, _)| !name.contains(':')).map_or(entry, |(_, url)| url),
            )?;
        }
        let quoted = file.into_iter().flat_map(|text| text.split(['"', '\'']));
        for url in quoted.filter(|text| text.starts_with("https://") || text.starts_with("http://")) {
            self.add(url)?;
        }
        Ok(self)
    }

    /// What the command line itself names, the proxies of the environment, and what the user grants beside.
    fn of_recipe(recipe: &Recipe, env: &BTreeMap<String, String>) -> Result<Self, Unreadable> {
        let mut reach = Self::default();
        reach.grants.extend(recipe.allowed.egress.iter().cloned());
        for index in &recipe.indexes {
            let (Index::Instead(url) | Index::Before(url)) = index;
            reach.add(url)?;
        }
        let places = recipe.packages.iter().filter_map(|package| {
            let place = package.rsplit("@ ").next().unwrap_or(package).trim();
            place.contains("://").then(|| place.trim_start_matches("git+"))
        });
        for url in places.filter(|url| url.starts_with("http")) {
            reach.add(url)?;
        }
        for name in PROXIES {
            if let Some(url) = env.get(name) {
                reach.proxy(name, url);
            }
        }
        Ok(reach)
    }

    fn proxy(&mut self, variable: &str, url: &str) {
        if !url.is_empty() {
            self.proxies.insert(variable.to_owned(), url.to_owned());
        }
    }

    /// Names of proxies, whose addresses [`Reach::through`] wants to know.
    pub fn proxy_names(&self) -> BTreeSet<(String, u16)> {
        let hosts = self.proxies.values().filter_map(|url| host(url));
        hosts.filter(|(host, _)| host.trim_matches(['[', ']']).parse::<IpAddr>().is_err()).collect()
    }

    /// Grants the proxies. What is said to a proxy names somebody else, which a grant of its name would not allow; so it is
    /// granted, and told to the installer, by its address. One that is spoken to in TLS shows its own name there.
    pub fn through(mut self, addresses: &BTreeMap<(String, u16), IpAddr>) -> Result<Self, Unreadable> {
        for (variable, url) in std::mem::take(&mut self.proxies) {
            if url.starts_with("https://") {
                self.add(&url)?;
                self.proxies.insert(variable, url);
                continue;
            }
            let unreadable = |why: &str| Unreadable { url: without_credentials(&url), why: why.into() };
            let place = host(&url).ok_or_else(|| unreadable("it names no host"))?;
            let literal = place.0.trim_matches(['[', ']']).parse().ok();
            let address = literal.or_else(|| addresses.get(&place).copied());
            let address = address.ok_or_else(|| unreadable("the proxy has no address"))?;
            let socket = SocketAddr::new(address, place.1).to_string();
            self.add(&format!("http://{socket}"))?;
            let (scheme, rest) = url.split_once("://").unwrap_or(("http", &url));
            let credentials = rest.split('/').next().and_then(|authority| authority.rsplit_once('@'));
            let credentials = credentials.map(|(user, _)| format!("{user}@")).unwrap_or_default();
            self.proxies.insert(variable, format!("{scheme}://{credentials}{socket}"));
        }
        Ok(self)
    }

    fn add(&mut self, url: &str) -> Result<(), Unreadable> {
        if url.starts_with("file:") || url.starts_with('/') {
            self.files.push(url.trim_start_matches("file://").into());
            return Ok(());
        }
        let unreadable = |why: String| Unreadable { url: without_credentials(url), why };
        let (host, port) = host(url).ok_or_else(|| unreadable("it names no host".into()))?;
        let grant: EgressGrant = format!("{host}:{port}")
            .parse()
            .map_err(|e: cella_contract::EgressFault| unreadable(e.to_string()))?;
        self.grants.insert(grant.to_string());
        Ok(())
    }
}

/// Host and port of an address. One without a scheme is that of a proxy. A proxy on this machine is named by its address,
/// because inside a cell `localhost` is the cell.
fn host(url: &str) -> Option<(String, u16)> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let port = match scheme {
        "https" => 443,
        scheme if scheme.starts_with("socks") => 1080,
        _ => 80,
    };
    let authority = rest.split(['/', '?', '#']).next()?;
    let place = authority.rsplit('@').next()?;
    let authority: http::uri::Authority = place.parse().ok()?;
    let host = authority.host().to_ascii_lowercase();
    let host = if host == "localhost" { "127.0.0.1".to_owned() } else { host };
    (!host.is_empty()).then_some((host, authority.port_u16().unwrap_or(port)))
}

/// The address as it may be shown.
pub fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.rsplit('@').next().unwrap_or(url).to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    format!("{scheme}://{}{path}", authority.rsplit('@').next().unwrap_or(authority))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(line: &str) -> Recipe {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        Recipe::read(&words[0], &words[1..]).expect("readable").expect("a recipe")
    }

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn pip(index: Option<&str>) -> PipSettings {
        PipSettings {
            index: index.map(str::to_owned),
            extra: vec![],
            links: vec!["/wheels".into()],
            proxy: None,
            cert: Some("/ca.pem".into()),
            default: "https://index.example/simple".into(),
            files: "files.example".into(),
        }
    }

    #[test]
    fn npm_reaches_its_registries_and_proxies_and_nothing_else() {
        let settings = serde_json::json!({
            "registry": "https://npm.example/", "@own:registry": "https://u:p@own.example:8443/npm/",
            "https-proxy": "http://u:p@10.0.0.1:3128", "cafile": "/ca.pem", "editor": "https://x.example",
        });
        let reach = Reach::of_npm(&settings, &recipe("npx tool"), &BTreeMap::new()).expect("readable");
        let reach = reach.through(&BTreeMap::new()).expect("an address");
        let grants: Vec<&str> = reach.grants.iter().map(String::as_str).collect();
        assert_eq!(grants, ["10.0.0.1:3128", "npm.example:443", "own.example:8443"]);
        assert_eq!(reach.files, [PathBuf::from("/ca.pem")]);
    }

    #[test]
    fn pip_reaches_the_host_of_files_only_where_its_own_index_is_used() {
        let of = |line: &str, index| {
            let reach = Reach::of_pip(&pip(index), &recipe(line), &BTreeMap::new()).expect("readable");
            reach.grants.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(of("uvx tool", None), ["files.example:443", "index.example:443"]);
        assert_eq!(of("uvx tool", Some("https://own.example/s")), ["own.example:443"]);
        assert_eq!(of("uvx -i http://own.example/s tool", None), ["own.example:80"]);
        assert_eq!(
            of("uvx --from https://b.example/a-1-py3-none-any.whl a", Some("https://own.example")),
            ["b.example:443", "own.example:443"]
        );
    }

    #[test]
    fn uv_reaches_what_its_variables_and_its_file_name() {
        let env = env(&[
            ("UV_INDEX", "own=https://a.example/s https://b.example/?x=1"),
            ("https_proxy", "localhost:3128"),
        ]);
        let reach =
            Reach::of_pip(&pip(Some("https://c.example")), &recipe("uvx tool"), &env).expect("readable");
        let reach =
            reach.with_uv(Some("[[index]]\nurl = \"https://d.example/s\"\n"), &env).expect("readable");
        let reach = reach.through(&BTreeMap::new()).expect("an address");
        let grants: Vec<&str> = reach.grants.iter().map(String::as_str).collect();
        assert_eq!(
            grants,
            ["127.0.0.1:3128", "a.example:443", "b.example:443", "c.example:443", "d.example:443"]
        );
    }

    #[test]
    fn a_proxy_is_granted_and_told_by_its_address() {
        let env = env(&[
            ("HTTP_PROXY", "http://u:p@proxy.example:3128/"),
            ("HTTPS_PROXY", "https://tls.example"),
            ("ALL_PROXY", "socks5://[2001:db8::1]"),
        ]);
        let reach = Reach::of_npm(&Value::Null, &recipe("npx tool"), &env).expect("readable");
        let name = ("proxy.example".to_owned(), 3128);
        assert!(reach.proxy_names().contains(&name));
        assert!(reach.clone().through(&BTreeMap::new()).is_err(), "without an address nothing is granted");
        let address: IpAddr = [192, 0, 2, 1].into();
        let reach = reach.through(&BTreeMap::from([(name, address)])).expect("an address");
        let grants: Vec<&str> = reach.grants.iter().map(String::as_str).collect();
        assert_eq!(grants, ["192.0.2.1:3128", "[2001:db8::1]:1080", "tls.example:443"]);
        let told = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].map(|name| reach.proxies[name].as_str());
        assert_eq!(told, ["http://u:p@192.0.2.1:3128", "https://tls.example", "socks5://[2001:db8::1]:1080"]);
    }

    #[test]
    fn credentials_are_never_shown() {
        assert_eq!(without_credentials("https://u:p@a.example/x@y"), "https://a.example/x@y");
        assert_eq!(without_credentials("u:p@proxy:1"), "proxy:1");
        let mut reach = Reach::default();
        let bad = reach.add("https://u:p@a_b..example/").expect_err("no host name");
        assert!(!bad.url.contains("u:p"), "{bad:?}");
    }
}
