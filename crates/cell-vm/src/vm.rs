//! The class: which driver runs a cell, and what killed nodes left of theirs.

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use cella_cell::{Cell, Class, Running, SpawnFuture, Spec};

use crate::{Choice, Driver, DriverName, Gvisor, Probe, Qemu, VmError, sought, tools};

/// Class `vm`. One per node and choice.
#[derive(Clone, Debug)]
pub struct Vm {
    choice: Choice,
    drivers: Arc<[Arc<dyn Driver>]>,
    /// What the probes said, once.
    surveyed: Arc<OnceLock<Vec<Probe>>>,
}

/// A driver and what its probe said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surveyed {
    /// Which driver.
    pub driver: DriverName,
    /// What it said.
    pub probe: Probe,
}

// === impl Vm ===

impl Vm {
    /// With every driver there is. Nothing is looked at before the first cell.
    #[must_use]
    pub fn new(choice: Choice) -> Self {
        Self::with(choice, drivers())
    }

    /// With these drivers, in this order of preference.
    #[must_use]
    pub fn with(choice: Choice, drivers: Vec<Arc<dyn Driver>>) -> Self {
        Self { choice, drivers: drivers.into(), surveyed: Arc::default() }
    }

    /// The driver that runs this class's cells here.
    ///
    /// # Errors
    /// No driver is usable, or the chosen one is not.
    pub async fn driver(&self) -> Result<Arc<dyn Driver>, VmError> {
        if self.surveyed.get().is_none() {
            let drivers = Arc::clone(&self.drivers);
            let asked =
                tokio::task::spawn_blocking(move || drivers.iter().map(|driver| driver.probe()).collect());
            let _first_one_stays = self.surveyed.set(asked.await.map_err(std::io::Error::other)?);
        }
        let probes = self.surveyed.get().map(Vec::as_slice).unwrap_or_default();
        choose(self.choice, &self.drivers, probes)
    }

    /// As [`Cell::spawn`], with this class's own refusals.
    ///
    /// # Errors
    /// See [`VmError`].
    pub async fn launch(&self, spec: &Spec) -> Result<Running, VmError> {
        self.driver().await?.launch(spec).await
    }
}

impl Cell for Vm {
    fn class(&self) -> Class {
        Class::Vm
    }

    fn spawn<'a>(&'a self, spec: &'a Spec) -> SpawnFuture<'a> {
        Box::pin(async move { self.launch(spec).await.map_err(Into::into) })
    }
}

// === free functions ===

/// Asks every driver; blocks for some milliseconds each.
#[must_use]
pub fn survey() -> Vec<Surveyed> {
    drivers().iter().map(|driver| Surveyed { driver: driver.name(), probe: driver.probe() }).collect()
}

/// Removes the directories that killed nodes left behind; gives how many. Their processes need no sweeping, they die with the node.
pub fn sweep() -> usize {
    let entries = std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    let stale = entries.filter(|entry| tools::is_stale(&entry.file_name().to_string_lossy()));
    let stale: Vec<PathBuf> = stale.map(|entry| entry.path()).collect();
    stale.iter().filter(|dir| std::fs::remove_dir_all(dir).is_ok()).count()
}

fn drivers() -> Vec<Arc<dyn Driver>> {
    vec![
        Arc::new(Gvisor::new()),
        Arc::new(Qemu::new()),
        Arc::new(sought::MICROSANDBOX),
        Arc::new(sought::FIRECRACKER),
        Arc::new(sought::KATA),
    ]
}

fn choose(choice: Choice, drivers: &[Arc<dyn Driver>], probes: &[Probe]) -> Result<Arc<dyn Driver>, VmError> {
    let mut tried = Vec::new();
    let mut first_fix = None;
    for (driver, probe) in drivers.iter().zip(probes) {
        let named = choice == Choice::Named(driver.name());
        match probe {
            Probe::Usable { .. } if named || choice == Choice::Auto => return Ok(Arc::clone(driver)),
            Probe::Unusable { why, fix } if named => {
                return Err(VmError::Unusable { driver: driver.name(), why: why.clone(), fix: fix.clone() });
            }
            Probe::Unusable { why, fix } => {
                tried.push((driver.name(), why.clone()));
                first_fix.get_or_insert_with(|| fix.clone());
            }
            Probe::Usable { .. } => {}
        }
    }
    Err(VmError::NoDriver { tried, fix: first_fix.unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::choose;
    use crate::{Choice, Driver, DriverName, Gvisor, Probe, VmError, sought};

    fn drivers() -> Vec<Arc<dyn Driver>> {
        vec![Arc::new(Gvisor::new()), Arc::new(sought::FIRECRACKER)]
    }

    #[test]
    fn auto_takes_the_first_that_is_usable() {
        let usable = Probe::Usable { how: "1".into() };
        let chosen = choose(Choice::Auto, &drivers(), &[Probe::unusable("a", "b"), usable]);
        assert_eq!(chosen.unwrap().name(), DriverName::Firecracker);
    }

    #[test]
    fn a_named_driver_is_never_replaced_by_another() {
        let probes = [Probe::unusable("no runsc", "install it"), Probe::Usable { how: "1".into() }];
        let refused = choose(Choice::Named(DriverName::Gvisor), &drivers(), &probes).unwrap_err();
        assert_eq!((refused.code(), refused.fix()), ("CE2051", "install it".into()));
    }

    #[test]
    fn with_nothing_usable_every_reason_is_given() {
        let probes = [Probe::unusable("no runsc", "install it"), Probe::unusable("no guests", "buy one")];
        let refused = choose(Choice::Auto, &drivers(), &probes).unwrap_err();
        assert!(matches!(&refused, VmError::NoDriver { tried, .. } if tried.len() == 2));
        assert!(refused.to_string().contains("firecracker: no guests") && refused.fix() == "install it");
    }
}
