//! What telemetry says about the program that sent it: `OTEL_RESOURCE_ATTRIBUTES` and Gas Town's own attributes.

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use percent_encoding::percent_decode_str;

/// Reads `key=value,key=value` as the OpenTelemetry specification states it (values percent-encoded). Pairs without `=`
/// or with an empty key are left out, since one bad pair must not cost the others.
pub(crate) fn parse_attributes(text: &str) -> Vec<KeyValue> {
    text.split(',').filter_map(parse_pair).collect()
}

fn parse_pair(pair: &str) -> Option<KeyValue> {
    let (key, value) = pair.split_once('=')?;
    let key = key.trim();
    if key.is_empty() {
        return None;
    }
    let value = percent_decode_str(value.trim()).decode_utf8_lossy();
    Some(KeyValue::new(key.to_owned(), value.into_owned()))
}

/// The resource of `gt` and `bd`: the inherited attributes, then the program's own, which win as they do in Gas Town.
pub(crate) fn gastown_resource(service: &str, version: &str, inherited: &str) -> Resource {
    let mut attributes = parse_attributes(inherited);
    attributes.extend([
        KeyValue::new("service.name", service.to_owned()),
        KeyValue::new("service.version", version.to_owned()),
        KeyValue::new("host.name", host_name()),
        KeyValue::new("os.type", std::env::consts::OS),
        KeyValue::new("os.description", os_description()),
    ]);
    super::resource(attributes)
}

/// System, host, release, version and machine, as `uname -a` begins.
fn os_description() -> String {
    let name = rustix::system::uname();
    let parts = [name.sysname(), name.nodename(), name.release(), name.version(), name.machine()];
    parts.map(|part| part.to_string_lossy()).join(" ")
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse_attributes(text).into_iter().map(|pair| (pair.key.to_string(), pair.value.to_string())).collect()
    }

    #[test]
    fn values_are_percent_decoded_and_trimmed() {
        let found = pairs("proctor.run.id=7k3f, gt.prompt=two%20words%2C one comma ");
        let expected = [("proctor.run.id", "7k3f"), ("gt.prompt", "two words, one comma")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_bad_pair_does_not_cost_the_others() {
        assert_eq!(pairs("novalue,=x,a=b").len(), 1);
    }

    #[test]
    fn own_attributes_win_over_inherited_ones() {
        let resource = gastown_resource("gastown", "1", "service.name=other,gt.role=mayor");
        let name = resource.get(&"service.name".into()).map(|v| v.to_string());
        assert_eq!(name.as_deref(), Some("gastown"));
        let role = resource.get(&"gt.role".into()).map(|v| v.to_string());
        assert_eq!(role.as_deref(), Some("mayor"));
    }
}
