//! Whether two servers are one: what they start or call, and every value they are given. Two accounts of one service differ
//! in nothing but a token, and neither may be lost.

use std::{collections::BTreeMap, path::Path};

use cella_contract::{Config, Run, Text, expand};
use cella_vault::{Name, Secret, Vault};

use cella_clients::Found;

/// What the configuration has already.
pub(super) struct Known<'a> {
    pub(super) config: &'a Config,
    pub(super) vault: &'a Vault,
    /// What relative paths count from.
    pub(super) base: &'a Path,
}

// === impl Known ===

impl Known<'_> {
    /// True when a server of the configuration is this one.
    pub(super) fn has(&self, found: &Found) -> bool {
        let print = super::print_of(found);
        self.config.servers.values().filter(|server| super::fingerprint(&server.run) == print).any(|server| {
            match &server.run {
                Run::Program(program) => self.holds(&program.env, &found.env),
                Run::Remote(remote) => self.holds(&remote.headers, &found.headers),
            }
        })
    }

    /// True when the pairs are the same once references of the configuration are looked up: import itself puts references
    /// in the place of secrets.
    fn holds(&self, ours: &[(String, String)], theirs: &[(String, String)]) -> bool {
        let (ours, theirs) = (map(ours), map(theirs));
        ours.len() == theirs.len()
            && ours
                .iter()
                .all(|(key, value)| theirs.get(key).is_some_and(|other| self.is_value(value, other)))
    }

    /// True when `ours`, or what it refers to, is `theirs`. What cannot be looked up is another value: a server too many is
    /// seen, and one that is missing is not.
    fn is_value(&self, ours: &str, theirs: &str) -> bool {
        let meant = || Secret::from(expand(theirs, &|_| None).unwrap_or_default());
        ours == theirs
            || match Text::read(ours) {
                Text::Vault(name) => Name::parse(&name)
                    .and_then(|name| self.vault.get(&name))
                    .is_ok_and(|value| value == meant()),
                Text::File(path) => {
                    let text = std::fs::read_to_string(self.base.join(path));
                    text.is_ok_and(|text| {
                        Secret::from(text.trim_end_matches(['\n', '\r']).to_owned()) == meant()
                    })
                }
                _ => false,
            }
    }
}

/// True when two entries of clients are one server.
pub(super) fn is_same(one: &Found, other: &Found) -> bool {
    super::print_of(one) == super::print_of(other)
        && map(&one.env) == map(&other.env)
        && map(&one.headers) == map(&other.headers)
}

fn map(pairs: &[(String, String)]) -> BTreeMap<&str, &str> {
    pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}
