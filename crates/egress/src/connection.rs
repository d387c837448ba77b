//! One connection of a cell, from the address that it wanted to the end of its bytes.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use cella_contract::DomainName;
use tokio::{net::TcpStream, sync::Semaphore, time::timeout};

use crate::{
    carry::{Activity, Allowance, Way},
    denial::Denial,
    dial::{dial, is_own},
    hello::Opening,
    intercept::{Destination, intercept},
    limits::{ADDRESSES_TRIED, Limits},
    names::Names,
    opening::{First, Said, first, heard},
    policy::{Permit, Policy, Target, Vetted},
    rate::Rate,
    record::{Account, Ending, Recorder, Subject},
    resolve::Resolve,
    secrets::Armed,
};

/// What the connections of a cell share.
pub(crate) struct Cell {
    pub(crate) policy: Policy,
    pub(crate) limits: Limits,
    pub(crate) names: Mutex<Names>,
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) rate: Rate,
    /// Places for names that are being resolved.
    pub(crate) resolutions: Semaphore,
    pub(crate) allowance: Allowance,
    /// What is needed where secrets are bound to hosts; `None` in a cell without any.
    pub(crate) armed: Option<Arc<Armed>>,
}

/// A connection that may go on: whom it is for, what was heard, and where it may be dialled.
struct Admitted {
    permit: Permit,
    first: First,
    addresses: Vec<Vetted>,
}

/// What is done with the bytes of an admitted connection. By the time this is decided the name is checked, against what the
/// client said unless it is silent; towards a host with a secret a silent client is waited for, or silence would be a way
/// round.
enum Handling {
    /// They are moved as they are.
    PassThrough,
    /// TLS ends here, because a secret is bound to this host.
    Intercept(Arc<Armed>, DomainName),
}

/// Serves one connection. `wanted` is the address and port that the cell connected to.
pub(crate) async fn serve(client: TcpStream, wanted: SocketAddr, cell: &Arc<Cell>) {
    let target = cell.target(wanted.ip());
    let name = match &target {
        Target::Name(name) => Some(name.clone()),
        Target::Address(_) => None,
    };
    let subject = Subject { name, destination: Some(wanted), resolved: None };
    match admit(&client, target, wanted.port(), cell).await {
        Ok(admitted) => match handling(&admitted, cell) {
            Ok(Handling::PassThrough) => pass_through(client, admitted, subject, cell).await,
            Ok(Handling::Intercept(armed, name)) => {
                let Admitted { permit, first, addresses } = admitted;
                let said = first.into_bytes();
                let to = Destination { name, port: permit.port(), addresses };
                // the rarer way, and the larger one
                Box::pin(intercept(client, said, to, subject, (cell, &armed))).await;
            }
            Err(denial) => {
                cell.recorder.denied(subject, denial);
                reset(&client);
            }
        },
        Err(denial) => {
            cell.recorder.denied(subject, denial);
            reset(&client);
        }
    }
}

/// Closes at once, without the wait of an orderly end.
pub(crate) fn reset(stream: &TcpStream) {
    if let Err(error) = stream.set_zero_linger() {
        tracing::debug!(%error, "closed in order where a reset was meant");
    }
}

/// Every check before anything is dialled, cheapest first.
async fn admit(client: &TcpStream, target: Target, port: u16, cell: &Cell) -> Result<Admitted, Denial> {
    let permit = cell.policy.connect(target, port)?;
    let limits = &cell.limits;
    let first = match permit.name() {
        Some(name) if cell.armed.as_ref().is_some_and(|armed| armed.reaches(name)) => {
            let said = timeout(limits.idle_time, heard(client, name, port, limits.opening_time)).await;
            First::Said(said.unwrap_or(Err(Denial::OpeningLimit))?)
        }
        Some(name) => first(client, name, port, limits.silence_time, limits.opening_time).await?,
        // whoever grants an address grants what answers there, under whatever name
        None => First::Said(Said { bytes: Vec::new(), opening: Opening::Opaque }),
    };
    let addresses = cell.vetted(&permit).await?;
    Ok(Admitted { permit, first, addresses })
}

fn handling(admitted: &Admitted, cell: &Cell) -> Result<Handling, Denial> {
    let (Some(armed), First::Said(said)) = (&cell.armed, &admitted.first) else {
        return Ok(Handling::PassThrough);
    };
    let tls = matches!(said.opening, Opening::Tls { .. });
    if let Some(name) = admitted.permit.name().filter(|name| tls && armed.reaches(name)) {
        return Ok(Handling::Intercept(armed.clone(), name.clone()));
    }
    if !tls {
        let host = admitted.permit.name().map_or("", DomainName::as_str);
        armed.in_clear(host, &said.bytes).map_err(Denial::Secret)?;
    }
    Ok(Handling::PassThrough)
}

async fn pass_through(client: TcpStream, admitted: Admitted, subject: Subject, cell: &Cell) {
    let Admitted { permit, first, addresses } = admitted;
    // the default waits for acknowledgements, at 40 ms each
    let _ = client.set_nodelay(true);
    match dialled(addresses, &subject, cell).await {
        Some((server, account)) => carry(&client, &server, &permit, first, account, cell).await,
        None => reset(&client),
    }
}

/// The first of these addresses that takes a connection, which is on record; so is each that does not.
pub(crate) async fn dialled(
    addresses: Vec<Vetted>,
    subject: &Subject,
    cell: &Cell,
) -> Option<(TcpStream, Account)> {
    let deadline = tokio::time::Instant::now() + cell.limits.dial_time;
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for address in addresses {
        // an address that swallows packets must not use up the time of the next
        let share = deadline.saturating_duration_since(tokio::time::Instant::now()) / left.clamp(1, 2);
        left -= 1;
        let account = match cell.recorder.open(subject.clone(), address, cell.limits.dial_time).await {
            Ok(account) => account,
            Err(denial) => {
                cell.recorder.denied(subject.clone(), denial);
                return None;
            }
        };
        let cause = match timeout(share, dial(address)).await {
            Ok(Ok(server)) => return Some((server, account)),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        account.end(Ending::Unreachable { cause });
    }
    None
}

/// Moves bytes both ways, after the client's opening if it has not been heard yet.
async fn carry(
    client: &TcpStream,
    server: &TcpStream,
    permit: &Permit,
    first: First,
    account: Account,
    cell: &Cell,
) {
    let (meter, activity) = (account.meter.clone(), Activity::new());
    let up = Way {
        from: client,
        to: server,
        moved: &meter.up,
        activity: &activity,
        allowance: Some(&cell.allowance),
    };
    let down = Way { from: server, to: client, moved: &meter.down, activity: &activity, allowance: None };
    let upwards = async {
        let said = match (first, permit.name()) {
            (First::Said(said), _) => said.bytes,
            (First::Silence, Some(name)) => {
                let heard = heard(client, name, permit.port(), cell.limits.opening_time);
                heard.await.map_err(Ending::Denied)?.bytes
            }
            (First::Silence, None) => Vec::new(),
        };
        up.pass(&said).await?;
        drop(said);
        up.run().await
    };
    let both = async { tokio::try_join!(upwards, down.run()) };
    let ending = tokio::select! {
        ended = both => ended.err().unwrap_or(Ending::Finished),
        () = activity.quiet_for(cell.limits.idle_time) => Ending::Idle,
    };
    if ending != Ending::Finished {
        reset(client);
        reset(server);
    }
    if let Ending::Denied(denial) = &ending {
        let subject = Subject { name: permit.name().cloned(), ..Subject::default() };
        cell.recorder.denied(subject, denial.clone());
    }
    account.end(ending);
}

// === impl Cell ===

impl Cell {
    /// Whom an address means in this cell.
    fn target(&self, address: IpAddr) -> Target {
        self.name(address).map_or_else(|| Target::Address(address.to_canonical()), Target::Name)
    }

    /// The name that an address stands for in this cell.
    pub(crate) fn name(&self, address: IpAddr) -> Option<DomainName> {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.name(address).cloned()
    }

    /// The addresses that may be dialled for a permit: at least one.
    async fn vetted(&self, permit: &Permit) -> Result<Vec<Vetted>, Denial> {
        let found = match permit.target() {
            Target::Address(address) => vec![*address],
            Target::Name(name) => self.resolved(name).await?,
        };
        let (mut vetted, mut refused) = (Vec::new(), None);
        for address in found.into_iter().map(|address| address.to_canonical()).take(ADDRESSES_TRIED) {
            // what cannot be looked at is refused like what must not be reached
            let own = is_own(address).unwrap_or(true);
            match self.policy.vet(permit, address, own) {
                Ok(address) => vetted.push(address),
                Err(denial) => refused = Some(denial),
            }
        }
        match refused {
            Some(denial) if vetted.is_empty() => Err(denial),
            _ => Ok(vetted),
        }
    }

    async fn resolved(&self, name: &DomainName) -> Result<Vec<IpAddr>, Denial> {
        let failed = |cause: String| Denial::NotResolved { name: name.clone(), cause };
        let _place = self.resolutions.acquire().await.map_err(|error| failed(error.to_string()))?;
        match timeout(self.limits.dial_time, self.resolver.resolve(name)).await {
            Ok(Ok(found)) if found.is_empty() => Err(failed("no address".to_owned())),
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed("no answer in time".to_owned())),
        }
    }
}
