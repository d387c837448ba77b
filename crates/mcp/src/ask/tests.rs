use super::*;
use crate::raw_json;

fn may(capabilities: &str, method: &str, params: &str) -> bool {
    let params = raw_json(params).unwrap();
    has_capability(&raw_json(capabilities).unwrap(), method, Some(&params))
}

#[test]
fn elicitation_modes_are_told_apart() {
    let (form, url) = (r#"{"message":"m"}"#, r#"{"mode":"url"}"#);
    for (capabilities, takes_form, takes_url) in [
        ("{}", false, false),
        (r#"{"elicitation":{}}"#, true, false),
        (r#"{"elicitation":{"form":{}}}"#, true, false),
        (r#"{"elicitation":{"url":{}}}"#, false, true),
        (r#"{"elicitation":{"form":{},"url":{}}}"#, true, true),
        (r#"{"elicitation":true}"#, false, false),
        (r#"{"elicitation":null}"#, false, false),
    ] {
        assert_eq!(may(capabilities, ELICIT, form), takes_form, "{capabilities} form");
        assert_eq!(may(capabilities, ELICIT, url), takes_url, "{capabilities} url");
    }
    assert!(!may(r#"{"elicitation":{}}"#, ELICIT, r#"{"mode":"telepathy"}"#));
}

#[test]
fn sampling_with_tools_needs_its_own_capability() {
    let (plain, tools) = (r#"{"includeContext":"allServers"}"#, r#"{"tools":[]}"#);
    assert!(may(r#"{"sampling":{}}"#, SAMPLE, plain));
    assert!(!may(r#"{"sampling":{}}"#, SAMPLE, tools));
    assert!(may(r#"{"sampling":{}}"#, SAMPLE, r#"{"tools":null}"#));
    assert!(may(r#"{"sampling":{"tools":{}}}"#, SAMPLE, tools));
    assert!(may(r#"{"roots":{}}"#, ROOTS, "{}") && !may("{}", ROOTS, "{}"));
    assert!(!may(r#"{"ping":{}}"#, "ping", "{}"), "nothing else may be asked");
}

#[test]
fn a_required_capability_satisfies_the_question_it_is_required_for() {
    for (method, params) in [
        (ELICIT, "{}"),
        (ELICIT, r#"{"mode":"url"}"#),
        (SAMPLE, "{}"),
        (SAMPLE, r#"{"toolChoice":{}}"#),
        (ROOTS, "{}"),
    ] {
        let params = raw_json(params).unwrap();
        let required = required_capability(method, Some(&params)).unwrap();
        assert!(has_capability(&required, method, Some(&params)), "{method} {params}");
        assert!(!has_capability(&raw_json("{}").unwrap(), method, Some(&params)));
    }
    assert!(required_capability("tools/call", None).is_none());
}
