//! The broker of one cell, and who hears its records.

use std::{sync::Arc, time::Duration};

use cella_cell::NetworkEnds;
use cella_contract::Contract;
use cella_egress::{Broker, BrokerHandle, Gauge, Limits, Policy, Record, Secrets, Sockets, System};
use tokio::{sync::mpsc, task::JoinHandle};

use super::{ConfineError, Sink};

/// Records on their way to the sink, for each connection that a cell may have at once. While there is no room no
/// connection is allowed, so that none is missing from the record.
const RECORDS_PER_CONNECTION: usize = 4;

/// Records on their way at least, so that refusals leave room for the one connection of a contract that allows no more.
const RECORDS_MIN: usize = 64;

/// Most connections that a contract can ask for at once. Stops it from taking all descriptors of the node; past it this many
/// are allowed.
const CONNECTIONS_MAX: usize = 4096;

/// What stands between a cell and the hosts of its contract. Dropping it ends every connection.
#[derive(Debug)]
pub struct Egress {
    broker: BrokerHandle,
    /// Ends by itself when the last record is told.
    telling: JoinHandle<()>,
}

// === impl Egress ===

impl Egress {
    pub(super) fn start(
        cell: Arc<str>,
        contract: &Contract,
        ends: NetworkEnds,
        (sink, secrets): (Arc<dyn Sink>, Option<Secrets>),
    ) -> Result<Self, ConfineError> {
        let policy = Policy::new(contract.egress_grants().map_err(ConfineError::Grant)?);
        Self::with(cell, policy, limits(&contract.limits), ends, (sink, secrets))
    }

    /// Grants nothing and tells what is tried.
    pub(super) fn watch(
        cell: Arc<str>,
        ends: NetworkEnds,
        sink: Arc<dyn Sink>,
    ) -> Result<Self, ConfineError> {
        Self::with(cell, Policy::watching(), Limits::default(), ends, (sink, None))
    }

    fn with(
        cell: Arc<str>,
        policy: Policy,
        limits: Limits,
        ends: NetworkEnds,
        (sink, secrets): (Arc<dyn Sink>, Option<Secrets>),
    ) -> Result<Self, ConfineError> {
        let (records, told) = mpsc::channel((limits.connections * RECORDS_PER_CONNECTION).max(RECORDS_MIN));
        let NetworkEnds { tcp, dns_udp, dns_tcp, audit } = ends;
        let sockets = Sockets { tcp, dns_udp, dns_tcp, audit };
        let broker = Broker::start_with_secrets(policy, sockets, records, limits, Arc::new(System), secrets);
        let broker = broker.map_err(ConfineError::Broker)?;
        Ok(Self { broker, telling: tokio::spawn(tell(cell, told, sink)) })
    }

    /// The number of open connections, to be kept and read elsewhere.
    #[must_use]
    pub fn gauge(&self) -> Gauge {
        self.broker.gauge()
    }

    /// Ends every connection; all that happened has been told when this returns.
    pub async fn close(self) {
        self.broker.close(Duration::ZERO).await;
        let _told = self.telling.await;
    }
}

/// What the contract says of the broker's limits; where it says nothing, the broker's own hold.
fn limits(terms: &cella_contract::Limits) -> Limits {
    let usual = Limits::default();
    let connections = terms.connections.map(|most| usize::try_from(most).unwrap_or(usize::MAX));
    Limits {
        connections: connections.map_or(usual.connections, |most| most.min(CONNECTIONS_MAX)),
        connections_per_second: terms.connection_rate.unwrap_or(usual.connections_per_second),
        bytes_up: terms.egress_bytes.or(usual.bytes_up),
        ..usual
    }
}

async fn tell(cell: Arc<str>, mut records: mpsc::Receiver<Record>, sink: Arc<dyn Sink>) {
    while let Some(record) = records.recv().await {
        sink.told(&cell, &record);
    }
}

#[cfg(test)]
mod tests {
    use super::{CONNECTIONS_MAX, limits};

    #[test]
    fn what_a_contract_says_of_connections_is_what_the_broker_gets() {
        let said = limits(&cella_contract::Limits {
            connections: Some(3),
            connection_rate: Some(2),
            egress_bytes: Some(1 << 20),
            ..cella_contract::Limits::default()
        });
        assert_eq!((said.connections, said.connections_per_second, said.bytes_up), (3, 2, Some(1 << 20)));
        let silent = limits(&cella_contract::Limits::default());
        assert_eq!((silent.connections, silent.bytes_up), (256, None));
        let many = limits(&cella_contract::Limits {
            connections: Some(u32::MAX),
            ..cella_contract::Limits::default()
        });
        assert_eq!(many.connections, CONNECTIONS_MAX);
    }
}
