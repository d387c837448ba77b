//! How is a program kept behind a kernel that is not the host's?
//!
//! Class `vm` of the [`Cell`](cella_cell::Cell) law: the program talks to a kernel of its own, and only that kernel talks
//! to the machine. Which kernel, is a [`Driver`]'s matter: gVisor's, written in Go, or a Linux in a virtual machine. This
//! crate refuses to run anything on a driver that its probe calls unusable, and never falls back to a weaker class.
//!
//! A binary that starts cells of this class calls [`cella_cell::launcher_main`] first thing in its `main`: every sandbox is
//! kept by [`cella_cell::whole_tree`], so that it dies with the node. Then it calls [`guest_main`]: in a virtual machine the
//! same binary brings the program's connections to the node.

mod capped;
mod driver;
mod error;
mod groups;
mod gvisor;
mod hardware;
mod judge;
mod qemu;
mod relay;
mod sought;
mod tools;
mod tree;
mod view;
mod vm;
mod ward;

pub use driver::{Choice, Driver, DriverName, LaunchFuture, Probe};
pub use error::VmError;
pub use gvisor::Gvisor;
pub use qemu::{Qemu, WAITING_GUESTS};
pub use relay::inside::guest_main;
pub use vm::{Surveyed, Vm, survey, sweep};
