//! What is asked against what a driver can enforce here: a report, or a refusal.

use cella_cell::{Ask, Class, Enforcement, Network, Report, Shortfall, Spec, Wall};

use crate::{DriverName, VmError, groups::Groups};

const GROUP_FIX: &str = "run the node by systemd with Delegate=yes, or as root, or set `best_effort = true`";
const EGRESS_FIX: &str = "write vm = \"gvisor\", or use `class = \"process\"`";
const PROCESS_FIX: &str = "use `class = \"process\"`";

/// What a driver says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Claims {
    pub(crate) driver: DriverName,
    /// Walls of its own, with their words.
    pub(crate) walls: Vec<(&'static str, String)>,
    /// What control groups hold besides what was asked, per limit.
    pub(crate) by_group: Vec<(&'static str, String)>,
    /// Limits that it holds without any group.
    pub(crate) by_itself: Vec<(&'static str, String)>,
    /// Whether it brings what a program sends to the node's broker.
    pub(crate) brokers: bool,
}

/// Judges one specification.
pub(crate) fn judge(spec: &Spec, groups: &Groups, claims: &Claims) -> Result<Report, VmError> {
    let mut judging = Judging {
        driver: claims.driver,
        strict: spec.enforcement == Enforcement::Strict,
        report: Report { class: Class::Vm.as_str().into(), ..Report::default() },
    };
    for (what, how) in &claims.walls {
        judging.wall(what, how.clone());
    }
    judging.wall("process tree", "pid namespace that dies with the node".into());
    judging.wall("tmpfs", format!("{} bytes each of /tmp, home and /dev/shm", spec.tmpfs.bytes));
    if let Some(time) = spec.limits.wall_time {
        judging.wall("wall time", format!("{time:?}"));
    }
    if let Some(bytes) = spec.limits.output_bytes {
        judging.wall("output", format!("{bytes} bytes on standard output and error"));
    }
    judging.network(spec, claims.brokers)?;
    judging.limits(spec, groups, claims)?;
    Ok(judging.report)
}

struct Judging {
    driver: DriverName,
    strict: bool,
    report: Report,
}

impl Judging {
    fn wall(&mut self, what: &str, how: String) {
        self.report.enforced.push(Wall { what: what.into(), how });
    }

    fn network(&mut self, spec: &Spec, brokers: bool) -> Result<(), VmError> {
        if spec.network == Network::Sealed {
            let why = "TCP on the guest's own loopback cannot be refused";
            self.fall_short(true, "sealed network", why, PROCESS_FIX)?;
        }
        let brokered = matches!(spec.network, Network::Brokered { .. });
        match () {
            () if brokered && brokers => Ok(()),
            () if !brokered && spec.egress.is_empty() => Ok(()),
            () if self.strict && !brokers => {
                Err(VmError::NoEgress { driver: self.driver, hosts: spec.egress.clone() })
            }
            () if brokers => {
                let why = format!("no network in this cell; granted: {}", spec.egress.join(", "));
                self.fall_short(false, "egress", &why, "ask for a brokered network")
            }
            () => self.fall_short(false, "egress", "this driver has no way to the network", EGRESS_FIX),
        }
    }

    fn limits(&mut self, spec: &Spec, groups: &Groups, claims: &Claims) -> Result<(), VmError> {
        let asked = &spec.limits;
        let limits = [
            ("memory", wanted(asked.memory_bytes)),
            ("processes", wanted(asked.processes)),
            ("processor share", wanted(asked.cpu_milli)),
        ];
        for (what, wanted) in limits {
            let Some(required) = wanted else { continue };
            let words =
                |from: &[(&str, String)]| from.iter().find(|(of, _)| *of == what).map(|(_, how)| how.clone());
            if let Some(how) = words(&claims.by_itself) {
                self.wall(what, how);
            } else if groups.held.contains(&what) {
                let how = words(&claims.by_group).unwrap_or_else(|| "as asked".into());
                self.wall(what, format!("control group, {how}"));
            } else {
                let why = groups
                    .missing
                    .iter()
                    .find(|(of, _)| *of == what)
                    .map_or("no control group", |(_, why)| why);
                self.fall_short(required, what, why, GROUP_FIX)?;
            }
        }
        for required in [wanted(asked.io_weight), wanted(asked.io_bytes_per_second)].into_iter().flatten() {
            self.fall_short(required, "io", "the disks are not limited in this class", PROCESS_FIX)?;
        }
        if asked.cpu_time.is_some() {
            self.fall_short(false, "cpu time", "counted per process, not for the tree", PROCESS_FIX)?;
        }
        Ok(())
    }

    fn fall_short(&mut self, required: bool, what: &str, why: &str, fix: &str) -> Result<(), VmError> {
        let (what, why, fix) = (what.to_owned(), why.to_owned(), fix.to_owned());
        if required && self.strict {
            return Err(VmError::Unenforceable { driver: self.driver, what, why, fix });
        }
        self.report.degraded.push(Shortfall { what, why, fix });
        Ok(())
    }
}

/// Whether it is required, if it is asked.
fn wanted<T: Copy>(ask: Ask<T>) -> Option<bool> {
    ask.value().map(|_| ask.is_required())
}

#[cfg(test)]
mod tests {
    use cella_cell::{Ask, Enforcement, Network, Program, Spec};

    use super::{Claims, judge};
    use crate::{DriverName, groups::Groups};

    fn claims() -> Claims {
        Claims {
            driver: DriverName::Gvisor,
            walls: Vec::new(),
            by_group: Vec::new(),
            by_itself: Vec::new(),
            brokers: false,
        }
    }

    #[test]
    fn a_limit_that_was_written_down_and_cannot_be_held_is_a_refusal_and_a_presets_own_a_shortfall() {
        let mut spec = Spec::new("s", Program::default());
        let report = judge(&spec, &Groups::default(), &claims()).unwrap();
        assert!(report.degraded.iter().any(|short| short.what == "memory"));
        spec.limits.memory_bytes = Ask::Require(1 << 20);
        assert_eq!(judge(&spec, &Groups::default(), &claims()).unwrap_err().code(), "CE2053");
        spec.enforcement = Enforcement::BestEffort;
        assert!(judge(&spec, &Groups::default(), &claims()).is_ok());
    }

    #[test]
    fn what_a_driver_holds_by_itself_needs_no_group() {
        let mut spec = Spec::new("s", Program::default());
        spec.limits.memory_bytes = Ask::Require(1 << 20);
        let claims = Claims { by_itself: vec![("memory", "the machine's".into())], ..claims() };
        let report = judge(&spec, &Groups::default(), &claims).unwrap();
        assert!(report.enforced.iter().any(|wall| wall.what == "memory"));
    }

    #[test]
    fn granted_hosts_are_reached_or_a_refusal() {
        let mut spec = Spec::new("s", Program::default());
        spec.egress = vec!["a.example:443".into()];
        spec.network = Network::Brokered { ports: vec![443] };
        assert_eq!(judge(&spec, &Groups::default(), &claims()).unwrap_err().code(), "CE2052");
        let brokers = Claims { brokers: true, ..claims() };
        let report = judge(&spec, &Groups::default(), &brokers).unwrap();
        assert!(!report.degraded.iter().any(|short| short.what == "egress"));
        spec.network = Network::None;
        let report = judge(&spec, &Groups::default(), &brokers).unwrap();
        assert!(report.degraded.iter().any(|short| short.what == "egress"));
    }
}
