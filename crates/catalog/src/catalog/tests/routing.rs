//! Which server gets a request, and under which names.

use cella_mcp::{RpcError, codes};
use cella_transport::{Failure, Scope};

use super::fake::{FakeServer, World, code};

fn resources(uris: &[&str]) -> String {
    let items: Vec<String> = uris.iter().map(|u| format!(r#"{{"uri":"{u}","name":"r"}}"#)).collect();
    format!(r#"{{"resources":[{}]}}"#, items.join(","))
}

fn templates(uris: &[&str]) -> String {
    let items: Vec<String> = uris.iter().map(|u| format!(r#"{{"uriTemplate":"{u}","name":"r"}}"#)).collect();
    format!(r#"{{"resourceTemplates":[{}]}}"#, items.join(","))
}

async fn read(world: &World, uri: &str) -> Result<String, Failure> {
    world.ask(Scope::All, "resources/read", &format!(r#"{{"uri":"{uri}"}}"#)).await
}

#[tokio::test(start_paused = true)]
async fn the_server_gets_its_own_name_and_everything_else_as_it_came() {
    let world = World::new(&[("a", FakeServer::with_tools(&["dot.ted"]))]);
    let exposed = world.tools().await.remove(0);
    let params = format!(
        r#"{{"name":"{exposed}", "arguments":{{"n": 1.50, "big":12345678901234567890}},"_meta":{{"x":1}}}}"#
    );
    assert_eq!(world.ask(Scope::All, "tools/call", &params).await.unwrap(), r#"{"called":"dot.ted"}"#);
    let seen = world.server("a").seen.lock().unwrap()[0].1.params.clone().unwrap();
    assert_eq!(
        seen.get(),
        r#"{"name":"dot.ted","arguments":{"n": 1.50, "big":12345678901234567890},"_meta":{"x":1}}"#
    );
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn at_the_endpoint_of_one_server_nothing_is_touched() {
    let world = World::new(&[("a", FakeServer::with_tools(&["t"]))]);
    let params = r#"{ "name":"whatever it is" , "n":1.0 }"#;
    world.ask(Scope::Server("a".into()), "tools/call", params).await.unwrap();
    world.ask(Scope::Server("a".into()), "vendor/method", "{}").await.unwrap();
    let seen = world.server("a").seen.lock().unwrap();
    assert_eq!(seen[0].1.params.as_ref().unwrap().get(), params);
    assert_eq!(&*seen[1].1.method, "vendor/method");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_name_is_answered_with_the_ones_that_are_alike() {
    let world = World::new(&[("git", FakeServer::with_tools(&["status"]))]);
    let Err(Failure::Fault(fault)) = world.call("git__statsu").await else { panic!() };
    assert_eq!(fault.fix.as_deref(), Some("did you mean \"git__status\"?"));
    assert_eq!(code(world.ask(Scope::Server("gti".into()), "tools/call", "{}").await), "CE2103");
    assert_eq!(code(world.ask(Scope::View("v".into()), "tools/call", "{}").await), "CE2104");
    assert_eq!(code(world.ask(Scope::All, "tools/call", r#"{"name":7}"#).await), "CE2109");
    assert_eq!(code(world.ask(Scope::All, "tasks/list", "{}").await), "CE2121");
    let unknown = world.ask(Scope::All, "vendor/method", "{}").await;
    assert!(matches!(unknown, Err(Failure::Peer(RpcError { code: codes::METHOD_NOT_FOUND, .. }))));
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_name_that_a_client_remembered_works_before_any_list() {
    let world = World::new(&[("a", FakeServer::with_tools(&["t", "dot.ted"]))]);
    let short = crate::names::exposed("a", "dot.ted");
    assert_eq!(world.call(&short).await.unwrap(), r#"{"called":"dot.ted"}"#);
    assert_eq!(world.call("a__t").await.unwrap(), r#"{"called":"t"}"#);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_resource_is_read_from_who_lists_it_or_whose_template_fits_best() {
    let (a, b) = (FakeServer::with_tools(&[]), FakeServer::with_tools(&[]));
    a.set("resources/list", &resources(&["f:/1", "f:/both"]));
    b.set("resources/list", &resources(&["f:/2", "f:/both"]));
    a.set("resources/templates/list", &templates(&["db://{table}"]));
    b.set("resources/templates/list", &templates(&["db://users-{id}"]));
    let world = World::new(&[("a", a), ("b", b)]);
    read(&world, "f:/1").await.unwrap();
    read(&world, "db://orders").await.unwrap();
    assert_eq!(world.server("a").calls().len(), 2);
    read(&world, "f:/2").await.unwrap();
    read(&world, "db://users-7").await.unwrap();
    read(&world, "cella+b:f:/both").await.unwrap();
    assert_eq!(world.server("b").calls().len(), 3);
    let Err(Failure::Fault(fault)) = read(&world, "f:/both").await else { panic!() };
    assert_eq!(fault.code, "CE2107");
    assert_eq!(fault.fix.as_deref(), Some("use one of cella+a:f:/both, cella+b:f:/both"));
    assert_eq!(code(read(&world, "x:nobody").await), "CE2106");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_linked_resource_is_read_from_the_server_that_linked_to_it() {
    let (a, b) = (FakeServer::with_tools(&["t"]), FakeServer::with_tools(&["t"]));
    b.set("tools/call", r#"{"content":[{"type":"resource_link","uri":"x:9","name":"n"}]}"#);
    let world = World::new(&[("a", a), ("b", b)]);
    assert_eq!(code(read(&world, "x:9").await), "CE2106");
    world.call("b__t").await.unwrap();
    read(&world, "x:9").await.unwrap();
    assert_eq!(world.server("b").calls()[1].1, "resources/read");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_finds_its_server_by_its_id() {
    let (a, b) = (FakeServer::with_tools(&["t"]), FakeServer::with_tools(&["t"]));
    b.set("tools/call", r#"{"resultType":"task","taskId":"t-1","status":"working"}"#);
    b.set("tasks/get", r#"{"taskId":"t-1","status":"completed"}"#);
    let world = World::new(&[("a", a), ("b", b)]);
    let created = world.call("b__t").await.unwrap();
    assert_eq!(created, r#"{"resultType":"task","taskId":"cella+b:t-1","status":"working"}"#);
    let got = world.ask(Scope::All, "tasks/get", r#"{"taskId":"cella+b:t-1"}"#).await.unwrap();
    assert_eq!(got, r#"{"taskId":"cella+b:t-1","status":"completed"}"#);
    let seen = world.server("b").seen.lock().unwrap()[1].1.params.clone().unwrap();
    assert_eq!(seen.get(), r#"{"taskId":"t-1"}"#);
    assert_eq!(code(world.ask(Scope::All, "tasks/get", r#"{"taskId":"t-1"}"#).await), "CE2120");
    let own = world.ask(Scope::Server("b".into()), "tasks/get", r#"{"taskId":"t-1"}"#).await.unwrap();
    assert_eq!(own, r#"{"taskId":"t-1","status":"completed"}"#);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_completion_goes_to_the_owner_of_its_reference() {
    let (a, b) = (FakeServer::with_tools(&[]), FakeServer::with_tools(&[]));
    b.set("prompts/list", r#"{"prompts":[{"name":"p"}]}"#);
    b.set("resources/templates/list", &templates(&["db://{id}"]));
    let world = World::new(&[("a", a), ("b", b)]);
    let prompt = r#"{"ref":{"type":"ref/prompt","name":"b__p"},"argument":{"name":"x","value":""}}"#;
    world.ask(Scope::All, "completion/complete", prompt).await.unwrap();
    let template = r#"{"ref":{"type":"ref/resource","uri":"db://{id}"},"argument":{"name":"x","value":""}}"#;
    world.ask(Scope::All, "completion/complete", template).await.unwrap();
    let seen = world.server("b").seen.lock().unwrap();
    assert!(seen[0].1.params.as_ref().unwrap().get().contains(r#"{"type":"ref/prompt","name":"p"}"#));
    assert_eq!(seen[1].1.params.as_ref().unwrap().get(), template);
}

#[tokio::test(start_paused = true)]
async fn header_parameters_are_found_under_the_exposed_name() {
    let server = FakeServer::with_tools(&[]);
    let schema = r#"{"type":"object","properties":{"v":{"type":"string","x-mcp-header":"V"}}}"#;
    server.set("tools/list", &format!(r#"{{"tools":[{{"name":"t","inputSchema":{schema}}}]}}"#));
    let world = World::new(&[("a", server)]);
    assert!(world.catalog.header_params(&Scope::All, "a__t").is_none(), "nothing is known yet");
    world.tools().await;
    assert_eq!(world.catalog.header_params(&Scope::All, "a__t").unwrap().params.len(), 1);
    assert_eq!(world.catalog.header_params(&Scope::Server("a".into()), "t").unwrap().params.len(), 1);
    assert!(world.catalog.header_params(&Scope::Server("a".into()), "u").is_none());
    assert!(world.catalog.tool("a", "t").unwrap().live);
    world.finish().await;
}
