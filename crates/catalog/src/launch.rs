//! How the pool gets a server running: the node knows cells and remote endpoints, the pool knows when.

use std::{fmt, future::Future};

use cella_link::{LinkOptions, Wire};
use cella_transport::FaultKind;

use crate::{BoxFuture, Connected, InstanceKey, ServerPlan};

/// The law of launchers.
///
/// 1. `launch` starts one instance and returns without waiting for its handshake.
/// 2. Dropping the future of `launch`, or a [`Launched`], leaves no process behind.
/// 3. Two launches never share anything that their contract forbids them to share.
pub trait Launch: Send + Sync + 'static {
    /// Starts an instance of a server.
    fn launch(
        &self,
        server: &ServerPlan,
        key: &InstanceKey,
    ) -> impl Future<Output = Result<Launched, LaunchError>> + Send;
}

/// An instance on its way.
pub struct Launched {
    /// Makes the connection, handshake included. Bounded in time by the pool.
    pub connect: BoxFuture<'static, Result<Connected, LaunchError>>,
    /// The process, or whatever stands behind the connection.
    pub guard: Box<dyn Instance>,
}

/// A running instance. Dropping it kills what is left of it.
pub trait Instance: Send + Sync {
    /// Stops it: asks, waits a little, kills. Says how it ended, as far as known. From then on its last lines on stderr
    /// are complete.
    fn stop(&mut self) -> BoxFuture<'_, Option<String>>;

    /// Its process id, when it is a process of this machine.
    fn pid(&self) -> Option<u32>;

    /// The last lines it wrote to stderr, oldest first, without the secrets that it was given: models read them.
    fn stderr_tail(&self) -> Vec<String>;

    /// How it ended (`exit status 1`, `killed by signal 9: memory limit`), when it has.
    fn exit(&self) -> Option<String>;
}

/// Why an instance could not be started or connected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct LaunchError {
    /// [`FaultKind::AuthRequired`] and [`FaultKind::Refused`] are not tried again by themselves in short order.
    pub kind: FaultKind,
    /// `CE####`
    pub code: &'static str,
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub fix: Option<String>,
}

/// What stands behind a remote server: no process of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProcess;

// === impl Launched ===

impl Launched {
    /// An instance that is reached over `wire`, and the process behind it.
    #[must_use]
    pub fn over(wire: Wire, options: LinkOptions, guard: Box<dyn Instance>) -> Self {
        Self { connect: Box::pin(Connected::open(wire, options)), guard }
    }
}

impl Instance for NoProcess {
    fn stop(&mut self) -> BoxFuture<'_, Option<String>> {
        Box::pin(async { None })
    }

    fn pid(&self) -> Option<u32> {
        None
    }

    fn stderr_tail(&self) -> Vec<String> {
        Vec::new()
    }

    fn exit(&self) -> Option<String> {
        None
    }
}

impl fmt::Debug for Launched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launched").field("pid", &self.guard.pid()).finish_non_exhaustive()
    }
}
