//! The broker of one cell, and who hears its records.

use std::{sync::Arc, time::Duration};

use cella_cell::NetworkEnds;
use cella_contract::Contract;
use cella_egress::{Broker, BrokerHandle, Limits, Policy, Record, Secrets, Sockets, System};
use tokio::{sync::mpsc, task::JoinHandle};

use super::{ConfineError, Sink};

/// Records on their way to the sink, for each connection that a cell may have at once. While there is no room no
/// connection is allowed, so that none is missing from the record.
const RECORDS_PER_CONNECTION: usize = 4;

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
        let limits = Limits::default();
        let (records, told) = mpsc::channel(limits.connections * RECORDS_PER_CONNECTION);
        let NetworkEnds { tcp, dns_udp, dns_tcp, audit } = ends;
        let sockets = Sockets { tcp, dns_udp, dns_tcp, audit };
        let policy = Policy::new(contract.egress_grants().map_err(ConfineError::Grant)?);
        let broker = Broker::start_with_secrets(policy, sockets, records, limits, Arc::new(System), secrets);
        let broker = broker.map_err(ConfineError::Broker)?;
        Ok(Self { broker, telling: tokio::spawn(tell(cell, told, sink)) })
    }

    /// Ends every connection; all that happened has been told when this returns.
    pub async fn close(self) {
        self.broker.close(Duration::ZERO).await;
        let _told = self.telling.await;
    }
}

async fn tell(cell: Arc<str>, mut records: mpsc::Receiver<Record>, sink: Arc<dyn Sink>) {
    while let Some(record) = records.recv().await {
        sink.told(&cell, &record);
    }
}
