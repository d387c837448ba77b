//! A client's own entries: which of them Cella serves now, so that they can go, and why the others stay.

use std::path::Path;

use cella_contract::{Config, looks_like_secret};

use crate::command::import;
use cella_clients::{self as clients, Client, EditError, Found};

/// An entry of a client's file that is not Cella itself.
pub(super) struct Own {
    /// The keys of the map it is in, from the top of the file.
    path: Vec<String>,
    found: Found,
}

/// A file after the entries that Cella serves were taken out.
#[derive(Default)]
pub(super) struct Parted {
    pub(super) text: String,
    /// What was taken out, each as the keys that lead to it.
    pub(super) taken: Vec<Vec<String>>,
    /// What stays: its name, and why.
    pub(super) stays: Vec<(String, String)>,
}

/// The entries of the user's file, those of single projects with them.
pub(super) fn entries(client: &Client, text: &str) -> Result<Vec<Own>, EditError> {
    let path: Vec<String> = client.key.iter().map(|k| (*k).to_owned()).collect();
    let of_user =
        clients::read(client, text, None)?.into_iter().map(|found| Own { path: path.clone(), found });
    let of_projects = import::projects(client, text).into_iter().map(|(folder, found)| Own {
        path: vec!["projects".to_owned(), folder, "mcpServers".to_owned()],
        found,
    });
    Ok(of_user.chain(of_projects).filter(|own| !own.found.is_cella()).collect())
}

/// Takes out of a text, one after another, the entries that the configuration serves.
pub(super) fn part(client: &Client, text: &str, own: &[Own], config: &Config) -> Parted {
    let mut parted = Parted { text: text.to_owned(), ..Parted::default() };
    for entry in own {
        if let Err(why) = served(&entry.found, config) {
            parted.stays.push((entry.name(), why));
            continue;
        }
        let path: Vec<&str> = entry.path.iter().map(String::as_str).collect();
        match clients::take_out(client, &parted.text, &path, &entry.found.name) {
            Ok(text) => {
                parted.text = text;
                parted.taken.push(entry.path.iter().chain([&entry.found.name]).cloned().collect());
            }
            Err(why) => parted.stays.push((entry.name(), why.to_string())),
        }
    }
    parted
}

/// Ok when Cella serves what this entry starts or calls, under a name that import gave it; else why not. The name alone
/// proves nothing: two clients may each have a `files` for another directory. Nor does the program alone: two entries may
/// start it for two accounts.
fn served(found: &Found, config: &Config) -> Result<(), String> {
    let print = import::print_of(found);
    let same: Vec<_> = config.servers.values().filter(|s| import::fingerprint(&s.run) == print).collect();
    match same.iter().find(|s| import::is_name_of(&s.name, &found.name)) {
        Some(server) if server.enabled || found.disabled => Ok(()),
        Some(server) => Err(format!("`{}` is switched off in cella.toml", server.name)),
        None => Err(match same.first() {
            Some(server) => format!(
                "Cella serves the same as `{}`; if the two are one, take this one out by hand",
                server.name
            ),
            None => "Cella does not serve it; cella import takes it over".to_owned(),
        }),
    }
}

/// Servers that files of the project in this directory name and Cella serves too. Such a file belongs to everybody who
/// works on the project, so it is never written.
pub(super) fn of_project(client: &Client, here: &Path, config: &Config) -> Vec<(String, String)> {
    let folder = here.display().to_string();
    let read = |file: &Path| {
        let text = std::fs::read_to_string(file).ok()?;
        clients::read(client, &text, Some(&folder)).ok()
    };
    let mut stays = Vec::new();
    for file in client.project_files(here) {
        let found = read(&file).unwrap_or_default().into_iter();
        let why = format!("it is in {}, which belongs to the project and is not changed", file.display());
        let doubled = found.filter(|f| !f.is_cella() && served(f, config).is_ok());
        stays.extend(doubled.map(|found| (found.name, why.clone())));
    }
    stays
}

// === impl Own ===

impl Own {
    /// What the user calls it.
    pub(super) fn name(&self) -> String {
        match self.path.as_slice() {
            [projects, folder, _] if projects == "projects" => format!("{} (in {folder})", self.found.name),
            _ => self.found.name.clone(),
        }
    }

    /// Values that must not be shown when lines of this entry are, in each way a file may spell them.
    pub(super) fn secrets(&self) -> Vec<String> {
        let named = self.found.env.iter().chain(&self.found.headers).map(|(k, v)| (k.as_str(), v.as_str()));
        let args = self.found.args.iter().map(|a| a.split_once('=').unwrap_or(("", a.as_str())));
        let secret = named.chain(args).filter(|(key, value)| looks_like_secret(key, value));
        secret
            .flat_map(|(_, value)| [value.to_owned(), value.replace("$$", "$")])
            .flat_map(|value| {
                let quoted = serde_json::Value::from(value.as_str()).to_string();
                [quoted.trim_matches('"').to_owned(), value]
            })
            .collect()
    }
}
