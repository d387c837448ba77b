//! Changes reach those who listen, within a second, however the server tells of them.

use std::{sync::Arc, time::Duration};

use cella_link::LinkEvent;
use cella_transport::{Change, Interest, Scope, Watch};
use tokio::time::{sleep, timeout};

use super::fake::{FakeServer, Flaw, World, client, options, plan, plans};

const SECOND: Duration = Duration::from_secs(1);

fn lists() -> Interest {
    Interest { tools: true, prompts: true, resources: true, uris: Vec::new() }
}

async fn next(watch: &mut Watch) -> Option<Change> {
    timeout(SECOND, watch.changes.recv()).await.ok().flatten()
}

#[tokio::test(start_paused = true)]
async fn a_list_that_its_server_calls_changed_is_told_within_a_second() {
    let world = World::new(&[("a", FakeServer::with_tools(&["t"]))]);
    world.tools().await;
    let mut watch = world.catalog.watch(&Scope::All, &client("ann"), &lists());
    assert!(watch.granted.tools && watch.granted.prompts && watch.granted.resources);
    world.server("a").say(|| LinkEvent::ToolsChanged).await;
    assert!(matches!(next(&mut watch).await, Some(Change::Tools)), "its word counts, whatever we find");
    world.server("a").set_tools(&["t", "u"]);
    world.server("a").say(|| LinkEvent::ToolsChanged).await;
    assert!(matches!(next(&mut watch).await, Some(Change::Tools)));
    assert_eq!(world.tools().await, ["a__t", "a__u"]);
    assert!(next(&mut watch).await.is_none());
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_change_whose_list_cannot_be_fetched_is_told_and_fetched_later() {
    let world = World::new(&[("a", FakeServer::with_tools(&["t"]))]);
    world.tools().await;
    let mut watch = world.catalog.watch(&Scope::All, &client("ann"), &lists());
    world.server("a").set_tools(&["t", "u"]);
    world.server("a").set_fault(Flaw::Garbage);
    world.server("a").say(|| LinkEvent::ToolsChanged).await;
    assert!(matches!(next(&mut watch).await, Some(Change::Tools)), "what is shown is old");
    sleep(SECOND * 20).await;
    assert!(next(&mut watch).await.is_none(), "once");
    world.server("a").set_fault(Flaw::None);
    sleep(SECOND * 30).await;
    assert!(matches!(next(&mut watch).await, Some(Change::Tools)), "nobody asked for it");
    assert_eq!(world.tools().await, ["a__t", "a__u"]);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_with_the_same_tools_is_no_change() {
    let world = World::new(&[("a", FakeServer::with_tools(&["t"]))]);
    world.tools().await;
    let mut watch = world.catalog.watch(&Scope::All, &client("ann"), &lists());
    world.server("a").kill().await;
    sleep(SECOND / 2).await;
    world.call("a__t").await.unwrap();
    assert!(next(&mut watch).await.is_none());
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_with_other_tools_is_a_change() {
    let world = World::new(&[("a", FakeServer::with_tools(&["t"]))]);
    world.tools().await;
    let mut watch = world.catalog.watch(&Scope::All, &client("ann"), &lists());
    world.server("a").kill().await;
    world.server("a").set_tools(&["t", "u"]);
    sleep(SECOND / 2).await;
    world.call("a__t").await.unwrap();
    assert!(matches!(next(&mut watch).await, Some(Change::Tools)));
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_comes_late_is_told_only_to_those_who_may_have_missed_it() {
    let slow = FakeServer::with_tools(&["t"]);
    *slow.start_time.lock().unwrap() = Duration::from_secs(15);
    let world = World::new(&[("slow", slow)]);
    let mut watch = world.catalog.watch(&Scope::All, &client("ann"), &lists());
    assert!(world.tools().await.is_empty());
    sleep(Duration::from_secs(5)).await;
    assert!(matches!(next(&mut watch).await, Some(Change::Tools)));
    assert!(next(&mut watch).await.is_none(), "nobody was shown the other lists without it");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_new_plan_is_told_to_everybody() {
    let servers = [("a", FakeServer::with_tools(&["t"])), ("b", FakeServer::with_tools(&["t"]))];
    let world = World::with(&servers, plans([plan("a")]), options());
    let mut watch = world.catalog.watch(&Scope::All, &client("ann"), &lists());
    world.catalog.apply(plans([plan("a")]));
    assert!(next(&mut watch).await.is_none(), "the same plan");
    world.catalog.apply(plans([plan("a"), plan("b")]));
    for _ in 0..3 {
        assert!(next(&mut watch).await.is_some());
    }
    world.finish().await;
}

fn update(uri: &str) -> LinkEvent {
    LinkEvent::ResourceUpdated { uri: uri.into(), params: None }
}

#[tokio::test(start_paused = true)]
async fn a_resource_is_subscribed_once_for_all_who_watch_it() {
    let server = FakeServer::with_tools(&["t"]);
    server.set("resources/list", r#"{"resources":[{"uri":"f:/1"},{"uri":"f:/2"}]}"#);
    let world = World::new(&[("a", server.clone())]);
    world.names(Scope::All, cella_mcp::ListKind::Resources).await;
    let interest = |uris: &[&str]| Interest {
        uris: uris.iter().map(|u| (*u).to_owned()).collect(),
        ..Interest::default()
    };
    let mut ann = world.catalog.watch(&Scope::All, &client("ann"), &interest(&["f:/1"]));
    let mut bob =
        world.catalog.watch(&Scope::All, &client("bob"), &interest(&["cella+a:f:/1", "f:/2", "x:none"]));
    assert_eq!(
        bob.granted.uris,
        ["cella+a:f:/1", "f:/2", "x:none"],
        "the only server with resources may know it"
    );
    ann.settled.take().unwrap().await.unwrap();
    bob.settled.take().unwrap().await.unwrap();
    assert_eq!(server.subscribed.lock().unwrap().last().unwrap(), &["f:/1", "f:/2", "x:none"]);
    server.say(|| update("f:/1")).await;
    assert!(matches!(next(&mut ann).await, Some(Change::Updated { uri, .. }) if &*uri == "f:/1"));
    assert!(matches!(next(&mut bob).await, Some(Change::Updated { uri, .. }) if &*uri == "cella+a:f:/1"));
    server.say(|| update("f:/2")).await;
    assert!(next(&mut ann).await.is_none());
    assert!(next(&mut bob).await.is_some());
    drop(bob);
    sleep(SECOND).await;
    assert_eq!(server.subscribed.lock().unwrap().last().unwrap(), &["f:/1"]);
    drop(ann);
    sleep(SECOND).await;
    assert!(server.subscribed.lock().unwrap().last().unwrap().is_empty());
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn subscriptions_survive_a_crash_of_their_server() {
    let server = FakeServer::with_tools(&["t"]);
    server.set("resources/list", r#"{"resources":[{"uri":"f:/1"}]}"#);
    let world = World::new(&[("a", server.clone())]);
    let interest = Interest { uris: vec!["f:/1".into()], ..Interest::default() };
    let mut watch = world.catalog.watch(&Scope::Server("a".into()), &client("ann"), &interest);
    sleep(SECOND).await;
    assert_eq!(server.launches(), 1, "watching starts it");
    server.kill().await;
    sleep(SECOND).await;
    assert_eq!(server.launches(), 2, "and brings it back");
    server.say(|| update("f:/1")).await;
    assert!(next(&mut watch).await.is_some());
    sleep(crate::IDLE_STOP * 2).await;
    assert_eq!(server.running(), 1, "it is not idle while somebody watches");
    drop(watch);
    sleep(crate::IDLE_STOP * 2).await;
    assert_eq!(server.running(), 0);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_thousand_watches_leave_nothing_behind() {
    let server = FakeServer::with_tools(&["t"]);
    server.set("resources/list", r#"{"resources":[{"uri":"f:/1"}]}"#);
    let world = Arc::new(World::new(&[("a", server.clone())]));
    world.names(Scope::All, cella_mcp::ListKind::Resources).await;
    for _ in 0..1000 {
        let interest = Interest { uris: vec!["f:/1".into()], ..lists() };
        drop(world.catalog.watch(&Scope::All, &client("ann"), &interest));
    }
    sleep(SECOND).await;
    assert!(server.subscribed.lock().unwrap().last().is_none_or(Vec::is_empty));
    Arc::into_inner(world).unwrap().finish().await;
}

#[tokio::test(start_paused = true)]
async fn who_watches_a_resource_watches_it_at_the_server_that_takes_the_place_of_another() {
    let server = FakeServer::with_tools(&["t"]);
    server.set("resources/list", r#"{"resources":[{"uri":"f:/1"},{"uri":"f:/2"}]}"#);
    let world = World::new(&[("a", server.clone())]);
    world.names(Scope::All, cella_mcp::ListKind::Resources).await;
    let interest = |uri: &str| Interest { uris: vec![uri.into()], ..Interest::default() };
    let mut old = world.catalog.watch(&Scope::All, &client("ann"), &interest("f:/1"));
    let changed = |digest| crate::ServerPlan { digest: [digest; 32], ..plan("a") };
    world.catalog.apply(plans([changed(1)]));
    sleep(SECOND).await;
    assert_eq!(server.subscribed.lock().unwrap().last().unwrap(), &["f:/1"]);
    server.say(|| update("f:/1")).await;
    assert!(next(&mut old).await.is_some());

    // removed and added again, with a newer watch of the same resource
    world.catalog.apply(plans([]));
    world.catalog.apply(plans([changed(2)]));
    world.names(Scope::All, cella_mcp::ListKind::Resources).await;
    let mut new = world.catalog.watch(&Scope::All, &client("bob"), &interest("f:/1"));
    drop(old);
    sleep(SECOND).await;
    assert_eq!(server.subscribed.lock().unwrap().last().unwrap(), &["f:/1"]);
    server.say(|| update("f:/1")).await;
    assert!(next(&mut new).await.is_some(), "the end of the older watch is not the end of this one");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_resource_can_be_watched_before_any_list_was_asked_for() {
    let (one, two) = (FakeServer::with_tools(&[]), FakeServer::with_tools(&[]));
    two.set("resources/list", r#"{"resources":[{"uri":"f:/2"}]}"#);
    let world = World::new(&[("a", one), ("b", two.clone())]);
    let interest = Interest { uris: vec!["f:/2".into()], ..Interest::default() };
    world.catalog.make_watchable(&Scope::All, &interest.uris).await;
    let mut watch = world.catalog.watch(&Scope::All, &client("ann"), &interest);
    assert_eq!(watch.granted.uris, ["f:/2"]);
    watch.settled.take().unwrap().await.unwrap();
    two.say(|| update("f:/2")).await;
    assert!(next(&mut watch).await.is_some());
    world.finish().await;
}
