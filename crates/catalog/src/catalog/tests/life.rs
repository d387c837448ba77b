//! Servers that start, fail, come back and go.

use std::{sync::Arc, time::Duration};

use cella_contract::Isolation;
use cella_link::LinkEvent;
use cella_mcp::ListKind;
use cella_transport::Scope;
use tokio::time::{Instant, advance, sleep, timeout};

use super::fake::{FakeServer, FakeStore, Flaw, World, code, options, plan, plans};
use crate::{Options, Stage, Status};

const SHORT: Duration = Duration::from_millis(300);

#[tokio::test(start_paused = true)]
async fn nothing_is_started_before_somebody_asks() {
    let world = World::new(&[("a", FakeServer::with_tools(&["t"]))]);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(world.server("a").launches(), 0);
    let status = world.status("a");
    assert_eq!((status.stage, status.status), (Stage::Configured, Status::NotTested));
    assert_eq!(world.call("a__t").await.unwrap(), r#"{"called":"t"}"#);
    let status = world.status("a");
    assert_eq!((status.stage, status.status, status.calls), (Stage::Invoked, Status::Connected, 1));
    assert_eq!(status.pids, [4711]);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn an_eager_server_is_started_with_the_catalogue() {
    let mut eager = plan("a");
    eager.eager = true;
    let world = World::with(&[("a", FakeServer::with_tools(&["t"]))], plans([eager]), options());
    sleep(SHORT).await;
    assert_eq!(world.status("a").tools, Some(1));
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn of_ten_servers_of_which_one_hangs_one_dies_and_one_talks_garbage_seven_work() {
    let names: Vec<String> = (0..10).map(|i| format!("s{i}")).collect();
    let servers: Vec<(&str, Arc<FakeServer>)> =
        names.iter().map(|n| (n.as_str(), FakeServer::with_tools(&["t"]))).collect();
    servers[2].1.set_fault(Flaw::HangsAtStart);
    servers[5].1.set_fault(Flaw::DiesAtStart);
    servers[8].1.set_fault(Flaw::Garbage);
    let world = World::new(&servers);

    // the first list waits for the one that hangs, but not for ever
    let begin = Instant::now();
    assert_eq!(world.tools().await.len(), 7);
    assert!(begin.elapsed() <= Options::default().first_list_wait + SHORT, "{:?}", begin.elapsed());

    // from then on nothing waits
    for _ in 0..3 {
        let begin = Instant::now();
        let list = world.list(Scope::All, ListKind::Tools).await.unwrap();
        assert!(begin.elapsed() <= SHORT, "{:?}", begin.elapsed());
        for bad in ["s2", "s5", "s8"] {
            assert!(list.get().contains(&format!(r#"{{"server":"{bad}","#)), "{list}");
        }
        assert!(list.get().contains("exit status 1") && list.get().contains("still starting"), "{list}");
        sleep(Duration::from_secs(1)).await;
    }
    for good in [0, 1, 3, 4, 6, 7, 9] {
        let begin = Instant::now();
        assert!(world.call(&format!("s{good}__t")).await.is_ok());
        assert!(begin.elapsed() <= SHORT);
    }
    assert_eq!(world.status("s2").status, Status::Connecting);
    assert_eq!(world.status("s5").status, Status::Error);
    assert_eq!(world.status("s5").stderr, ["last words"]);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_at_calls_holds_up_only_its_own_callers() {
    let world = World::new(&[("a", FakeServer::with_tools(&["t"])), ("b", FakeServer::with_tools(&["t"]))]);
    world.tools().await;
    world.server("a").set_fault(Flaw::HangsAtCalls);
    assert!(timeout(Duration::from_secs(5), world.call("a__t")).await.is_err());
    assert!(timeout(SHORT, world.call("b__t")).await.unwrap().is_ok());
    assert_eq!(world.status("a").in_flight, 0, "a caller that went away holds nothing");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn past_its_places_and_its_queue_a_server_is_overloaded() {
    let mut small = plan("a");
    (small.calls_max, small.queue_max) = (2, 1);
    let server = FakeServer::with_tools(&["t"]);
    let world = Arc::new(World::with(&[("a", server.clone())], plans([small]), options()));
    world.tools().await;
    server.set_fault(Flaw::HangsAtCalls);
    let calls: Vec<_> = (0..3)
        .map(|_| {
            let world = world.clone();
            tokio::spawn(async move { world.call("a__t").await.is_ok() })
        })
        .collect();
    sleep(SHORT).await;
    assert_eq!(world.status("a").in_flight, 2);
    assert_eq!(code(world.call("a__t").await), "CE2113");
    server.set_fault(Flaw::None);
    calls[0].abort();
    let [_, _, third] = <[_; 3]>::try_from(calls).ok().unwrap();
    assert!(third.await.unwrap(), "the one that waited gets the place");
}

#[tokio::test(start_paused = true)]
async fn a_call_to_a_server_that_crashed_starts_it_again_and_the_client_goes_on() {
    let world = World::new(&[("a", FakeServer::with_tools(&["t"]))]);
    world.call("a__t").await.unwrap();
    world.server("a").kill().await;
    sleep(SHORT).await;
    let status = world.status("a");
    assert_eq!((status.status, status.restarts, status.running), (Status::Degraded, 1, false));
    assert!(status.last_error.unwrap().message.contains("killed by signal 9"));
    assert_eq!(world.tools().await, ["a__t"], "its tools are still listed");
    let begin = Instant::now();
    world.call("a__t").await.unwrap();
    assert!(begin.elapsed() < SHORT, "the first failure after good work costs no wait");
    assert_eq!(world.server("a").launches(), 2);
    assert_eq!(world.status("a").status, Status::Connected);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_kills_its_server_says_that_it_is_in_doubt_and_the_next_one_works() {
    let world = World::new(&[("a", FakeServer::with_tools(&["t"]))]);
    world.tools().await;
    world.server("a").set_fault(Flaw::DiesAtCalls);
    assert_eq!(code(world.call("a__t").await), "CE3001");
    world.server("a").set_fault(Flaw::None);
    sleep(SHORT).await;
    world.call("a__t").await.unwrap();
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_in_a_crash_loop_is_left_alone_for_longer_and_longer() {
    let world = World::new(&[("a", FakeServer::with_tools(&["t"]))]);
    world.server("a").set_fault(Flaw::DiesAtStart);
    let begin = Instant::now();
    let mut paused = 0;
    while begin.elapsed() < Duration::from_secs(600) {
        if code(world.call("a__t").await) == "CE2111" {
            paused += 1;
        }
        sleep(Duration::from_secs(1)).await;
    }
    let launches = world.server("a").launches();
    assert!((15..=25).contains(&launches), "{launches}");
    assert!(paused > 400, "{paused}");
    let status = world.status("a");
    assert_eq!(status.status, Status::Error);
    assert!(status.last_error.unwrap().message.contains("exit status 1"));
    // and when it is repaired, it comes back by itself at the next call that is due
    world.server("a").set_fault(Flaw::None);
    sleep(Duration::from_secs(80)).await;
    world.call("a__t").await.unwrap();
    assert_eq!(world.status("a").status, Status::Connected);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_server_is_stopped_and_started_again_by_the_next_call() {
    let world = World::new(&[("a", FakeServer::with_tools(&["t"]))]);
    world.call("a__t").await.unwrap();
    assert_eq!(world.server("a").running(), 1);
    sleep(crate::IDLE_STOP + Duration::from_secs(5)).await;
    assert_eq!(world.server("a").running(), 0);
    let status = world.status("a");
    assert_eq!((status.status, status.running, status.restarts), (Status::Connected, false, 0));
    assert_eq!(world.tools().await, ["a__t"]);
    assert_eq!(world.server("a").running(), 0, "a list does not start it");
    world.call("a__t").await.unwrap();
    assert_eq!(world.server("a").launches(), 2);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_in_progress_keeps_its_server_from_being_idle() {
    let world = Arc::new(World::new(&[("a", FakeServer::with_tools(&["t"]))]));
    world.tools().await;
    world.server("a").set_fault(Flaw::HangsAtCalls);
    let calling = {
        let world = world.clone();
        tokio::spawn(async move { world.call("a__t").await.is_ok() })
    };
    sleep(crate::IDLE_STOP * 3).await;
    assert_eq!(world.server("a").running(), 1);
    calling.abort();
    sleep(crate::IDLE_STOP * 2).await;
    assert_eq!(world.server("a").running(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_gives_no_sign_of_life_is_ended() {
    let world = World::new(&[("a", FakeServer::with_tools(&["t"]))]);
    world.call("a__t").await.unwrap();
    world.server("a").set_fault(Flaw::HangsAtCalls);
    sleep(Duration::from_secs(75)).await;
    assert_eq!(world.server("a").running(), 0);
    assert_eq!(world.status("a").last_error.unwrap().code, "CE2122");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn each_client_has_an_instance_of_its_own_when_the_contract_says_so_and_never_more_than_the_limit() {
    let mut apart = plan("a");
    (apart.isolation, apart.instances_max) = (Isolation::Client, 2);
    let server = FakeServer::with_tools(&["t"]);
    let world = World::with(&[("a", server.clone())], plans([apart]), options());
    for who in ["ann", "bob", "ann", "cem", "ann"] {
        world.ask_as(who, Scope::All, "tools/call", r#"{"name":"a__t"}"#).await.unwrap();
        advance(Duration::from_millis(5)).await;
    }
    let keys: Vec<_> = server.calls().into_iter().map(|(key, _)| key).collect();
    assert!(keys[0] == keys[2] && keys[0] == keys[4] && keys[0] != keys[1] && keys[1] != keys[3]);
    assert_eq!(server.most_running.load(std::sync::atomic::Ordering::SeqCst), 2);

    // when both are busy the third is told
    server.set_fault(Flaw::HangsAtCalls);
    let busy = tokio::join!(
        timeout(SHORT, world.ask_as("dot", Scope::All, "tools/call", r#"{"name":"a__t"}"#)),
        timeout(SHORT, world.ask_as("eve", Scope::All, "tools/call", r#"{"name":"a__t"}"#)),
        async {
            sleep(SHORT / 2).await;
            world.ask_as("fay", Scope::All, "tools/call", r#"{"name":"a__t"}"#).await
        }
    );
    assert_eq!(code(busy.2), "CE2114");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn each_run_has_an_instance_of_its_own_and_never_more_than_the_limit() {
    let mut apart = plan("a");
    (apart.isolation, apart.instances_max) = (Isolation::Run, 2);
    let server = FakeServer::with_tools(&["t"]);
    let world = World::with(&[("a", server.clone())], plans([apart]), options());
    let call = async |who: &str, run: &str| {
        let params = format!(r#"{{"name":"a__t","_meta":{{"io.cella/run":{run}}}}}"#);
        let answer = world.ask_as(who, Scope::All, "tools/call", &params).await;
        advance(Duration::from_millis(5)).await;
        answer
    };
    for (who, run) in [("ann", r#""1""#), ("ann", r#""2""#), ("ann", r#""1""#), ("bob", r#""1""#)] {
        call(who, run).await.unwrap();
    }
    let keys: Vec<_> = server.calls().into_iter().map(|(key, _)| key).collect();
    assert!(keys[0] == keys[2] && keys[0] != keys[1] && keys[0] != keys[3]);
    assert_eq!(server.most_running.load(std::sync::atomic::Ordering::SeqCst), 2);

    // nobody shares a process because nothing was said
    assert_eq!(code(world.call("a__t").await), "CE2124");
    assert_eq!(code(call("ann", "7").await), "CE2125");
    assert_eq!(server.calls().len(), 4);

    server.set_fault(Flaw::HangsAtCalls);
    let busy =
        tokio::join!(timeout(SHORT, call("ann", r#""3""#)), timeout(SHORT, call("ann", r#""4""#)), async {
            sleep(SHORT / 2).await;
            call("ann", r#""5""#).await
        });
    assert_eq!(code(busy.2), "CE2114");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn that_a_server_asks_within_calls_outlives_its_process_and_the_node() {
    let store = Arc::new(FakeStore::default());
    let kept = || Options { store: Some(store.clone()), ..options() };
    let server = FakeServer::with_tools(&["t"]);
    let told = || server.taking_turns.load(std::sync::atomic::Ordering::SeqCst);
    let world = World::with(&[("a", server.clone())], plans([plan("a")]), kept());
    world.call("a__t").await.unwrap();
    server.say(|| LinkEvent::TakesTurns { method: "elicitation/create".into() }).await;
    sleep(SHORT).await;
    let status = world.status("a");
    assert_eq!((status.status, status.isolation, told()), (Status::Connected, "shared", 0));
    assert!(status.notes[0].contains("take turns"));
    server.kill().await;
    sleep(Duration::from_secs(5)).await;
    world.call("a__t").await.unwrap();
    assert_eq!((server.launches(), told()), (2, 1));
    world.finish().await;

    let world = World::with(&[("a", server.clone())], plans([plan("a")]), kept());
    world.call("a__t").await.unwrap();
    assert_eq!((server.launches(), told()), (3, 2));
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_mixes_up_its_clients_gets_one_instance_for_each() {
    let world = World::new(&[("a", FakeServer::with_tools(&["t"]))]);
    world.call("a__t").await.unwrap();
    world.server("a").say(|| LinkEvent::Ambiguous { method: "roots/list".into() }).await;
    sleep(SHORT).await;
    world.ask_as("ann", Scope::All, "tools/call", r#"{"name":"a__t"}"#).await.unwrap();
    world.ask_as("bob", Scope::All, "tools/call", r#"{"name":"a__t"}"#).await.unwrap();
    let calls = world.server("a").calls();
    assert_ne!(calls[1].0, calls[2].0);
    let status = world.status("a");
    assert_eq!((status.status, status.isolation), (Status::Degraded, "client"));
    assert!(status.notes[0].contains("instance of its own"));
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_plan_does_not_touch_the_servers_it_leaves_alone() {
    let servers = [
        ("a", FakeServer::with_tools(&["t"])),
        ("b", FakeServer::with_tools(&["t"])),
        ("c", FakeServer::with_tools(&["t"])),
    ];
    let world = World::with(&servers, plans([plan("a"), plan("b")]), options());
    assert_eq!(world.tools().await, ["a__t", "b__t"]);
    let mut changed = plan("b");
    changed.digest = [1; 32];
    world.catalog.apply(plans([plan("a"), changed, plan("c")]));
    assert_eq!(world.tools().await, ["a__t", "b__t", "c__t"]);
    assert_eq!(world.server("a").launches(), 1);
    assert_eq!(world.server("b").launches(), 2);
    world.catalog.apply(plans([plan("a")]));
    assert_eq!(world.tools().await, ["a__t"]);
    assert_eq!(code(world.call("b__t").await), "CE2105");
    sleep(SHORT).await;
    assert_eq!((world.server("b").running(), world.server("c").running()), (0, 0));
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_in_quarantine_is_neither_shown_nor_called_and_that_is_said() {
    let world = World::new(&[("a", FakeServer::with_tools(&["t"])), ("b", FakeServer::with_tools(&["t"]))]);
    world.tools().await;
    assert!(world.catalog.quarantine("a", Some("its tools changed".into())));
    let list = world.list(Scope::All, ListKind::Tools).await.unwrap();
    assert!(!list.get().contains("a__t") && list.get().contains("its tools changed"), "{list}");
    assert_eq!(world.status("a").status, Status::Quarantined);
    assert_eq!(code(world.ask(Scope::Server("a".into()), "tools/call", r#"{"name":"t"}"#).await), "CE2115");
    assert!(world.catalog.quarantine("a", None));
    assert!(world.call("a__t").await.is_ok());
    assert!(!world.catalog.quarantine("nobody", None));
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn callers_that_come_while_a_server_starts_share_one_start() {
    let server = FakeServer::with_tools(&["t"]);
    *server.start_time.lock().unwrap() = Duration::from_secs(3);
    let world = World::new(&[("a", server)]);
    let (one, two, list) = tokio::join!(world.call("a__t"), world.call("a__t"), world.tools());
    assert!(one.is_ok() && two.is_ok());
    assert_eq!(list, ["a__t"]);
    assert_eq!(world.server("a").launches(), 1);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_start_that_takes_too_long_is_given_up_and_its_process_stopped() {
    let server = FakeServer::with_tools(&["t"]);
    server.set_fault(Flaw::HangsAtStart);
    let world = World::new(&[("a", server)]);
    assert_eq!(code(world.ask(Scope::Server("a".into()), "tools/call", r#"{"name":"t"}"#).await), "CE2110");
    assert_eq!(world.server("a").running(), 0);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn after_a_shutdown_nothing_starts() {
    let world = World::new(&[("a", FakeServer::with_tools(&["t"]))]);
    world.call("a__t").await.unwrap();
    assert!(world.catalog.shutdown(Duration::from_secs(5)).await);
    assert_eq!(world.server("a").running(), 0);
    assert!(world.call("a__t").await.is_err());
    assert_eq!(world.server("a").launches(), 1);
}
