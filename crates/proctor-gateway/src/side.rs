//! Requests that agent programs make for themselves: a session's title, a suggestion, a probe. Scripts play roles, so these
//! are answered here, with the least that satisfies the program.

use serde_json::{Map, Value, json};

use crate::request::Request;

/// What kind of request it is, and the answer's text.
pub(crate) fn answer(request: &Request) -> Option<(&'static str, String)> {
    let asked = request.conversation.newest();
    match &request.answer_schema {
        Some(schema) if request.tools.is_empty() => Some(("side request: answer by schema", instance(schema).to_string())),
        _ if asked.starts_with("[SUGGESTION MODE") => Some(("side request: suggestion", "no suggestion".to_owned())),
        _ if request.max_tokens == Some(1) => Some(("side request: probe", "ok".to_owned())),
        _ => None,
    }
}

/// The plainest value that a JSON Schema allows.
fn instance(schema: &Value) -> Value {
    if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
        return first.clone();
    }
    match schema["type"].as_str() {
        Some("object") => {
            let properties = schema["properties"].as_object();
            let fields = properties.into_iter().flatten().map(|(name, schema)| (name.clone(), instance(schema)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Some("array") => json!([]),
        Some("integer" | "number") => json!(0),
        Some("boolean") => json!(false),
        _ => json!("scripted"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_has_every_property_in_its_type() {
        let schema = json!({"type":"object","properties":{
            "title":{"type":"string"}, "n":{"type":"integer"}, "ok":{"type":"boolean"}, "l":{"type":"array"}, "e":{"enum":["a","b"]}}});
        assert_eq!(instance(&schema), json!({"title":"scripted","n":0,"ok":false,"l":[],"e":"a"}));
    }
}
