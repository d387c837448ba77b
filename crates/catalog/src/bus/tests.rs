use cella_mcp::raw_json;

use super::*;

const SHARED: InstanceKey = InstanceKey::Shared;

fn watched(uri: &str, own: &str, key: InstanceKey) -> Watched {
    Watched { uri: uri.into(), server: "a".into(), own: own.into(), key }
}

fn nobody() -> Arc<Caller> {
    Arc::new(Caller::cella())
}

fn everything() -> Interest {
    Interest { tools: true, prompts: true, resources: true, uris: Vec::new() }
}

#[tokio::test(start_paused = true)]
async fn changes_that_come_together_are_heard_once() {
    let bus = Bus::default();
    let plan = CurrentPlan::default();
    let (mut watch, _, deliver) = bus.watch(&Scope::All, &nobody(), everything(), Arc::default());
    let task = tokio::spawn(deliver);
    for server in ["a", "b", "c"] {
        bus.changed(&plan, server, &Change::Tools);
    }
    assert!(matches!(watch.changes.recv().await, Some(Change::Tools)));
    bus.changed(&plan, "a", &Change::Prompts);
    assert!(matches!(watch.changes.recv().await, Some(Change::Prompts)));
    drop(watch);
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_slow_client_loses_nothing() {
    let bus = Bus::default();
    let plan = CurrentPlan::default();
    let watched = (0..100).map(|i| watched(&format!("r:{i}"), &format!("r:{i}"), SHARED)).collect();
    let (mut watch, _, deliver) = bus.watch(&Scope::All, &nobody(), everything(), watched);
    tokio::spawn(deliver);
    for round in 0..3 {
        for i in 0..100 {
            let params = raw_json(format!(r#"{{"uri":"r:{i}","round":{round}}}"#)).unwrap();
            bus.updated(&plan, "a", &SHARED, &format!("r:{i}"), Some(&params));
        }
    }
    let mut seen = 0;
    while seen < 100 {
        let Some(Change::Updated { params, .. }) = watch.changes.recv().await else { panic!("closed") };
        assert!(params.unwrap().get().contains("\"round\":2"));
        seen += 1;
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_of_one_server_does_not_hear_of_others() {
    let bus = Bus::default();
    let plan = CurrentPlan::default();
    let (mut watch, id, deliver) =
        bus.watch(&Scope::Server("a".into()), &nobody(), everything(), Arc::default());
    tokio::spawn(deliver);
    bus.changed(&plan, "b", &Change::Tools);
    bus.changed(&plan, "a", &Change::Resources);
    assert!(matches!(watch.changes.recv().await, Some(Change::Resources)));
    bus.forget(id);
    assert!(bus.lock().counts.is_empty());
    bus.changed(&plan, "a", &Change::Tools);
    assert!(bus.lock().watchers.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_update_reaches_the_client_under_the_name_it_used() {
    let bus = Bus::default();
    let plan = CurrentPlan::default();
    let watched = Arc::new([watched("cella+a:f:/d", "f:/d", SHARED)]);
    let (mut watch, _, deliver) = bus.watch(&Scope::All, &nobody(), Interest::default(), watched);
    tokio::spawn(deliver);
    let params = raw_json(r#"{"uri":"f:/d/x","v":1.0}"#).unwrap();
    bus.updated(&plan, "b", &SHARED, "f:/d", None);
    bus.updated(&plan, "a", &SHARED, "f:/d/x", Some(&params));
    let Some(Change::Updated { uri, params }) = watch.changes.recv().await else { panic!("closed") };
    assert_eq!(&*uri, "cella+a:f:/d/x");
    assert_eq!(params.unwrap().get(), r#"{"uri":"cella+a:f:/d/x","v":1.0}"#);
}

#[test]
fn a_resource_is_watched_until_the_last_one_has_forgotten_it() {
    let bus = Bus::default();
    let client = |name: &str| InstanceKey::Client { principal: name.into(), session: None };
    let of = |uris: &[&str], key: &InstanceKey| -> Arc<[Watched]> {
        uris.iter().map(|uri| watched(uri, uri, key.clone())).collect()
    };
    let watch = |watched| bus.watch(&Scope::All, &nobody(), Interest::default(), watched).1;
    let first = watch(of(&["f:/1", "f:/2"], &SHARED));
    let second = watch(of(&["f:/1"], &SHARED));
    let third = watch(of(&["f:/1"], &client("ann")));
    bus.forget(first);
    bus.forget(first);
    assert!(bus.is_watched(&watched("f:/1", "f:/1", SHARED)));
    assert!(!bus.is_watched(&watched("f:/2", "f:/2", SHARED)));
    bus.forget(second);
    assert_eq!(bus.watched_at("a").keys().collect::<Vec<_>>(), [&client("ann")]);
    bus.forget(third);
    assert!(bus.lock().counts.is_empty());
}
