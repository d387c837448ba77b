use super::*;
use crate::raw_json;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";

#[test]
fn progress_tokens_are_read_replaced_and_removed() {
    let source = raw_json(r#"{"_meta":{"progressToken":"a","k":1},"x":1.0}"#).unwrap();
    assert_eq!(progress_token(Some(&source)).unwrap().get(), "\"a\"");
    let ours = with_progress_token(Some(&source), &raw_json("7").unwrap());
    assert_eq!(ours.get(), r#"{"_meta":{"progressToken":7,"k":1},"x":1.0}"#);
    assert_eq!(without_progress_token(Some(&ours)).unwrap().get(), r#"{"_meta":{"k":1},"x":1.0}"#);
    let created = with_progress_token(None, &raw_json("7").unwrap());
    assert_eq!(without_progress_token(Some(&created)).unwrap().get(), "{}");
    assert!(without_progress_token(None).is_none());
    for other in ["null", "true", "{}", "[1]"] {
        let params = raw_json(format!(r#"{{"_meta":{{"progressToken":{other}}}}}"#)).unwrap();
        assert!(progress_token(Some(&params)).is_none(), "{other}");
    }
}

#[test]
fn progress_notifications_are_renamed() {
    let theirs = raw_json(r#"{"progressToken":7,"progress":50.0}"#).unwrap();
    assert_eq!(progress_of(Some(&theirs)).unwrap().get(), "7");
    let ours = with_progress_of(Some(&theirs), &raw_json("\"a\"").unwrap());
    assert_eq!(ours.get(), r#"{"progressToken":"a","progress":50.0}"#);
}

#[test]
fn trace_context_is_read_when_it_is_well_formed() {
    let params =
        raw_json(format!(r#"{{"_meta":{{"traceparent":"{PARENT}","tracestate":"a=b","baggage":"k=v"}}}}"#))
            .unwrap();
    let trace = trace_context(Some(&params)).unwrap();
    assert_eq!(
        (&*trace.traceparent, trace.tracestate.as_deref(), trace.baggage.as_deref()),
        (PARENT, Some("a=b"), Some("k=v"))
    );
    let lonely = raw_json(r#"{"_meta":{"traceparent":"x","tracestate":"a=b","baggage":"k=v"}}"#).unwrap();
    assert!(trace_context(Some(&lonely)).is_none());
}

#[test]
fn a_span_of_ours_replaces_the_parent_and_drops_the_state_of_a_broken_one() {
    let ours = PARENT.replace("00f0", "11f0");
    let good = raw_json(format!(r#"{{"_meta":{{"traceparent":"{PARENT}","tracestate":"a=b"}}}}"#)).unwrap();
    assert_eq!(
        with_traceparent(Some(&good), &ours).get(),
        format!(r#"{{"_meta":{{"traceparent":"{ours}","tracestate":"a=b"}}}}"#)
    );
    let bad = raw_json(r#"{"_meta":{"traceparent":"x","tracestate":"a=b"}}"#).unwrap();
    assert_eq!(
        with_traceparent(Some(&bad), &ours).get(),
        format!(r#"{{"_meta":{{"traceparent":"{ours}"}}}}"#)
    );
}

#[test]
fn traceparents_follow_the_w3c_format() {
    assert!(is_traceparent(PARENT) && is_traceparent(&PARENT.replacen("00", "01", 1)));
    assert!(is_traceparent(&format!("01{}-more", &PARENT[2..])));
    for bad in [
        String::new(),
        format!("{PARENT}-more"),
        PARENT.to_uppercase(),
        PARENT.replacen("00", "ff", 1),
        PARENT.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
        PARENT.replace("00f067aa0ba902b7", &"0".repeat(16)),
        PARENT.replace('-', "_"),
        PARENT[..54].to_owned(),
    ] {
        assert!(!is_traceparent(&bad), "{bad}");
    }
}

#[test]
fn results_tell_their_type_and_their_failure() {
    let raw = |text: &str| raw_json(text).unwrap();
    assert_eq!(crate::result_type(&raw("{}")), "complete");
    assert_eq!(crate::result_type(&raw(r#"{"resultType":"t\u0061sk"}"#)), "task");
    assert!(crate::is_error(&raw(r#"{"content":[{"isError":false}],"isError":true}"#)));
    assert!(!crate::is_error(&raw(r#"{"content":[{"isError":true}],"isError":false}"#)));
    assert!(!crate::is_error(&raw(r#"{"isError":"true"}"#)));
}

#[test]
fn a_run_is_named_by_visible_characters_or_refused() {
    let run = |meta: &str| {
        run_of(Some(&raw_json(format!("{{\"_meta\":{meta}}}")).unwrap())).map(|r| r.map(Cow::into_owned))
    };
    assert_eq!(run_of(None), Ok(None));
    assert_eq!(run("{\"other\":1}"), Ok(None));
    assert_eq!(run("{\"io.cella/run\":\"r-1\"}"), Ok(Some("r-1".into())));
    let long = format!("{{\"io.cella/run\":\"{}\"}}", "r".repeat(RUN_BYTES_MAX + 1));
    for bad in ["{\"io.cella/run\":\"\"}", "{\"io.cella/run\":7}", "{\"io.cella/run\":\"a b\"}", &long] {
        assert_eq!(run(bad), Err(BadRun), "{bad}");
    }
}
