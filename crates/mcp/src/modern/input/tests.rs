use super::*;
use crate::raw_json;

#[test]
fn questions_and_answers_make_the_round() {
    let params = raw_json(r#"{"message":"who?","n":1.0}"#).unwrap();
    let state = " {\"not\":\"json\\\"} é世😀 ";
    let asks = [("a", "elicitation/create", Some(&*params)), ("b\"", "roots/list", None)];
    let result = input_required(&asks, Some(state));
    assert_eq!(crate::result_type(&result), "input_required");
    let read = read_input_required(&result).unwrap();
    assert_eq!(read.request_state.as_deref(), Some(state));
    let flat: Vec<_> =
        read.requests.iter().map(|r| (&*r.key, &*r.method, r.params.as_ref().map(|p| p.get()))).collect();
    assert_eq!(flat, [("a", "elicitation/create", Some(params.get())), ("b\"", "roots/list", None)]);

    let call = raw_json(r#"{"name":"x","arguments":{"z":1}}"#).unwrap();
    let answer = raw_json(r#"{"action":"accept","content":{"x":1.50}}"#).unwrap();
    let retry = with_input_responses(Some(&call), &[("a", &answer)], Some(state));
    assert_eq!(request_state(Some(&retry)).as_deref(), Some(state));
    let given = input_responses(Some(&retry));
    assert_eq!((given.len(), &*given[0].0, given[0].1.get()), (1, "a", answer.get()));
    assert_eq!(without_input_responses(Some(&retry)).unwrap().get(), call.get());
}

#[test]
fn a_second_round_replaces_the_answers_of_the_first() {
    let call = raw_json(r#"{"inputResponses":{"old":{}},"requestState":"old","name":"x"}"#).unwrap();
    let answer = raw_json("{}").unwrap();
    let retry = with_input_responses(Some(&call), &[("new", &answer)], None);
    assert_eq!(retry.get(), r#"{"name":"x","inputResponses":{"new":{}}}"#);
}

#[test]
fn state_alone_asks_for_nothing_but_the_request_again() {
    let result = input_required(&[], Some("s"));
    assert_eq!(result.get(), r#"{"resultType":"input_required","requestState":"s"}"#);
    assert!(read_input_required(&result).unwrap().requests.is_empty());
}

#[test]
fn other_results_and_broken_questions_are_not_read() {
    let read = |text: &str| read_input_required(&raw_json(text).unwrap());
    assert!(read(r#"{"resultType":"complete","inputRequests":{"a":{"method":"roots/list"}}}"#).is_none());
    assert!(read(r#"{"inputRequests":{}}"#).is_none());
    let broken = read(
        r#"{"resultType":"input_required","inputRequests":{"a":{},"b":5,"c":{"method":"m","params":[]}}}"#,
    );
    let broken = broken.unwrap().requests;
    assert_eq!((broken.len(), &*broken[0].key, broken[0].params.is_none()), (1, "c", true));
    assert!(input_responses(None).is_empty() && request_state(None).is_none());
}
