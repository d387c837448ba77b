//! What a person wants to run by hand, and what that needs to be known of the host.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use cella_cell::{Access, Spec};
use cella_contract::{Contract, FileGrant, Preset, Run};

use super::{ConfineError, Line, NoSink, Sight, Sources, seen, sight, spec};
use crate::{
    Places, StartError, Whereabouts,
    grants::{self, Grants},
    install::Store,
    launcher::program,
    load::{Loaded, Served},
    own::OwnPlaces,
};

/// A contract and the directory that its relative paths start from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What may be done.
    pub contract: Contract,
    /// Absolute.
    pub base: PathBuf,
    /// What a configured server's arguments name and its preset therefore grants.
    pub named: Vec<FileGrant>,
}

/// A command to be run under a contract of its own.
#[derive(Clone, Debug)]
pub struct Wish {
    /// For messages and the cell's id.
    pub name: String,
    /// What it may do.
    pub terms: Terms,
    /// A name on `PATH`, or a path.
    pub command: String,
    /// As the program gets them; nothing in them is replaced.
    pub args: Vec<String>,
    /// Working directory; `None`: the current one if the contract shows it, else the cell's home.
    pub cwd: Option<PathBuf>,
    /// The whole environment, beside a cell's defaults.
    pub env: Vec<(String, String)>,
    /// Run even where not everything can be enforced.
    pub best_effort: bool,
    /// What it may change it changes in a copy.
    pub copy: bool,
    /// The workspace that it starts from.
    pub from: Option<String>,
}

/// A shell in the cell of a configured server.
#[derive(Clone, Copy, Debug)]
pub struct ShellWish<'a> {
    /// The server.
    pub served: &'a Served,
    /// The shell, which every cell sees.
    pub shell: &'a str,
    /// Its arguments.
    pub args: &'a [String],
}

/// What a wish comes to.
#[derive(Clone, Debug)]
pub struct Wished {
    /// The cell.
    pub spec: Spec,
    /// Paths in the arguments that exist and are not shown.
    pub hidden: Vec<PathBuf>,
    /// Where its secrets are.
    pub sources: Sources,
}

// === impl Terms ===

impl Terms {
    /// A preset. It names no paths.
    #[must_use]
    pub fn preset(preset: Preset) -> Self {
        Self { contract: Contract::preset(preset), base: PathBuf::from("/"), named: Vec::new() }
    }

    /// The contract in a file.
    ///
    /// # Errors
    /// A file that cannot be read, or everything that is wrong with it.
    pub fn file(path: &Path) -> Result<Self, StartError> {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let text =
            fs::read_to_string(path).map_err(|source| StartError::Given { path: path.to_owned(), source })?;
        let contract = Contract::parse(&path.display().to_string(), &text).map_err(StartError::Config)?;
        let base = absolute.parent().map_or_else(PathBuf::new, Path::to_path_buf);
        Ok(Self { contract, base, named: Vec::new() })
    }

    /// The contract of a configured server.
    #[must_use]
    pub fn of(served: &Served) -> Self {
        let there = served.grants.named.iter().filter(|grant| grant.path.exists());
        let named = there.filter(|grant| !sight::is_system(&grant.path));
        let named = named.map(|grant| FileGrant { path: grant.written.clone(), mode: grant.mode });
        Self { contract: served.contract.clone(), base: served.contract_base.clone(), named: named.collect() }
    }

    /// The contract with what the arguments name written out.
    #[must_use]
    pub fn written_out(&self) -> Contract {
        let mut contract = self.contract.clone();
        contract.files.extend(self.named.iter().cloned());
        contract
    }
}

// === impl Wish ===

impl Wish {
    /// Looks at the host. `places` are those of the node whose things are kept from the cell; `loaded` is its
    /// configuration, where there is one.
    ///
    /// # Errors
    /// What the contract grants and is not there or not to be had, or no such program.
    pub fn resolve(&self, places: &Places, loaded: Option<&Loaded>) -> Result<Wished, ConfineError> {
        let own = OwnPlaces::of(places, &Whereabouts::of(places));
        let contract = &self.terms.contract;
        let grants = Grants::with(contract, &self.terms.base, &self.args, self.cwd.as_deref());
        let grants = checked(&self.name, grants);
        let here = std::env::current_dir().ok();
        let command = match &here {
            Some(here) if self.command.contains('/') => here.join(&self.command).display().to_string(),
            _ => self.command.clone(),
        };
        let cwd = self.cwd.clone().or_else(|| here.filter(|dir| grants.show(dir)));
        let line = Line { command, args: self.args.clone(), cwd, extra: Vec::new() };
        let mut sight = seen(&line, contract, &grants, &own)?;
        sight.masks = own.masks_of(loaded);
        sight.masks.extend(contract.file.as_ref().and_then(|file| fs::canonicalize(file).ok()));
        own.cover(&sight.mounts);
        if self.copy {
            for mount in sight.mounts.iter_mut().filter(|mount| mount.access == Access::Write) {
                mount.access = Access::Copy;
            }
        }
        let mut spec = spec(&self.name, contract, &sight, &self.env, self.best_effort);
        // Of one call, for a server; a command is one call.
        spec.limits.wall_time = contract.limits.time;
        let sources = Sources::of(places, &self.terms.base).starting_from(self.from.clone());
        Ok(Wished { spec, hidden: sight.program.hidden_paths, sources })
    }
}

// === impl ShellWish ===

impl ShellWish<'_> {
    /// Looks at the host, and installs the server's package where that has not happened yet. `None` for a server that is
    /// no program.
    ///
    /// # Errors
    /// Whatever the server would not start for.
    pub async fn resolve(&self, places: &Places, loaded: &Loaded) -> Result<Option<Wished>, ConfineError> {
        let served = self.served;
        let Run::Program(program) = &served.config.run else { return Ok(None) };
        let own_places = OwnPlaces::of(places, &Whereabouts::of(places));
        let store = Store::new(places.store.clone());
        let own_program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("cella"));
        let ground = program::Ground {
            store: &store,
            own_program: &own_program,
            own_places: &own_places,
            loaded,
            sink: Arc::new(NoSink),
            config: &places.config,
        };
        let mut sight = program::sight(&ground, served, program).await?;
        own_places.cover(&sight.mounts);
        let shell = seen(
            &Line { command: self.shell.to_owned(), ..Line::default() },
            &Contract::preset(Preset::Untrusted),
            &Grants::default(),
            &own_places,
        )?;
        become_shell(&mut sight, shell, self.args);
        let spec = spec(&served.config.name, &served.contract, &sight, &[], served.config.best_effort);
        let sources = Sources::of(places, &served.contract_base);
        Ok(Some(Wished { spec, hidden: sight.program.hidden_paths, sources }))
    }
}

/// The server's cell with another program in it.
fn become_shell(sight: &mut Sight, shell: Sight, args: &[String]) {
    sight.program.command = shell.program.command;
    sight.program.args = args.to_vec();
    sight.program.files.extend(shell.program.files);
    sight.program.links.extend(shell.program.links);
    sight.program.links.sort();
    sight.program.links.dedup();
}

/// Each file grant of a contract, those of [`Terms::named`] last, with what is wrong with it, as this machine is now: path, whether it may be changed, the
/// refusal.
#[must_use]
pub fn file_grants(terms: &Terms) -> Vec<(PathBuf, Access, Option<ConfineError>)> {
    let grants = checked("this contract", Grants::with(&terms.written_out(), &terms.base, &[], None));
    let name = terms.contract.name();
    let looked = |grant: &grants::Grant| {
        let access = sight::mount(grant).access;
        let refused = sight::usable(grant, &name).and_then(|()| sight::there(grant, &name)).err();
        (grant.path.clone(), access, refused)
    };
    grants.declared.iter().map(looked).collect()
}

fn checked(name: &str, grants: Grants) -> Grants {
    let name: Arc<str> = name.into();
    let mut all = BTreeMap::from([(name.clone(), grants)]);
    grants::refuse_redirectable(&mut all);
    all.remove(&name).unwrap_or_default()
}
