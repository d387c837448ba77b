use super::*;
use crate::raw_json;

#[test]
fn a_filter_makes_the_round() {
    let filter = ListenFilter {
        tools: true,
        resources: true,
        uris: vec!["file:///a\"b".into()],
        task_ids: vec!["t".into()],
        ..ListenFilter::default()
    };
    let params = listen_params(&filter);
    assert_eq!(read_filter(Some(&params)).unwrap(), filter);
    assert!(!params.get().contains("promptsListChanged"), "what is not wanted is not named");
    assert!(read_filter(Some(&raw_json(r#"{"notifications":{}}"#).unwrap())).unwrap().is_empty());
}

#[test]
fn a_filter_that_is_no_object_is_an_invalid_param() {
    for params in ["{}", r#"{"notifications":null}"#, r#"{"notifications":["toolsListChanged"]}"#] {
        assert_eq!(read_filter(Some(&raw_json(params).unwrap())).unwrap_err().code, -32602, "{params}");
    }
    assert!(read_filter(None).is_err());
}

#[test]
fn every_message_of_a_stream_carries_the_id_of_its_request_as_it_was_written() {
    for id in [Id::number(0), Id::string("listen-1"), Id::from_json("12345678901234567890123").unwrap()] {
        let ack = acknowledged(&id, &ListenFilter { tools: true, ..ListenFilter::default() });
        assert_eq!((&*ack.method, subscription_id(ack.params.as_deref())), (ACKNOWLEDGED, Some(id.clone())));
        assert!(read_filter(ack.params.as_deref()).unwrap().tools);
        let update =
            raw_json(r#"{"uri":"x:y","_meta":{"io.modelcontextprotocol/subscriptionId":"theirs","k":1}}"#)
                .unwrap();
        let ours = with_subscription_id(Some(&update), &id);
        assert_eq!(subscription_id(Some(&ours)), Some(id.clone()));
        assert!(ours.get().starts_with(r#"{"uri":"x:y","#) && ours.get().contains("\"k\":1"));
        let result = listen_result(&id, Some(&raw_json(r#"{"name":"c"}"#).unwrap()));
        assert_eq!(subscription_id(Some(&result)), Some(id));
        assert_eq!(crate::result_type(&result), "complete");
    }
}
