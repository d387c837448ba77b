//! Clients who are kept apart see nothing of each other, and one client does not hold up another.

use std::{sync::Arc, time::Duration};

use cella_contract::Isolation;
use cella_link::LinkEvent;
use cella_mcp::ListKind;
use cella_transport::{Change, Interest, Scope, Step};
use tokio::time::{sleep, timeout};

use super::fake::{FakeServer, Flaw, World, client, options, plan, plans, request};
use crate::{InstanceKey, Resolved, ServerPlan};

const SECOND: Duration = Duration::from_secs(1);

fn apart(server: &Arc<FakeServer>) -> World {
    let plan = ServerPlan { isolation: Isolation::Client, ..plan("a") };
    World::with(&[("a", server.clone())], plans([plan]), options())
}

fn is_of(name: &str) -> impl Fn(&InstanceKey) -> bool {
    move |key| matches!(key, InstanceKey::Client { principal, .. } if &**principal == name)
}

#[tokio::test(start_paused = true)]
async fn no_list_comes_from_the_instance_of_a_client() {
    let server = FakeServer::with_tools(&["t"]);
    let world = apart(&server);
    let scope = || Scope::Server("a".into());
    world.ask_as("ann", scope(), "tools/call", r#"{"name":"t"}"#).await.unwrap();
    server.set_tools(&["t", "of_ann"]);
    server.say_in(is_of("ann"), || LinkEvent::ToolsChanged).await;
    sleep(SECOND).await;
    assert!(server.listed.lock().unwrap().is_empty());
    world.names(Scope::All, ListKind::Tools).await;
    assert!(server.listed.lock().unwrap().iter().all(|key| *key == InstanceKey::Shared));
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn an_update_in_the_instance_of_one_client_is_not_told_to_another() {
    let server = FakeServer::with_tools(&["t"]);
    server.set("resources/list", r#"{"resources":[{"uri":"f:/1"}]}"#);
    let world = apart(&server);
    let scope = Scope::Server("a".into());
    let interest = Interest { uris: vec!["f:/1".into()], ..Interest::default() };
    let mut ann = world.catalog.watch(&scope, &client("ann"), &interest);
    let mut bob = world.catalog.watch(&scope, &client("bob"), &interest);
    ann.settled.take().unwrap().await.unwrap();
    bob.settled.take().unwrap().await.unwrap();
    let update = || LinkEvent::ResourceUpdated { uri: "f:/1".into(), params: None };
    server.say_in(is_of("ann"), update).await;
    assert!(matches!(timeout(SECOND, ann.changes.recv()).await, Ok(Some(Change::Updated { .. }))));
    assert!(timeout(SECOND, bob.changes.recv()).await.is_err());
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn clients_who_do_not_answer_do_not_hold_up_the_others() {
    let server = FakeServer::with_tools(&["t"]);
    server.set_fault(Flaw::Asks);
    let plan = ServerPlan { calls_max: 1, ..plan("a") };
    let world = World::with(&[("a", server.clone())], plans([plan]), options());
    let mut asked = Vec::new();
    for _ in 0..3 {
        let call = request(Scope::Server("a".into()), "tools/call", Some(r#"{"name":"t"}"#));
        let resolved = world.catalog.resolve(&call.scope, &call.method, call.params.as_deref()).await;
        let Ok(Resolved::Server(route)) = resolved else { panic!("no route") };
        let mut exchange =
            timeout(SECOND, world.catalog.call(route, call)).await.expect("it waits for a place");
        assert!(matches!(exchange.next().await, Step::Ask(_)));
        asked.push(exchange);
    }
    assert_eq!(world.status("a").in_flight, 3);
    drop(asked);
    world.finish().await;
}
