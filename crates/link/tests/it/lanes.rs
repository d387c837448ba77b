//! A legacy server is told what the client behind a call can be asked.

use cella_mcp::{Raw, own_client_capabilities};
use cella_transport::{Caller, Step};
use serde_json::json;

use super::legacy_server::{LegacyServer, call_by, call_of, client, session_of};

const FORMS: &str = r#"{"elicitation":{}}"#;

#[tokio::test]
async fn a_session_for_a_caller_who_can_be_asked_less_declares_just_that() {
    let server = LegacyServer::start().await;
    let (link, _events) = server.link().await;
    let forms = session_of(&link.call(call_of(FORMS)).await);
    let nothing = session_of(&link.call(call_of("{}")).await);
    assert_eq!(server.declared(&forms)["elicitation"], json!({"form": {}}));
    assert!(server.declared(&forms).get("sampling").is_none());
    for asked in ["elicitation", "sampling", "roots"] {
        assert!(server.declared(&nothing).get(asked).is_none(), "{asked}");
        assert!(server.declared("s1").get(asked).is_some(), "{asked}");
    }
}

#[tokio::test]
async fn calls_of_one_profile_share_a_session_and_lists_stay_in_the_one_for_all() {
    let server = LegacyServer::start().await;
    let (link, _events) = server.link().await;
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let link = link.clone();
            tokio::spawn(async move { session_of(&link.call(call_of(FORMS)).await) })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), "s2");
    }
    let mut list = call_of(FORMS);
    list.method = "tools/list".into();
    assert_eq!(session_of(&link.call(list).await), "s1");
    let everything: Raw = own_client_capabilities();
    assert_eq!(session_of(&link.call(call_of(everything.get())).await), "s1");
    assert_eq!(session_of(&link.call(call_by(Caller::cella())).await), "s1");
    assert_eq!(server.seen("initialize").len(), 2);
}

#[tokio::test]
async fn a_session_that_the_server_forgot_is_opened_again() {
    let server = LegacyServer::start().await;
    let (link, _events) = server.link().await;
    assert_eq!(session_of(&link.call(call_of(FORMS)).await), "s2");
    server.restart();
    let again = session_of(&link.call(call_of(FORMS)).await);
    assert_eq!(server.declared(&again)["elicitation"], json!({"form": {}}));
}

#[tokio::test]
async fn a_server_that_gives_no_more_sessions_is_called_in_the_one_for_all() {
    let server = LegacyServer::start().await;
    server.gives_sessions(1);
    let (link, _events) = server.link().await;
    for _ in 0..2 {
        assert_eq!(session_of(&link.call(call_of(FORMS)).await), "s1");
    }
    // Refused once, it is not asked again by the next call.
    assert_eq!(server.seen("initialize").len(), 2);
}

#[tokio::test]
async fn every_session_is_deleted_with_the_link() {
    let server = LegacyServer::start().await;
    let (link, _events) = server.link().await;
    link.call(call_of(FORMS)).await;
    link.call(call_of("{}")).await;
    link.close().await;
    let mut deleted = server.seen("DELETE");
    deleted.sort_unstable();
    assert_eq!(deleted, ["s1", "s2", "s3"]);
}

#[tokio::test]
async fn a_question_on_the_standing_stream_of_a_session_reaches_its_only_caller() {
    let server = LegacyServer::start().await;
    let (link, _events) = server.link().await;
    server.asks_on_the_standing_stream();
    let mut other = link.call(call_of(own_client_capabilities().get())).await;
    let mut mine = link.call(call_of(FORMS)).await;
    // Two clients at the same time, but each in a session of its own: nobody need guess.
    for exchange in [&mut other, &mut mine] {
        let Step::Ask(ask) = exchange.next().await else { panic!("no question") };
        assert_eq!(&*ask.method, "elicitation/create");
    }
}

#[tokio::test]
async fn a_session_is_told_once_from_which_level_its_callers_want_logs() {
    let server = LegacyServer::start().await;
    let (link, _events) = server.link().await;
    for level in [None, Some("info"), Some("warning"), Some("info"), Some("debug")] {
        let caller = Caller { log_level: level.map(Into::into), ..client() };
        link.call(call_by(caller)).await;
    }
    assert_eq!(server.seen("logging/setLevel"), ["s2", "s2"]);
}
