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

#[test]
fn a_profile_narrows_what_is_declared_to_what_the_client_can_be_asked() {
    let declared = crate::own_client_capabilities();
    let all = AskProfile::of(&declared);
    let extensions = crate::member(&declared, "extensions").unwrap().get();
    for (client, narrowed) in [
        ("{}", String::new()),
        (r#"{"elicitation":{}}"#, r#""elicitation":{"form":{}},"#.into()),
        (r#"{"elicitation":{"url":{}}}"#, r#""elicitation":{"url":{}},"#.into()),
        (r#"{"sampling":{"context":{}}}"#, r#""sampling":{},"#.into()),
        (r#"{"roots":{},"sampling":{"tools":{}}}"#, r#""roots":{},"sampling":{"tools":{}},"#.into()),
    ] {
        let profile = AskProfile::of(&raw_json(client).unwrap());
        assert_ne!(profile.and(all), all, "{client}");
        assert_eq!(profile.can_be_asked(), client != "{}");
        let expected = format!("{{{narrowed}\"extensions\":{extensions}}}");
        assert_eq!(profile.narrow(&declared).get(), expected, "{client}");
        assert_eq!(AskProfile::of(&profile.narrow(&declared)), profile, "{client}");
    }
}

#[test]
fn whoever_can_be_asked_everything_needs_no_narrower_profile() {
    let all = AskProfile::of(&crate::own_client_capabilities());
    let client =
        raw_json(r#"{"elicitation":{"form":{},"url":{}},"sampling":{"tools":{}},"roots":{},"x":{}}"#);
    assert_eq!(AskProfile::of(&client.unwrap()), all);
    let none = AskProfile::of(&raw_json("{}").unwrap());
    assert_eq!(none.and(all), none);
    assert!(none.with_roots().can_be_asked());
}
