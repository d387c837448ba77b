//! Real servers: they start slowly, die for real, and say things in their own way.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use cella_catalog::{Catalog, CatalogPlan, Options, Resolved, ServerPlan};
use cella_mcp::{ListKind, ListPage, Raw, raw_json};
use cella_transport::{Call, Caller, Change, Failure, Interest, Scope, Step};
use tokio::time::{sleep, timeout};

use super::processes::{Processes, reference};

/// Nothing in these tests may take longer, on however busy a machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct World {
    catalog: Catalog,
    processes: Processes,
}

fn words(line: &[&str]) -> Vec<String> {
    line.iter().map(|w| (*w).to_owned()).collect()
}

fn server(era: &str) -> Option<Vec<String>> {
    let script = reference()?;
    Some(words(&["node", script.to_str().unwrap(), "--transport", "stdio", "--era", era]))
}

fn world(commands: &[(&str, Vec<String>)]) -> World {
    let commands = commands.iter().map(|(name, line)| ((*name).to_owned(), line.clone())).collect();
    let processes = Processes { commands, ..Processes::default() };
    let servers = processes.commands.keys();
    let servers: BTreeMap<Arc<str>, Arc<ServerPlan>> =
        servers.map(|n| (n.as_str().into(), Arc::new(ServerPlan::new(n.as_str(), [0; 32])))).collect();
    let plan = CatalogPlan { servers, ..CatalogPlan::default() };
    let options = Options { first_list_wait: Duration::from_secs(15), ..Options::default() };
    World { catalog: Catalog::new(plan, processes.clone(), options), processes }
}

impl World {
    async fn tools(&self) -> (Vec<String>, Raw) {
        let call = request(Scope::All, "tools/list", None);
        let mut exchange = timeout(PATIENCE, self.catalog.list(ListKind::Tools, call)).await.unwrap();
        let Step::Done(answer) = exchange.next().await else { panic!("no list") };
        let result = answer.outcome.unwrap();
        let page = ListPage::parse(ListKind::Tools, &result).unwrap();
        (page.items.iter().map(|i| i.name.to_string()).collect(), result)
    }

    async fn call(&self, tool: &str) -> Result<String, Failure> {
        let params = format!(r#"{{"name":"{tool}","arguments":{{}}}}"#);
        let call = request(Scope::All, "tools/call", Some(&params));
        let resolved = self.catalog.resolve(&call.scope, &call.method, call.params.as_deref()).await?;
        let Resolved::Server(route) = resolved else { panic!("not for a server") };
        let mut exchange = timeout(PATIENCE, self.catalog.call(route, call)).await.unwrap();
        loop {
            if let Step::Done(answer) = timeout(PATIENCE, exchange.next()).await.unwrap() {
                return answer.outcome.map(|raw| raw.get().to_owned());
            }
        }
    }

    async fn finish(self) {
        assert!(self.catalog.shutdown(PATIENCE).await, "tasks are left");
        assert_eq!(self.processes.running.load(Ordering::SeqCst), 0, "processes are left");
    }
}

fn request(scope: Scope, method: &str, params: Option<&str>) -> Call {
    Call {
        scope,
        id: None,
        method: method.into(),
        params: params.map(|p| raw_json(p).unwrap()),
        caller: Arc::new(Caller::cella()),
        param_headers: Vec::new(),
        own_headers: Vec::new(),
    }
}

#[tokio::test]
async fn seven_real_servers_work_beside_one_that_hangs_one_that_dies_and_one_that_talks_garbage() {
    let (Some(legacy), Some(modern)) = (server("legacy"), server("modern")) else { return };
    let mut commands: Vec<(&str, Vec<String>)> = vec![
        ("hangs", words(&["sleep", "1000"])),
        ("dies", words(&["sh", "-c", "exit 3"])),
        ("garbage", words(&["sh", "-c", "while :; do echo not json; sleep 0.05; done"])),
    ];
    for name in ["one", "two", "three", "four"] {
        commands.push((name, legacy.clone()));
    }
    for name in ["five", "six", "seven"] {
        commands.push((name, modern.clone()));
    }
    let world = world(&commands);
    let (tools, _) = world.tools().await;
    let of = |name: &str| tools.iter().filter(|t| t.starts_with(&format!("{name}__"))).count();
    for name in ["one", "two", "three", "four", "five", "six", "seven"] {
        assert!(of(name) > 25, "{name}: {}", of(name));
    }
    let begin = Instant::now();
    let (again, list) = world.tools().await;
    assert!(begin.elapsed() < Duration::from_millis(300), "{:?}", begin.elapsed());
    assert_eq!(again, tools);
    for name in ["hangs", "dies", "garbage"] {
        assert!(list.get().contains(&format!(r#"{{"server":"{name}""#)), "{name} is not said to be missing");
    }
    assert!(world.call("one__test_simple_text").await.unwrap().contains("simple text response"));
    assert!(world.call("seven__test_simple_text").await.unwrap().contains("simple text response"));
    world.finish().await;
}

#[tokio::test]
async fn a_killed_server_is_started_again_by_the_next_call() {
    let Some(line) = server("dual") else { return };
    let world = world(&[("one", line)]);
    world.call("one__test_simple_text").await.unwrap();
    for _ in 0..3 {
        world.processes.kill("one");
        // at once: the call may meet the dying server, but then must say so, and the next one must work
        let first = world.call("one__test_simple_text").await;
        if let Err(Failure::Fault(fault)) = first {
            assert!(fault.in_doubt, "{fault}");
            world.call("one__test_simple_text").await.unwrap();
        }
    }
    assert!(world.catalog.status()[0].restarts >= 3);
    world.finish().await;
}

#[tokio::test]
async fn a_change_that_a_real_server_announces_is_heard_within_a_second_in_either_era() {
    for era in ["legacy", "modern"] {
        let Some(line) = server(era) else { return };
        let world = world(&[("one", line)]);
        world.tools().await;
        let interest = Interest { tools: true, ..Interest::default() };
        let mut watch = world.catalog.watch(&Scope::All, &Arc::new(Caller::cella()), &interest);
        // a modern server only tells those who listen already
        sleep(Duration::from_millis(300)).await;
        while watch.changes.try_recv().is_ok() {}
        world.call("one__test_trigger_tool_change").await.unwrap();
        let change = timeout(Duration::from_secs(1), watch.changes.recv()).await;
        assert!(matches!(change, Ok(Some(Change::Tools))), "{era}: {change:?}");
        world.finish().await;
    }
}

#[tokio::test]
async fn a_hundred_calls_at_once_find_their_answers() {
    let Some(line) = server("dual") else { return };
    let world = Arc::new(world(&[("one", line)]));
    world.tools().await;
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let world = world.clone();
            tokio::spawn(async move { world.call("one__test_simple_text").await.is_ok() })
        })
        .collect();
    for call in calls {
        assert!(call.await.unwrap());
    }
    assert_eq!(world.catalog.status()[0].in_flight, 0);
    Arc::into_inner(world).unwrap().finish().await;
}
