//! The standing stream of a legacy session.

use cella_link::LinkEvent;
use serde_json::json;

use super::legacy_server::LegacyServer;

#[tokio::test]
async fn an_overloaded_server_is_asked_for_its_stream_again() {
    let server = LegacyServer::start().await;
    server.next("GET", 503, "too busy");
    let (link, mut events) = server.link().await;
    // What may have been missed until the stream stood is announced.
    assert!(matches!(events.recv().await, Some(LinkEvent::ToolsChanged)));
    assert!(matches!(events.recv().await, Some(LinkEvent::PromptsChanged)));
    assert!(matches!(events.recv().await, Some(LinkEvent::ResourcesChanged)));
    server.say(&json!({"jsonrpc": "2.0", "method": "notifications/prompts/list_changed"}));
    assert!(matches!(events.recv().await, Some(LinkEvent::PromptsChanged)));
    link.close().await;
}

#[tokio::test]
async fn a_server_without_the_stream_is_asked_for_it_once() {
    let server = LegacyServer::start().await;
    server.next("GET", 405, "");
    let (link, mut events) = server.link().await;
    link.close().await;
    assert!(matches!(events.recv().await, Some(LinkEvent::Closed(_))));
    assert_eq!(server.seen("GET").len(), 1);
}
