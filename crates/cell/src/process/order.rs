//! The order that a launcher carries out: what a specification means on this machine, decided before anything is made.

use std::{
    collections::BTreeSet,
    path::{Component, Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::layout::Layout;
use crate::{
    Access, CellError, Enforcement, Mount, Network, Spec,
    network::{DNS_PORT, PORTS_MAX},
};

/// Home directory inside.
pub(crate) const HOME: &str = "/home/cell";
/// Uid and gid inside.
pub(crate) const INNER_ID: u32 = 1000;
/// Places that are links in a cell's root, with where they lead.
const LINKED: [(&str, &str); 2] = [("/var/tmp", "/tmp"), ("/var/run", "/run")];
/// Declared mounts of one cell. Stops a contract from exhausting the kernel's mount table (`fs.mount-max`).
pub(crate) const MOUNTS_MAX: usize = 256;
/// Mounts that make up a root: an image's directories and its files in `/etc`. Stops an image from doing the same.
const ROOT_MOUNTS_MAX: usize = 1024;

/// Everything that is needed to put up the walls of a cell; nothing in it is decided where they are put up. Which program
/// comes to stand within them is said by [`Exec`], at once or later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) identity: Identity,
    pub(crate) best_effort: bool,
    /// Read-only parts of the host and declared mounts, parents before children.
    pub(crate) sources: Vec<Source>,
    /// Symbolic links of the root: link, content.
    pub(crate) links: Vec<(PathBuf, PathBuf)>,
    /// Bytes and inodes of all private directories together.
    pub(crate) private_size: (u64, u64),
    pub(crate) limits: ProcessLimits,
    pub(crate) wall_millis: Option<u64>,
    /// Landlock is there and must hold.
    pub(crate) landlock: bool,
    /// TCP is refused even on loopback.
    pub(crate) sealed: bool,
    /// Ports that end at the node's broker, in a network where every address is local.
    pub(crate) brokered: Option<Vec<u16>>,
    /// Nobody knows yet which program: say when the walls stand, and wait for it.
    pub(crate) waits: bool,
}

/// What is executed within the walls. It goes to the process that becomes the program and to nobody else: with it goes the
/// environment, and what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exec {
    pub(crate) command: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) cwd: PathBuf,
}

/// As whom, seen from the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// Host uid behind uid 1000.
    pub(crate) uid: u32,
    /// Host gid behind gid 1000.
    pub(crate) gid: u32,
    /// The node may map any id and translate owners of mounts.
    pub(crate) privileged: bool,
}

/// One part of the host that is shown inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) kind: SourceKind,
    /// Where changes of a copy land.
    pub(crate) layer: Option<PathBuf>,
}

/// How it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SourceKind {
    /// World-readable part of the operating system.
    System,
    /// A harmless device node.
    Device,
    /// Declared or needed by the program, with its owner's rights.
    Read,
    /// As `Read`, and writable.
    Write,
    /// As `Write`, over a layer that takes the changes.
    Copy,
    /// Covered, although it lies in what is shown.
    Mask,
}

/// Limits that the kernel keeps per process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessLimits {
    pub(crate) open_files: u64,
    pub(crate) processes: Option<u64>,
    pub(crate) file_bytes: Option<u64>,
    /// Private writable memory; only where no control group counts memory.
    pub(crate) data_bytes: Option<u64>,
    pub(crate) cpu_seconds: Option<u64>,
}

impl ProcessLimits {
    /// A control group counts memory, or nobody asked for a limit of it.
    pub(crate) fn counted(&self) -> bool {
        self.data_bytes.is_none()
    }
}

/// What of the machine decides an order.
#[derive(Clone, Debug)]
pub(crate) struct Ground<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) identity: Identity,
    pub(crate) landlock: bool,
    /// A control group limits the memory of this cell.
    pub(crate) memory_group: bool,
}

/// What a specification says of the program alone.
pub(crate) fn exec(spec: &Spec) -> Result<Exec, CellError> {
    let program = &spec.program;
    check_strings(spec)?;
    let cwd = program.cwd.clone().unwrap_or_else(|| PathBuf::from(HOME));
    check_path(&program.command)?;
    check_path(&cwd)?;
    Ok(Exec {
        command: program.command.clone(),
        args: program.args.clone(),
        env: spec.env.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        cwd,
    })
}

/// Turns a specification into an order. Of what [`exec`] reads nothing comes in here, so that one order serves all
/// programs of a shape.
pub(crate) fn compile(spec: &Spec, ground: &Ground<'_>) -> Result<Order, CellError> {
    let program = &spec.program;
    let program_links = program.links.iter().map(|(link, _)| link);
    program_links.chain(&spec.masks).try_for_each(|path| check_path(path))?;
    let linked = Linked::of(spec);
    let own_links = linked.links.iter().map(|(link, content)| (link.into(), content.into()));
    let program_links = program.links.iter().map(|(link, content)| (linked.place(link), content.clone()));
    let limits = &spec.limits;
    let memory = limits.memory_bytes.value();
    Ok(Order {
        identity: ground.identity,
        best_effort: spec.enforcement == Enforcement::BestEffort,
        sources: sources(spec, ground.layout, &linked)?,
        links: own_links.chain(ground.layout.links.iter().cloned()).chain(program_links).collect(),
        private_size: (spec.tmpfs.bytes, spec.tmpfs.inodes),
        limits: ProcessLimits {
            open_files: limits.open_files,
            processes: limits.processes.value().map(u64::from),
            file_bytes: limits.file_bytes,
            data_bytes: if ground.memory_group { None } else { memory },
            cpu_seconds: limits.cpu_time.map(|time| time.as_secs().max(1)),
        },
        wall_millis: limits.wall_time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        landlock: ground.landlock,
        sealed: spec.network == Network::Sealed,
        brokered: brokered(&spec.network)?,
        waits: false,
    })
}

/// Those of [`LINKED`] that this cell has: a mount at the very place of a link takes it.
struct Linked {
    links: Vec<(&'static str, &'static str)>,
}

impl Linked {
    fn of(spec: &Spec) -> Self {
        let taken = |place: &str| spec.mounts.iter().any(|mount| mount.target == Path::new(place));
        Self { links: LINKED.into_iter().filter(|(link, _)| !taken(link)).collect() }
    }

    /// Where a path lies once its link is followed. No mount point is made through a link, so what is to be below one is
    /// put where it leads, and is seen at both.
    fn place(&self, path: &Path) -> PathBuf {
        let led =
            self.links.iter().find_map(|(link, to)| Some(Path::new(to).join(path.strip_prefix(link).ok()?)));
        led.unwrap_or_else(|| path.to_owned())
    }
}

/// Each port once.
pub(super) fn brokered(network: &Network) -> Result<Option<Vec<u16>>, CellError> {
    let Network::Brokered { ports } = network else { return Ok(None) };
    let ports: BTreeSet<u16> = ports.iter().copied().collect();
    if let Some(port) = ports.iter().find(|port| [0, DNS_PORT].contains(port)) {
        return Err(refuse(format!("port {port} cannot be brokered")));
    }
    if ports.len() > PORTS_MAX {
        return Err(refuse(format!("{} brokered ports, {PORTS_MAX} allowed", ports.len())));
    }
    Ok(Some(ports.into_iter().collect()))
}

/// System directories first, then what the program needs, then what is declared; a declared mount wins over the
/// program's need of the same path.
fn sources(spec: &Spec, layout: &Layout, linked: &Linked) -> Result<Vec<Source>, CellError> {
    let mut sources: Vec<Source> = layout.sources.clone();
    let declared: BTreeSet<PathBuf> = spec.mounts.iter().map(|mount| linked.place(&mount.target)).collect();
    if declared.len() != spec.mounts.len() {
        return Err(refuse("two mounts have the same target"));
    }
    let system = |path: &Path| layout.sources.iter().any(|source| path.starts_with(&source.path));
    for path in &spec.program.files {
        check_path(path)?;
        let target = linked.place(path);
        if !declared.contains(&target) && !system(path) {
            sources.push(Source { path: path.clone(), target, kind: SourceKind::Read, layer: None });
        }
    }
    for mount in &spec.mounts {
        check_path(&mount.source)?;
        check_target(&mount.target)?;
        let kind = match mount.access {
            Access::Read => SourceKind::Read,
            Access::Write => SourceKind::Write,
            Access::Copy => SourceKind::Copy,
        };
        let layer = if kind == SourceKind::Copy { Some(layer(spec, mount)?) } else { None };
        sources.push(Source { path: mount.source.clone(), target: linked.place(&mount.target), kind, layer });
    }
    let masks = masks(spec, &sources);
    sources.extend(masks);
    // What makes up the root is the machine's or the image's matter, and bounded by what is in it.
    let added = sources.len() - layout.sources.len();
    if added > MOUNTS_MAX || layout.sources.len() > ROOT_MOUNTS_MAX {
        let what = format!("{added} mounts over {} of the root", layout.sources.len());
        return Err(refuse(format!("{what}; {MOUNTS_MAX} over {ROOT_MOUNTS_MAX} are allowed")));
    }
    sources.sort_by_key(|source| source.target.components().count());
    Ok(sources)
}

/// Where the changes of a copy land: neither in what is copied nor around it, for the kernel refuses a view of itself.
fn layer(spec: &Spec, mount: &Mount) -> Result<PathBuf, CellError> {
    let target = mount.target.display();
    let Some(layer) = spec.layers.get(&mount.target) else {
        return Err(refuse(format!("nothing takes the changes of the copy at `{target}`")));
    };
    check_path(layer)?;
    if layer.starts_with(&mount.source) || mount.source.starts_with(layer) {
        return Err(refuse(format!("the changes of the copy at `{target}` would land in what is copied")));
    }
    Ok(layer.clone())
}

/// A cover for every place where something hidden would be seen. What is shown at its very place or below it is shown.
fn masks(spec: &Spec, sources: &[Source]) -> Vec<Source> {
    let shown = sources
        .iter()
        .filter(|source| !matches!(source.kind, SourceKind::System | SourceKind::Device | SourceKind::Mask));
    let places = shown.flat_map(|source| {
        let within = move |hidden: &PathBuf| {
            let rest = hidden.strip_prefix(&source.path).ok()?;
            Some((source, hidden.clone(), source.target.join(rest)))
        };
        spec.masks.iter().filter_map(within)
    });
    let mut masks: Vec<Source> = Vec::new();
    for (source, path, target) in places {
        let deepest = sources.iter().filter(|other| target.starts_with(&other.target));
        let deepest = deepest.max_by_key(|other| other.target.components().count());
        let seen = deepest == Some(source) && source.target != target;
        if seen && !masks.iter().any(|mask| mask.target == target) {
            masks.push(Source { path, target, kind: SourceKind::Mask, layer: None });
        }
    }
    // Within a cover there is nothing left to cover.
    let covered =
        |target: &Path| masks.iter().any(|mask| mask.target != target && target.starts_with(&mask.target));
    let within: Vec<bool> = masks.iter().map(|mask| covered(&mask.target)).collect();
    masks.into_iter().zip(within).filter_map(|(mask, within)| (!within).then_some(mask)).collect()
}

fn check_strings(spec: &Spec) -> Result<(), CellError> {
    let env = spec.env.iter().flat_map(|(key, value)| [key, value]);
    if spec.program.args.iter().chain(env).any(|text| text.contains('\0')) {
        return Err(refuse("a NUL byte in an argument or an environment variable"));
    }
    match spec.env.keys().find(|key| key.is_empty() || key.contains('=')) {
        Some(key) => Err(refuse(format!("`{key}` is no name of an environment variable"))),
        None => Ok(()),
    }
}

/// Absolute and without `.`, `..` or NUL: what is compared here must be what the kernel resolves.
pub(crate) fn check_path(path: &Path) -> Result<(), CellError> {
    let plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    let text = path.as_os_str().as_encoded_bytes();
    let dots = text.split(|byte| *byte == b'/').any(|part| part == b"." || part == b"..");
    if path.is_absolute() && plain && !dots && !text.contains(&0) && path.to_str().is_some() {
        return Ok(());
    }
    Err(refuse(format!("`{}` is not an absolute, normalised UTF-8 path", path.display())))
}

/// Targets that would hide the walls themselves.
fn check_target(target: &Path) -> Result<(), CellError> {
    check_path(target)?;
    let reserved = ["/", "/proc", "/dev", "/etc", "/tmp", "/home", HOME];
    let inside = ["/proc", "/dev", "/sys"];
    if reserved.iter().any(|path| Path::new(path) == target)
        || inside.iter().any(|path| target.starts_with(path))
    {
        return Err(refuse(format!("`{}` cannot be a mount target", target.display())));
    }
    Ok(())
}

fn refuse(what: impl Into<String>) -> CellError {
    CellError::Spec { what: what.into() }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{Ground, Identity, Order, Source, SourceKind, compile, exec};
    use crate::{Access, CellError, Mount, Network, Program, Spec, process::layout::Layout};

    fn order(change: impl FnOnce(&mut Spec)) -> Result<Order, CellError> {
        let program = Program { command: "/usr/bin/true".into(), ..Program::default() };
        let mut spec = Spec::new("test", program);
        change(&mut spec);
        let kind = SourceKind::System;
        let usr = Source { path: "/usr".into(), target: "/usr".into(), kind, layer: None };
        let layout = Layout { sources: vec![usr], links: Vec::new() };
        let identity = Identity { uid: 7, gid: 7, privileged: true };
        exec(&spec)?;
        compile(&spec, &Ground { layout: &layout, identity, landlock: true, memory_group: true })
    }

    fn mount(source: &str, target: &str) -> Mount {
        Mount { source: source.into(), target: target.into(), access: Access::Write }
    }

    #[test]
    fn parents_are_mounted_before_children() {
        let order = order(|spec| spec.mounts = vec![mount("/a", "/data/a/b"), mount("/b", "/data")]).unwrap();
        let targets: Vec<PathBuf> = order.sources.into_iter().map(|source| source.target).collect();
        assert_eq!(targets, ["/usr", "/data", "/data/a/b"].map(PathBuf::from));
    }

    #[test]
    fn a_declared_mount_wins_over_the_programs_need_and_system_files_need_none() {
        let order = order(|spec| {
            spec.program.files = vec!["/srv/app".into(), "/usr/lib/x".into()];
            spec.mounts = vec![mount("/srv/app", "/srv/app")];
        })
        .unwrap();
        assert_eq!(order.sources.len(), 2);
        assert_eq!(order.sources[1].kind, SourceKind::Write);
    }

    #[test]
    fn what_is_to_be_below_a_link_of_the_root_lies_where_it_leads() {
        let below = order(|spec| spec.mounts = vec![mount("/var/tmp/a", "/var/tmp/a")]).unwrap();
        assert_eq!(below.sources[1].target, PathBuf::from("/tmp/a"));
        assert!(below.links.contains(&("/var/tmp".into(), "/tmp".into())));
        let twice = order(|spec| spec.mounts = vec![mount("/a", "/var/tmp/a"), mount("/b", "/tmp/a")]);
        assert!(twice.is_err());
        let whole =
            order(|spec| spec.mounts = vec![mount("/b", "/var/tmp/b"), mount("/a", "/var/tmp")]).unwrap();
        let targets: Vec<PathBuf> = whole.sources.into_iter().map(|source| source.target).collect();
        assert_eq!(targets, ["/usr", "/var/tmp", "/var/tmp/b"].map(PathBuf::from));
        assert!(whole.links.iter().all(|(link, _)| link != "/var/tmp"));
    }

    #[test]
    fn a_copy_needs_a_place_for_its_changes_that_is_not_in_what_is_copied() {
        let with = |layer: Option<&str>| {
            order(|spec| {
                spec.mounts = vec![Mount { access: Access::Copy, ..mount("/a/b", "/data") }];
                spec.layers = layer.map(|layer| ("/data".into(), layer.into())).into_iter().collect();
            })
        };
        assert_eq!(with(Some("/state/one")).unwrap().sources[1].layer, Some("/state/one".into()));
        for wrong in [None, Some("/a/b/c"), Some("/a"), Some("state"), Some("/a/../b")] {
            assert_eq!(with(wrong).unwrap_err().code(), "CE2010", "{wrong:?}");
        }
    }

    #[test]
    fn targets_that_hide_the_walls_are_refused() {
        for target in ["/", "/proc/self", "/dev/shm/x", "/etc", "relative", "/a/../etc", "/a/./b"] {
            assert!(order(|spec| spec.mounts = vec![mount("/a", target)]).is_err(), "{target}");
        }
    }

    #[test]
    fn brokered_ports_are_few_and_none_is_that_of_names() {
        let ports = |ports: Vec<u16>| order(|spec| spec.network = Network::Brokered { ports });
        assert_eq!(ports(vec![443, 80, 443]).unwrap().brokered, Some(vec![80, 443]));
        assert!(ports(vec![53]).is_err() && ports(vec![0]).is_err());
        assert!(ports((1000..1100).collect()).is_err());
    }

    #[test]
    fn text_that_the_kernel_would_cut_is_refused() {
        assert!(order(|spec| spec.program.args = vec!["a\0b".into()]).is_err());
        assert!(order(|spec| drop(spec.env.insert("A=B".into(), "c".into()))).is_err());
    }
}
