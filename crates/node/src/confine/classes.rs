//! The classes of cells, and which of them a contract asks for. None ever stands in for another.

use cella_cell::{Cell, Process, Running, Spec, Warm};
use cella_cell_vm::{Choice, DriverName, Vm};
use cella_contract::{CellClass, VmChoice};

use super::ConfineError;

/// Cells that wait for one server. A second process within the tenth of a second that it takes to make another starts cold.
const SHELLS: usize = 1;

/// One of each.
#[derive(Clone, Debug)]
pub(super) struct Classes {
    process: Process,
    any_vm: Vm,
    gvisor: Vm,
    qemu: Vm,
}

// === impl Classes ===

impl Default for Classes {
    fn default() -> Self {
        Self {
            process: Process::new(),
            any_vm: Vm::new(Choice::Auto),
            gvisor: Vm::new(Choice::Named(DriverName::Gvisor)),
            qemu: Vm::new(Choice::Named(DriverName::Qemu)),
        }
    }
}

impl Classes {
    /// Keeps a cell of class `process` waiting, made but for its program.
    pub(super) fn keep_warm(&self, spec: &Spec) -> Warm {
        self.process.keep_warm(spec, SHELLS)
    }

    pub(super) async fn spawn(&self, class: CellClass, spec: &Spec) -> Result<Running, ConfineError> {
        let vm = match class {
            CellClass::Process => return Ok(self.process.spawn(spec).await?),
            CellClass::Vm(VmChoice::Auto) => &self.any_vm,
            CellClass::Vm(VmChoice::Gvisor) => &self.gvisor,
            CellClass::Vm(VmChoice::Qemu) => &self.qemu,
        };
        Ok(vm.launch(spec).await?)
    }
}
