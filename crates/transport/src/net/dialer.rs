//! Connections that somebody else makes.

use std::{
    fmt,
    hash::{Hash, Hasher},
    io,
    pin::Pin,
    sync::Arc,
};

use tokio::net::TcpStream;

/// Makes connections to one place.
pub trait Dial: Send + Sync + 'static {
    /// A new connection.
    fn dial(&self) -> Dialled<'_>;
}

/// What [`Dial::dial`] gives.
pub type Dialled<'a> = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send + 'a>>;

/// A way to a place that has no address here. Two are equal when they are the same.
#[derive(Clone)]
pub struct Dialer {
    name: Arc<str>,
    by: Arc<dyn Dial>,
}

// === impl Dialer ===

impl Dialer {
    /// A way, with a name for messages.
    pub fn new(name: impl Into<Arc<str>>, by: impl Dial) -> Self {
        Self { name: name.into(), by: Arc::new(by) }
    }

    /// For messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn dial(&self) -> Dialled<'_> {
        self.by.dial()
    }

    fn place(&self) -> *const () {
        Arc::as_ptr(&self.by).cast()
    }
}

impl PartialEq for Dialer {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for Dialer {}

impl Hash for Dialer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.place().hash(state);
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dialer").field(&self.name).finish()
    }
}
