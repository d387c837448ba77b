//! What a granted name resolves to where the node stands.

use std::{future::Future, io, net::IpAddr, pin::Pin};

use cella_contract::DomainName;

/// The addresses to come.
pub type Addresses<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Resolves names. The broker asks once per connection and dials what it was told, so an answer that changes between a
/// check and a use changes nothing.
pub trait Resolve: Send + Sync {
    /// The addresses of a name, best first.
    fn resolve<'a>(&'a self, name: &'a DomainName) -> Addresses<'a>;
}

/// The machine's own resolver: `hosts` file, configured servers.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

// === impl System ===

impl Resolve for System {
    fn resolve<'a>(&'a self, name: &'a DomainName) -> Addresses<'a> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}
