//! What of a specification stands in the walls of a cell, and what is only said when a program is executed. Pure.

use std::{collections::BTreeMap, path::PathBuf};

use crate::{Enforcement, IdentityPolicy, Limits, Mount, Network, Program, Root, Spec, Tmpfs};

/// Everything of a [`Spec`] that is decided when the walls are put up. A shell is born in one shape and becomes only cells
/// of exactly this shape: there is no "nearly", no subset and no default.
///
/// Not part of it is what the process that becomes the program is told last: the command with its arguments, its
/// directory and its environment; and what is only for people, the name and the hints for messages. Files that a program
/// needs in order to start are mounts, so they are part of it: another program that needs others has another shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    files: Vec<PathBuf>,
    links: Vec<(PathBuf, PathBuf)>,
    root: Root,
    mounts: Vec<Mount>,
    masks: Vec<PathBuf>,
    layers: BTreeMap<PathBuf, PathBuf>,
    tmpfs: Tmpfs,
    network: Network,
    egress: Vec<String>,
    limits: Limits,
    identity: IdentityPolicy,
    enforcement: Enforcement,
}

impl Shape {
    /// Of a specification. Each field is named, so that one that is added must be put on one side or the other.
    #[must_use]
    pub fn of(spec: &Spec) -> Self {
        let Spec {
            name: _,
            program,
            env: _,
            root,
            mounts,
            masks,
            layers,
            tmpfs,
            network,
            egress,
            limits,
            identity,
            enforcement,
        } = spec;
        let Program { command: _, args: _, cwd: _, files, links, path_dirs: _, hidden_paths: _ } = program;
        Self {
            files: files.clone(),
            links: links.clone(),
            root: root.clone(),
            mounts: mounts.clone(),
            masks: masks.clone(),
            layers: layers.clone(),
            tmpfs: *tmpfs,
            network: network.clone(),
            egress: egress.clone(),
            limits: *limits,
            identity: *identity,
            enforcement: *enforcement,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::Shape;
    use crate::{Access, Ask, Enforcement, Mount, Network, Program, Root, Spec};

    fn spec() -> Spec {
        let program = Program { command: "/usr/bin/env".into(), ..Program::default() };
        Spec::new("one", program)
    }

    #[test]
    fn another_program_with_the_same_files_has_the_same_shape() {
        let mut other = spec();
        other.name = "two".into();
        other.program.command = "/usr/bin/id".into();
        other.program.args = vec!["-u".into()];
        other.program.cwd = Some("/tmp".into());
        other.program.hidden_paths = vec!["/srv".into()];
        other.env.insert("KEY".into(), "value".into());
        assert_eq!(Shape::of(&other), Shape::of(&spec()));
    }

    #[test]
    fn whatever_stands_in_the_walls_makes_another_shape() {
        let changes: [fn(&mut Spec); 12] = [
            |spec| spec.program.files.push("/srv/app".into()),
            |spec| spec.program.links.push(("/srv/app".into(), "app-1".into())),
            |spec| spec.root = Root::Image("/srv/image".into()),
            |spec| {
                let (source, target) = (PathBuf::from("/srv"), PathBuf::from("/srv"));
                spec.mounts.push(Mount { source, target, access: Access::Read });
            },
            |spec| spec.masks.push("/srv/secret".into()),
            |spec| drop(spec.layers.insert("/srv".into(), "/layer".into())),
            |spec| spec.tmpfs.bytes += 1,
            |spec| spec.network = Network::Brokered { ports: vec![443] },
            |spec| spec.egress.push("a.example:443".into()),
            |spec| spec.limits.processes = Ask::Require(3),
            |spec| spec.limits.wall_time = Some(std::time::Duration::from_secs(1)),
            |spec| spec.enforcement = Enforcement::BestEffort,
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut other = spec();
            change(&mut other);
            assert_ne!(Shape::of(&other), Shape::of(&spec()), "change {number}");
        }
    }
}
