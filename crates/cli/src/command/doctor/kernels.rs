//! Class `vm`: which drivers this machine can run.

use cella_cell_vm::{Probe, Surveyed, survey};

use super::{Finding, State};

/// What it comes to, then each driver. Nobody needs all of them, so one that is missing is no fault.
pub(super) fn findings() -> Vec<Finding> {
    of(&survey())
}

fn of(survey: &[Surveyed]) -> Vec<Finding> {
    let usable = survey.iter().find(|surveyed| surveyed.probe.is_usable());
    let whole = Finding {
        what: "cells, own kernel".into(),
        state: State::Good,
        detail: usable.map_or_else(
            || "no driver is usable: a contract with class = \"vm\" is refused; class process is not touched by that".into(),
            |chosen| format!("class vm, vm = \"auto\" takes {}", chosen.driver),
        ),
        fix: None,
    };
    std::iter::once(whole).chain(survey.iter().map(driver)).collect()
}

fn driver(surveyed: &Surveyed) -> Finding {
    let (detail, fix) = match &surveyed.probe {
        Probe::Usable { how } => (how.clone(), None),
        Probe::Unusable { why, fix } => (format!("not usable: {why}"), Some(fix.clone())),
    };
    Finding { what: format!("vm {}", surveyed.driver), state: State::Good, detail, fix }
}

#[cfg(test)]
mod tests {
    use cella_cell_vm::{DriverName, Probe, Surveyed};

    use super::of;

    #[test]
    fn each_driver_has_a_line_and_the_first_usable_one_is_named() {
        let unusable = Probe::Unusable { why: "no runsc".into(), fix: "install it".into() };
        let usable = Probe::Usable { how: "7.2".into() };
        let survey = [(DriverName::Gvisor, unusable.clone()), (DriverName::Qemu, usable)]
            .map(|(driver, probe)| Surveyed { driver, probe });
        let found = of(&survey);
        assert_eq!(found.len(), 3);
        assert!(found[0].detail.contains("takes qemu"), "{}", found[0].detail);
        assert!(found[1].detail.contains("no runsc") && found[1].fix.as_deref() == Some("install it"));
        let none = of(&[Surveyed { driver: DriverName::Gvisor, probe: unusable }]);
        assert!(none[0].detail.contains("refused"));
    }
}
