//! Figures, not promises: run by hand with `--ignored --nocapture`, in a release build.

use std::time::{Duration, Instant};

use cella_mcp::ListKind;
use cella_transport::Scope;

use super::fake::{FakeServer, World, request};
use crate::Resolved;

const ROUNDS: u32 = 20_000;

#[tokio::test]
#[ignore = "measures"]
async fn what_a_call_and_a_list_cost_inside_the_catalogue() {
    let tools: Vec<String> = (0..500).map(|i| format!("tool_{i}")).collect();
    let tools: Vec<&str> = tools.iter().map(String::as_str).collect();
    let servers: Vec<String> = (0..10).map(|i| format!("s{i}")).collect();
    let servers: Vec<_> =
        servers.iter().map(|n| (n.as_str(), FakeServer::with_tools(&tools[..50]))).collect();
    let world = World::new(&servers);
    assert_eq!(world.tools().await.len(), 500);

    let params = r#"{"name":"s7__tool_3","arguments":{"text":"hello"},"_meta":{"progressToken":1}}"#;
    let mut slowest = Duration::ZERO;
    let begin = Instant::now();
    for _ in 0..ROUNDS {
        let one = Instant::now();
        let call = request(Scope::All, "tools/call", Some(params));
        let resolved =
            world.catalog.resolve(&call.scope, &call.method, call.params.as_deref()).await.unwrap();
        let Resolved::Server(route) = resolved else { panic!() };
        drop(world.catalog.call(route, call).await);
        slowest = slowest.max(one.elapsed());
    }
    println!("resolve and call: {:?} each, slowest {slowest:?}", begin.elapsed() / ROUNDS);

    let begin = Instant::now();
    for _ in 0..ROUNDS {
        drop(world.catalog.list(ListKind::Tools, request(Scope::All, "tools/list", None)).await);
    }
    println!("list of 500 tools of 10 servers: {:?} each", begin.elapsed() / ROUNDS);

    let begin = Instant::now();
    for _ in 0..100 {
        world.catalog.quarantine("s1", None);
        world.catalog.merged(&Scope::All, ListKind::Tools);
    }
    println!("merging and encoding them anew: {:?} each", begin.elapsed() / 100);
    world.finish().await;
}
