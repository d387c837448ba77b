//! Refusals that may mean a lost session, and those that do not.

use cella_link::LinkEvent;
use cella_mcp::own_client_capabilities;
use cella_transport::Failure;

use super::legacy_server::{LegacyServer, call_of, session_of};

const UNSETTLED: &str = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"no"}}"#;

#[tokio::test]
async fn a_request_that_the_server_dislikes_costs_a_ping_and_no_handshake() {
    for (status, body) in [(400, "no"), (400, UNSETTLED), (405, "no")] {
        let server = LegacyServer::start().await;
        let (link, mut events) = server.link().await;
        for capabilities in [own_client_capabilities().get(), "{}"] {
            for _ in 0..3 {
                server.next("tools/call", status, body);
                let exchange = link.call(call_of(capabilities)).await;
                assert!(exchange.peek_ready().unwrap().outcome.is_err());
            }
        }
        assert_eq!(server.seen("initialize").len(), 2, "{status} {body}");
        assert_eq!(server.seen("ping").len(), 6);
        link.close().await;
        assert!(matches!(events.recv().await, Some(LinkEvent::Closed(_))), "nothing else was told");
    }
}

#[tokio::test]
async fn a_session_that_is_gone_without_saying_so_is_made_anew_and_deleted() {
    let server = LegacyServer::start().await;
    let (link, mut events) = server.link().await;
    server.next("tools/call", 400, UNSETTLED);
    server.next("ping", 400, UNSETTLED);
    let exchange = link.call(call_of(own_client_capabilities().get())).await;
    assert_eq!(session_of(&exchange), "s2");
    let told = [events.recv().await, events.recv().await, events.recv().await, events.recv().await];
    assert!(told.iter().any(|event| matches!(event, Some(LinkEvent::Renegotiated))));
    link.close().await;
    let mut deleted = server.seen("DELETE");
    deleted.sort_unstable();
    assert_eq!(deleted, ["s1", "s2"]);
}

#[tokio::test]
async fn a_refusal_is_the_answer_of_the_server_with_its_own_words() {
    let server = LegacyServer::start().await;
    let (link, _events) = server.link().await;
    server.next("tools/call", 400, UNSETTLED);
    let exchange = link.call(call_of("{}")).await;
    let Err(Failure::Peer(error)) = &exchange.peek_ready().unwrap().outcome else { panic!("no answer") };
    assert_eq!((error.code, &*error.message), (-32000, "no"));
}
