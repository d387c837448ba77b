//! From a specification to a program that runs in a virtual machine.

use std::sync::{Arc, PoisonError};

use cella_cell::{Running, Spec};
use tokio::sync::mpsc;

use super::{
    Ground,
    plan::Plan,
    pristine::{Pristine, refusal},
    seed,
    site::Site,
    talk::Told,
};
use crate::{VmError, capped::Allowance, relay::outside, ward};

pub(super) async fn launch(ground: Arc<Ground>, spec: Spec) -> Result<Running, VmError> {
    let (name, limits) = (spec.name.clone(), spec.limits);
    ward::keep(&name, limits, |id, allowance| make(ground, spec, id, allowance)).await
}

async fn make(
    ground: Arc<Ground>,
    spec: Spec,
    id: String,
    allowance: Allowance,
) -> Result<ward::Guest, VmError> {
    let of = Arc::clone(&ground);
    let planned = tokio::task::spawn_blocking(move || Plan::new(&of, spec));
    let plan = Arc::new(planned.await.map_err(std::io::Error::other)??);
    let (guest, report) = match ground.pool.take(&plan.kind) {
        Some(guest) => {
            let report = plan.judge(&guest.site.groups)?;
            (guest, report)
        }
        None => {
            let of = Arc::clone(&plan);
            let prepared = tokio::task::spawn_blocking(move || {
                let groups = of.groups(&id);
                let report = of.judge(&groups)?;
                Ok::<_, VmError>((Site::new(&of, groups)?, report))
            });
            let (site, report) = prepared.await.map_err(std::io::Error::other)??;
            (Pristine::make(&plan, site, ground.store.as_ref()).await?, report)
        }
    };
    if let Some(store) = &ground.store {
        ground.pool.fill(&plan, store);
    }
    let Pristine { mut tree, mut ports, network, site } = guest;
    let (network, sockets) = network.unzip();
    let brokered = plan.guest.relay.as_ref().map(|relay| relay.ports.clone()).unwrap_or_default();
    let relayed = ports.relay().zip(sockets);
    let sockets = relayed.map(|(port, sockets)| outside::serve(port, sockets, brokered));
    match ports.begin(&seed::message()?, &plan.cell).await {
        Some(word) if word == "up" => {}
        said => return Err(refusal(tree, &site, said).await),
    }
    let (talk, streams) = ports.open(&allowance)?;
    let (orders, ordered) = mpsc::unbounded_channel();
    let told = Told::default();
    let end = Arc::clone(&told);
    let attended = tokio::spawn(talk.attend(ordered, Arc::clone(&told)));
    // The machine does not know that it is of no more use.
    tree.ends_with(attended);
    Ok(ward::Guest {
        tree,
        ask: Box::new(move || {
            // A guest that has told its end needs no orders.
            let _ended = orders.send("term");
        }),
        verdict: Box::new(move |_| *end.lock().unwrap_or_else(PoisonError::into_inner)),
        streams,
        network,
        sockets,
        report,
        groups: site.groups,
        dir: site.dir,
    })
}
