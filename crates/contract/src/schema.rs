//! JSON Schemas for editors, from the same tables as the parser.

use serde_json::{Map, Value, json};

use crate::shape::{AGENT, CONFIG, CONTRACT, Kind, Shape};

/// The schema of `cella.toml`.
#[must_use]
pub fn config_schema() -> Value {
    document(&CONFIG, "Cella configuration")
}

/// The schema of contract files.
#[must_use]
pub fn contract_schema() -> Value {
    document(&CONTRACT, "Cella contract")
}

/// The schema of agents' files.
#[must_use]
pub fn agent_schema() -> Value {
    document(&AGENT, "Cella agent")
}

fn document(shape: &'static Shape, title: &str) -> Value {
    let mut schema = table(shape);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!(title);
    schema
}

fn table(shape: &'static Shape) -> Value {
    let properties: Map<String, Value> = shape
        .fields
        .iter()
        .map(|field| {
            let mut value = kind(field.kind);
            value["description"] = json!(field.doc);
            (field.key.to_owned(), value)
        })
        .collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn kind(kind: Kind) -> Value {
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Texts => texts,
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Count => json!({ "type": "integer", "minimum": 1 }),
        Kind::Number => json!({ "type": "integer", "minimum": 0 }),
        Kind::Duration => json!({ "type": "string", "pattern": "^[0-9]+ *(ms|s|m|h|d)$" }),
        Kind::Size => json!({ "type": "string", "pattern": "^[0-9]+ *(B|KiB|MiB|GiB|TiB|kB|KB|MB|GB)$" }),
        Kind::Word(words) => json!({ "enum": words }),
        Kind::WordOrTexts(words) => json!({ "anyOf": [{ "enum": words }, texts] }),
        Kind::TextMap => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        Kind::Table(shape) => table(shape),
        Kind::Named(shape) => json!({ "type": "object", "additionalProperties": table(shape) }),
        Kind::List(shape) => json!({ "type": "array", "items": table(shape) }),
        Kind::Free => json!({ "type": "object" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_parser_stands_in_the_schema_with_a_description() {
        for (schema, shape) in
            [(config_schema(), &CONFIG), (contract_schema(), &CONTRACT), (agent_schema(), &AGENT)]
        {
            assert_eq!(schema["properties"].as_object().expect("an object").len(), shape.fields.len());
            for field in shape.fields {
                assert_eq!(schema["properties"][field.key]["description"], field.doc);
            }
        }
        let server = &config_schema()["properties"]["servers"]["additionalProperties"];
        assert_eq!(server["properties"]["start"]["enum"], json!(["lazy", "eager"]));
        assert_eq!(server["additionalProperties"], false);
    }
}
