use super::*;
use crate::raw_json;

fn of(schema: &str) -> Result<Option<HeaderParams>, InvalidHeaderParams> {
    HeaderParams::from_schema(&raw_json(schema).unwrap())
}

fn with(properties: &str) -> Result<Option<HeaderParams>, InvalidHeaderParams> {
    of(&format!(r#"{{"type":"object","properties":{{{properties}}}}}"#))
}

#[test]
fn annotations_are_found_with_their_paths() {
    let found = with(
        r#""a":{"type":"string","x-mcp-header":"A"},"o":{"type":"object","properties":{"p.q":{"type":"boolean","x-mcp-h\u0065ader":"Method"}}},"plain":{"type":"number"}"#,
    );
    let found = found.unwrap().unwrap();
    let flat: Vec<_> = found.params.iter().map(|p| format!("{} {}", p.header, p.path.join("/"))).collect();
    assert_eq!(flat, ["A a", "Method o/p.q"]);
    let arguments = raw_json(r#"{"o":{"p.q":true},"a":null}"#).unwrap();
    let values: Vec<_> = found.values(Some(&arguments)).map(|(_, v)| v.map(RawValue::get)).collect();
    assert_eq!(values, [None, Some("true")]);
}

#[test]
fn a_schema_without_annotations_has_none() {
    for schema in
        ["{}", r#"{"type":"object"}"#, r#"{"properties":{"a":{"description":"see x-mcp-header"}}}"#, "true"]
    {
        assert_eq!(of(schema), Ok(None), "{schema}");
    }
}

#[test]
fn data_inside_a_schema_is_no_annotation() {
    for data in ["default", "const", "enum", "examples"] {
        let value = if data == "enum" || data == "examples" {
            r#"[{"x-mcp-header":"A"}]"#
        } else {
            r#"{"x-mcp-header":"A"}"#
        };
        assert_eq!(with(&format!(r#""a":{{"type":"object","{data}":{value}}}"#)), Ok(None), "{data}");
    }
    let property_of_that_name = r#""x-mcp-header":{"type":"string"}"#;
    assert_eq!(with(property_of_that_name), Ok(None));
}

#[test]
fn names_that_are_no_header_names_are_refused() {
    for name in [
        r#""""#,
        r#""My Region""#,
        r#""Region:Primary""#,
        r#""Région""#,
        r#""Region\t1""#,
        r#""a\r\nb""#,
        "5",
        "null",
        "{}",
    ] {
        let found = with(&format!(r#""a":{{"type":"string","x-mcp-header":{name}}}"#));
        assert!(matches!(found, Err(InvalidHeaderParams::NotAToken { .. })), "{name}: {found:?}");
    }
}

#[test]
fn only_strings_integers_and_booleans_are_mirrored() {
    for kind in [
        r#""number""#,
        r#""object""#,
        r#""array""#,
        r#""null""#,
        r#"["string","number"]"#,
        r#"["null"]"#,
        "[]",
        "5",
    ] {
        let found = with(&format!(r#""a":{{"type":{kind},"x-mcp-header":"A"}}"#));
        assert!(matches!(found, Err(InvalidHeaderParams::NotPrimitive { .. })), "{kind}: {found:?}");
    }
    let untyped = with(r##""a":{"$ref":"#/$defs/a","x-mcp-header":"A"}"##);
    assert!(matches!(untyped, Err(InvalidHeaderParams::NotPrimitive { .. })));
}

#[test]
fn two_parameters_cannot_share_a_header_in_any_case() {
    for second in ["Region", "REGION"] {
        let found = with(&format!(
            r#""a":{{"type":"string","x-mcp-header":"Region"}},"b":{{"type":"string","x-mcp-header":"{second}"}}"#
        ));
        assert!(matches!(found, Err(InvalidHeaderParams::Duplicate { .. })), "{second}");
    }
}

#[test]
fn annotations_that_no_single_argument_reaches_are_refused() {
    let leaf = r#"{"type":"string","x-mcp-header":"A"}"#;
    for schema in [
        format!(r#"{{"properties":{{"l":{{"type":"array","items":{leaf}}}}}}}"#),
        format!(r#"{{"oneOf":[{{"properties":{{"a":{leaf}}}}}]}}"#),
        format!(r#"{{"allOf":[{leaf}]}}"#),
        format!(r#"{{"if":{{"properties":{{"a":{leaf}}}}}}}"#),
        format!(r#"{{"not":{leaf}}}"#),
        format!(r#"{{"$defs":{{"a":{leaf}}}}}"#),
        format!(r#"{{"additionalProperties":{leaf}}}"#),
        format!(r#"{{"patternProperties":{{".*":{leaf}}}}}"#),
        format!(r#"{{"prefixItems":[[{leaf}]]}}"#),
        leaf.to_owned(),
    ] {
        let found = of(&schema);
        assert!(matches!(found, Err(InvalidHeaderParams::Unreachable { .. })), "{schema}: {found:?}");
    }
}

#[test]
fn more_than_the_limit_and_endless_nesting_are_refused() {
    let many: Vec<_> = (0..=HEADER_PARAMS_MAX)
        .map(|n| format!(r#""p{n}":{{"type":"string","x-mcp-header":"H{n}"}}"#))
        .collect();
    assert_eq!(with(&many.join(",")), Err(InvalidHeaderParams::TooMany));
    let deep = format!("{}{}{}", r#"{"not":"#.repeat(300), r#"{"x-mcp-header":""}"#, "}".repeat(300));
    assert_eq!(of(&deep), Err(InvalidHeaderParams::TooMany));
}
