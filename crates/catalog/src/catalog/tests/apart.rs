//! Clients who are kept apart see nothing of each other, and one client does not hold up another.

use std::{sync::Arc, time::Duration};

use cella_contract::Isolation;
use cella_link::LinkEvent;
use cella_mcp::{ListKind, Notification, Revision, raw_json};
use cella_transport::{Caller, Change, Interest, Scope, Step, Watch};
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

fn session(principal: &str, session: &str) -> Arc<Caller> {
    let revision = Revision::NEWEST_LEGACY;
    Arc::new(Caller {
        principal: principal.into(),
        session: Some(session.into()),
        revision,
        ..Caller::cella()
    })
}

async fn told(watch: &mut Watch) -> Option<Notification> {
    match timeout(SECOND, watch.changes.recv()).await {
        Ok(Some(Change::Told(note))) => Some(note),
        _ => None,
    }
}

fn note(method: &str, params: &str) -> Notification {
    Notification { method: method.into(), params: Some(raw_json(params).unwrap()) }
}

#[tokio::test(start_paused = true)]
async fn what_a_server_says_of_a_task_reaches_the_client_who_has_it_and_nobody_else() {
    let server = FakeServer::with_tools(&["t"]);
    server.set("tools/call", r#"{"task":{"taskId":"7","status":"working"}}"#);
    let world = World::new(&[("a", server.clone())]);
    world.tools().await;
    let (mine, other) = (session("ann", "1"), session("ann", "2"));
    let interest = Interest { tools: true, ..Interest::default() };
    let mut call = request(Scope::All, "tools/call", Some(r#"{"name":"a__t","task":{}}"#));
    call.caller = mine.clone();
    let mut watch = world.catalog.watch(&Scope::All, &mine, &interest);
    let mut not_mine = world.catalog.watch(&Scope::All, &other, &interest);
    let resolved = world.catalog.resolve(&call.scope, &call.method, call.params.as_deref()).await;
    let Ok(Resolved::Server(route)) = resolved else { panic!("no route") };
    super::fake::done(world.catalog.call(route, call).await).await.unwrap();
    let status =
        || LinkEvent::Other(note("notifications/tasks/status", r#"{"taskId":"7","status":"completed"}"#));
    server.say(status).await;
    let heard = told(&mut watch).await.unwrap();
    assert_eq!(heard.params.unwrap().get(), r#"{"taskId":"cella+a:7","status":"completed"}"#);
    assert!(told(&mut not_mine).await.is_none());
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_is_listened_to_by_the_principal_who_has_it_and_nobody_else() {
    let server = FakeServer::with_tools(&["t"]);
    *server.capabilities.lock().unwrap() =
        r#"{"tools":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#.into();
    server.set("tools/call", r#"{"resultType":"task","taskId":"7","status":"working"}"#);
    let world = World::new(&[("a", server.clone())]);
    world.tools().await;
    let mut call = request(Scope::All, "tools/call", Some(r#"{"name":"a__t"}"#));
    call.caller = client("ann");
    let resolved = world.catalog.resolve(&call.scope, &call.method, call.params.as_deref()).await;
    let Ok(Resolved::Server(route)) = resolved else { panic!("no route") };
    super::fake::done(world.catalog.call(route, call).await).await.unwrap();
    let named = |id: &str| vec![id.to_owned(), "cella+a:8".to_owned()];
    assert!(world.catalog.watch_tasks(&Scope::All, &client("bob"), &named("cella+a:7")).is_none());
    let mut watch = world.catalog.watch_tasks(&Scope::All, &client("ann"), &named("cella+a:7")).unwrap();
    assert_eq!(watch.granted, ["cella+a:7"]);
    let asked = || server.tasks.lock().unwrap().last().cloned().unwrap();
    assert_eq!(asked(), (InstanceKey::Shared, vec!["7".into()]));
    let state =
        |task: &str| note("notifications/tasks", &format!(r#"{{"taskId":"{task}","status":"done"}}"#));
    server.say(|| LinkEvent::Other(state("8"))).await;
    server.say(|| LinkEvent::Other(state("7"))).await;
    let heard = timeout(SECOND, watch.states.recv()).await.unwrap().unwrap();
    assert_eq!(heard.params.unwrap().get(), r#"{"taskId":"cella+a:7","status":"done"}"#);
    // a process that is new is asked again
    server.kill().await;
    sleep(SECOND).await;
    world.ask(Scope::All, "tools/call", r#"{"name":"a__t"}"#).await.unwrap();
    assert_eq!(asked(), (InstanceKey::Shared, vec!["7".into()]));
    drop(watch);
    sleep(SECOND).await;
    assert_eq!(asked(), (InstanceKey::Shared, vec![]));
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_server_logs_outside_of_calls_is_for_sessions_of_one_principal_only() {
    let server = FakeServer::with_tools(&["t"]);
    let world = World::new(&[("a", server.clone())]);
    world.tools().await;
    let interest = Interest { tools: true, ..Interest::default() };
    let log = || LinkEvent::Log(note("notifications/message", r#"{"level":"info","data":"x"}"#));
    let mut one = world.catalog.watch(&Scope::All, &session("ann", "1"), &interest);
    let mut two = world.catalog.watch(&Scope::All, &session("ann", "2"), &interest);
    server.say(log).await;
    assert!(told(&mut one).await.is_some() && told(&mut two).await.is_some());
    let mut third = world.catalog.watch(&Scope::All, &session("bob", "3"), &interest);
    server.say(log).await;
    for watch in [&mut one, &mut two, &mut third] {
        assert!(told(watch).await.is_none());
    }
    world.finish().await;
}
