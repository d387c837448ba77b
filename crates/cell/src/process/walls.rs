//! Landlock: a second wall around files and, if asked, TCP, which holds even if the first (namespaces) does not.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};

use super::{
    order::{HOME, Order, SourceKind},
    wire::{Failure, Step},
};

/// The newest rights that this crate knows; on an older kernel Landlock handles what it can, and the report says which
/// version that is.
const NEWEST: ABI = ABI::V9;

/// Puts the wall up around this process. Irreversible.
pub(crate) fn landlock(order: &Order) -> Result<(), Failure> {
    let restricted = rules(order).and_then(|rules| rules.restrict_self().map_err(|error| error.to_string()));
    match restricted {
        Ok(status) if status.ruleset != RulesetStatus::NotEnforced => Ok(()),
        Ok(_) => Err(failure("the kernel enforced nothing".into())),
        Err(error) => Err(failure(error)),
    }
}

fn failure(detail: String) -> Failure {
    Failure { step: Step::Landlock, path: None, errno: None, detail }
}

fn rules(order: &Order) -> Result<landlock::RulesetCreated, String> {
    let text = |error: landlock::RulesetError| error.to_string();
    let mut ruleset = Ruleset::default().set_compatibility(CompatLevel::BestEffort);
    ruleset = ruleset.handle_access(AccessFs::from_all(NEWEST)).map_err(text)?;
    if order.sealed {
        ruleset = ruleset.handle_access(AccessNet::from_all(NEWEST)).map_err(text)?;
    }
    let mut rules = ruleset.scope(Scope::from_all(NEWEST)).map_err(text)?.create().map_err(text)?;
    for (path, access) in grants(order) {
        let file = PathFd::new(&path).map_err(|error| format!("{path}: {error}"))?;
        rules = rules.add_rule(PathBeneath::new(file, access)).map_err(text)?;
    }
    Ok(rules)
}

/// Read and execute everywhere that is mounted; change only what is ordered. Making devices is granted nowhere.
fn grants(order: &Order) -> Vec<(String, BitFlags<AccessFs>)> {
    let read = AccessFs::from_read(NEWEST);
    let devices = AccessFs::MakeChar | AccessFs::MakeBlock;
    let change = AccessFs::from_all(NEWEST) & !devices;
    let file = AccessFs::from_file(NEWEST);
    let mut grants = vec![("/".to_owned(), read)];
    // Threads name themselves by writing below /proc/self.
    grants.push(("/proc".to_owned(), read | AccessFs::WriteFile));
    grants.extend(["/tmp", HOME, "/dev/shm"].map(|path| (path.to_owned(), change)));
    for source in &order.sources {
        let path = source.target.to_string_lossy().into_owned();
        match source.kind {
            SourceKind::Device => grants.push((path, AccessFs::ReadFile | AccessFs::WriteFile)),
            SourceKind::Write | SourceKind::Copy => {
                let directory = source.target.is_dir();
                grants.push((path, if directory { change } else { change & file }));
            }
            SourceKind::System | SourceKind::Read | SourceKind::Mask => {}
        }
    }
    grants
}
