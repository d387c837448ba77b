//! Lists: where they come from, how fresh they are, what they say.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use cella_contract::ViewConfig;
use cella_mcp::{ListKind, ListPage};
use cella_transport::{Answer, Scope, Step};
use tokio::time::{Instant, sleep};

use super::fake::{FakeServer, FakeStore, Flaw, World, era, options, plan, plans, request};
use crate::{ListStore, Options, Stage, Status, View};

const SHORT: Duration = Duration::from_millis(300);

fn stored() -> (Arc<FakeStore>, Options) {
    let store = Arc::new(FakeStore::default());
    (store.clone(), Options { store: Some(store as Arc<dyn ListStore>), ..options() })
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_of_the_node_lists_come_from_the_store_and_nothing_is_started() {
    let (store, options) = stored();
    let servers = [("a", FakeServer::with_tools(&["t"]))];
    let first = World::with(&servers, plans([plan("a")]), options.clone());
    assert_eq!(first.tools().await, ["a__t"]);
    first.finish().await;
    assert_eq!(store.0.lock().unwrap().len(), 1);

    let second = World::with(&servers, plans([plan("a")]), options.clone());
    assert_eq!(second.tools().await, ["a__t"]);
    assert_eq!(second.server("a").launches(), 1, "only the first life started it");
    let status = second.status("a");
    assert_eq!((status.stage, status.status, status.tools), (Stage::Known, Status::NotTested, Some(1)));
    let facts = second.catalog.facts(&Scope::Server("a".into())).unwrap();
    assert_eq!(facts.instructions.as_deref(), Some("Be brief."));
    second.finish().await;

    let mut changed = plan("a");
    changed.digest = [9; 32];
    let third = World::with(&servers, plans([changed]), options);
    third.tools().await;
    assert_eq!(third.server("a").launches(), 2, "a stored list is only good for its configuration");
    third.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_stored_list_that_is_out_of_date_is_replaced_at_the_first_start_and_hides_nothing() {
    let (_store, options) = stored();
    let servers = [("a", FakeServer::with_tools(&["old"]))];
    let first = World::with(&servers, plans([plan("a")]), options.clone());
    first.tools().await;
    first.finish().await;

    servers[0].1.set_tools(&["new"]);
    let second = World::with(&servers, plans([plan("a")]), options);
    assert_eq!(second.tools().await, ["a__old"]);
    assert!(
        second.call("a__new").await.is_ok(),
        "a stored list does not keep a newer tool from being called"
    );
    sleep(SHORT).await;
    assert_eq!(second.tools().await, ["a__new"]);
    second.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_list_that_went_stale_is_fetched_again_when_somebody_asks() {
    let world = World::new(&[("a", FakeServer::with_tools(&["t"]))]);
    world.tools().await;
    let fetched = world.server("a").fetches.load(Ordering::SeqCst);
    world.server("a").set_tools(&["t", "u"]);
    sleep(Duration::from_secs(59)).await;
    assert_eq!(world.tools().await, ["a__t"], "it is fresh for 60 s");
    sleep(Duration::from_secs(2)).await;
    assert_eq!(world.server("a").fetches.load(Ordering::SeqCst), fetched, "nobody asked");
    assert_eq!(world.tools().await, ["a__t", "a__u"]);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn many_who_ask_at_once_make_one_fetch() {
    let world = World::new(&[("a", FakeServer::with_tools(&["t"]))]);
    let (a, b, c, d) = tokio::join!(world.tools(), world.tools(), world.tools(), world.tools());
    assert!(a == b && b == c && c == d);
    assert_eq!(world.server("a").launches(), 1);
    assert_eq!(world.server("a").fetches.load(Ordering::SeqCst), 4, "one for each kind of list");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn the_endpoint_of_one_server_gives_its_pages_byte_for_byte() {
    let server = FakeServer::with_tools(&[]);
    server.set("tools/list", r#"{ "tools":[{"name":"b"}], "nextCursor":"2","x-vendor":1e400 }"#);
    server.set("tools/list 2", r#"{"tools":[{"name":"a"}]}"#);
    let world = World::new(&[("a", server)]);
    let own = || Scope::Server("a".into());
    let first = world.list(own(), ListKind::Tools).await.unwrap();
    assert_eq!(first.get(), r#"{ "tools":[{"name":"b"}], "nextCursor":"2","x-vendor":1e400 }"#);
    let second = request(own(), "tools/list", Some(r#"{"cursor":"2"}"#));
    let mut exchange = world.catalog.list(ListKind::Tools, second).await;
    let Step::Done(Answer { outcome: Ok(page), era: written }) = exchange.next().await else { panic!() };
    assert_eq!((page.get(), written), (r#"{"tools":[{"name":"a"}]}"#, era()));
    assert_eq!(world.tools().await, ["a__b", "a__a"], "the merged list has them all");

    // a cursor we never saw is the server's own business
    let seen = world.server("a").fetches.load(Ordering::SeqCst);
    let odd = request(own(), "tools/list", Some(r#"{"cursor":"odd"}"#));
    drop(world.catalog.list(ListKind::Tools, odd).await);
    assert_eq!(world.server("a").fetches.load(Ordering::SeqCst), seen + 1);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn the_status_is_a_resource_of_every_endpoint_of_many() {
    let world = World::new(&[("a", FakeServer::with_tools(&["t"])), ("bad", FakeServer::with_tools(&["t"]))]);
    world.server("bad").set_fault(Flaw::DiesAtStart);
    assert_eq!(world.names(Scope::All, ListKind::Resources).await, ["cella://status"]);
    let text = world.ask(Scope::All, "resources/read", r#"{"uri":"cella://status"}"#).await.unwrap();
    assert!(text.contains("exit status 1") && text.contains("connected"), "{text}");
    assert!(text.contains("last words"), "they say why: {text}");
    assert!(!text.contains("4711"), "only the operator sees process ids: {text}");
    assert!(world.names(Scope::Server("a".into()), ListKind::Resources).await.is_empty());
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_view_neither_lists_nor_calls_what_it_does_not_allow() {
    let servers = [("a", FakeServer::with_tools(&["x", "y"])), ("b", FakeServer::with_tools(&["x"]))];
    let mut planned = plans([plan("a"), plan("b")]);
    let mut config = ViewConfig { allow: Some(vec!["a__x".into()]), ..ViewConfig::default() };
    config.rename.insert("a__x".into(), "look".into());
    planned.views.insert("v".into(), Arc::new(View::new(&config).unwrap()));
    let world = World::with(&servers, planned, options());
    let scope = || Scope::View("v".into());
    assert_eq!(world.names(scope(), ListKind::Tools).await, ["look"]);
    assert!(world.ask(scope(), "tools/call", r#"{"name":"look"}"#).await.is_ok());
    for name in ["a__x", "a__y", "b__x"] {
        assert!(
            world.ask(scope(), "tools/call", &format!(r#"{{"name":"{name}"}}"#)).await.is_err(),
            "{name}"
        );
    }
    assert_eq!(world.server("b").launches(), 0, "a server that the view does not show is not started for it");
    assert!(world.catalog.facts(&scope()).is_some());
    assert!(world.catalog.facts(&Scope::View("w".into())).is_none());
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_comes_late_is_missing_at_first_and_there_afterwards() {
    let slow = FakeServer::with_tools(&["t"]);
    *slow.start_time.lock().unwrap() = Duration::from_secs(20);
    let world = World::new(&[("a", FakeServer::with_tools(&["t"])), ("slow", slow)]);
    let begin = Instant::now();
    let list = world.list(Scope::All, ListKind::Tools).await.unwrap();
    assert!(list.get().contains(r#"{"server":"slow","status":"connecting""#), "{list}");
    assert!(begin.elapsed() < Duration::from_secs(11));
    sleep(Duration::from_secs(11)).await;
    let list = world.list(Scope::All, ListKind::Tools).await.unwrap();
    assert!(!list.get().contains("missing"), "{list}");
    assert_eq!(ListPage::parse(ListKind::Tools, &list).unwrap().items.len(), 2);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_of_the_node_nobody_waits_for_the_servers_that_never_worked() {
    let (_store, options) = stored();
    let hangs = FakeServer::with_tools(&["t"]);
    hangs.set_fault(Flaw::HangsAtStart);
    let servers = [("a", FakeServer::with_tools(&["t"])), ("hangs", hangs)];
    let first = World::with(&servers, plans([plan("a"), plan("hangs")]), options.clone());
    let begin = Instant::now();
    assert_eq!(first.tools().await, ["a__t"]);
    assert!(begin.elapsed() >= Duration::from_secs(9), "the first time it gets its chance");
    first.finish().await;
    let second = World::with(&servers, plans([plan("a"), plan("hangs")]), options);
    let begin = Instant::now();
    assert_eq!(second.tools().await, ["a__t"]);
    assert!(begin.elapsed() <= SHORT, "{:?}", begin.elapsed());
    second.finish().await;
}

#[tokio::test(start_paused = true)]
async fn the_first_list_is_patient_also_after_a_first_call() {
    let slow = FakeServer::with_tools(&["t"]);
    *slow.start_time.lock().unwrap() = Duration::from_secs(5);
    let world = World::new(&[("a", FakeServer::with_tools(&["t"])), ("slow", slow)]);
    world.call("a__t").await.unwrap();
    assert_eq!(world.tools().await, ["a__t", "slow__t"]);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_server_without_a_list_beside_others_that_have_one() {
    let slow = FakeServer::with_tools(&["t"]);
    *slow.start_time.lock().unwrap() = Duration::from_secs(5);
    let servers = [("a", FakeServer::with_tools(&["t"])), ("slow", slow)];
    let world = World::with(&servers, plans([plan("a")]), options());
    world.tools().await;
    world.catalog.apply(plans([plan("a"), plan("slow")]));
    let begin = Instant::now();
    assert_eq!(world.tools().await, ["a__t"]);
    assert!(begin.elapsed() <= SHORT, "{:?}", begin.elapsed());
    sleep(Duration::from_secs(5)).await;
    assert_eq!(world.tools().await, ["a__t", "slow__t"]);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_list_that_cannot_be_fetched_again_is_still_shown_and_that_is_said() {
    let world = World::new(&[("a", FakeServer::with_tools(&["t"]))]);
    world.tools().await;
    world.server("a").set_fault(Flaw::Garbage);
    sleep(Duration::from_secs(61)).await;
    world.tools().await;
    let list = world.list(Scope::All, ListKind::Tools).await.unwrap();
    assert!(list.get().contains("a__t") && list.get().contains("CE2117"), "{list}");
    let status = world.status("a");
    assert_eq!((status.status, status.last_error.unwrap().code), (Status::Degraded, "CE2117"));
    world.server("a").set_fault(Flaw::None);
    world.server("a").set_tools(&["t", "u"]);
    sleep(SHORT).await;
    assert_eq!(world.tools().await, ["a__t", "a__u"]);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_without_a_capability_is_not_asked_for_the_list_and_is_not_missing() {
    let server = FakeServer::with_tools(&["t"]);
    *server.capabilities.lock().unwrap() = r#"{"tools":{}}"#.into();
    let world = World::new(&[("a", server)]);
    let list = world.list(Scope::All, ListKind::Prompts).await.unwrap();
    assert!(!list.get().contains("missing"), "{list}");
    assert_eq!(world.server("a").fetches.load(Ordering::SeqCst), 1);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_list_without_end_is_said_to_be_missing_and_never_cut() {
    for (first, second) in [("x", "x"), ("x", "y")] {
        let circle = FakeServer::with_tools(&["t"]);
        let page = |next: &str| format!(r#"{{"tools":[{{"name":"t{next}"}}],"nextCursor":"{next}"}}"#);
        circle.set("tools/list", &page("x"));
        circle.set(&format!("tools/list {first}"), &page(second));
        circle.set(&format!("tools/list {second}"), &page(first));
        let world = World::new(&[("a", circle), ("b", FakeServer::with_tools(&["t"]))]);
        let list = world.list(Scope::All, ListKind::Tools).await.unwrap();
        assert!(list.get().contains("a cursor came back"), "{list}");
        assert!(!list.get().contains("a__t"), "{list}");
        let status = world.status("a");
        assert_eq!((status.status, status.tools), (Status::Degraded, None));
        world.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_is_called_fresh_for_what_is_left_of_the_time_its_server_gave() {
    let world = World::new(&[("a", FakeServer::with_tools(&["t"])), ("b", FakeServer::with_tools(&["t"]))]);
    for scope in [Scope::All, Scope::Server("a".into())] {
        world.list(scope.clone(), ListKind::Tools).await.unwrap();
    }
    tokio::time::advance(Duration::from_secs(40)).await;
    for scope in [Scope::All, Scope::Server("a".into())] {
        let list = world.list(scope, ListKind::Tools).await.unwrap();
        let ttl = cella_mcp::CacheHints::read(&list).unwrap().ttl_ms;
        assert!((19_000..=20_000).contains(&ttl), "{list}");
    }
    world.finish().await;
}
