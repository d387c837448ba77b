//! Where event times come from.

use std::{fmt, sync::Arc, time::SystemTime};

use cella_event::Micros;

/// A source of time. The system's in production; a test gives its own.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Micros + Send + Sync>);

/// The system clock.
#[must_use]
pub fn now() -> Micros {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

impl Clock {
    /// The system clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::new(now))
    }

    /// A clock of the caller's.
    pub fn new(read: impl Fn() -> Micros + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// Reads it.
    #[must_use]
    pub fn read(&self) -> Micros {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
