//! The commands that findings tell a person to type next, each ready to be pasted into a shell.

use crate::evidence::{Exchange, Mail};
use crate::run::Run;
use crate::wording::{shell, short_agent};

/// The viewer on the whole run.
pub(crate) fn view(run: &Run) -> String {
    format!("proctor view {}", run.record.id)
}

/// The viewer with a state in the address: pairs of key and value.
pub(crate) fn view_at(run: &Run, state: &[(&str, String)]) -> String {
    let pairs: Vec<String> = state.iter().map(|(key, value)| format!("{key}={}", encoded(value))).collect();
    format!("proctor view {}", shell(&format!("{}#{}", run.record.id, pairs.join("&"))))
}

/// The viewer on one agent, at a moment when there is one.
pub(crate) fn view_agent(run: &Run, agent: &str, after_s: Option<f64>) -> String {
    let mut state = vec![("agent", short_agent(agent))];
    state.extend(after_s.map(|s| ("at", format!("{s:.2}"))));
    view_at(run, &state)
}

/// The viewer on one exchange with the gateway: that very one, which its row in the journal names.
pub(crate) fn view_exchange(run: &Run, exchange: &Exchange) -> String {
    let at = format!("{:.2}", run.since_start(exchange.at));
    view_at(run, &[("agent", short_agent(&exchange.agent)), ("at", at), ("sel", format!("x{}", exchange.n))])
}

/// The viewer on one mail.
pub(crate) fn view_mail(run: &Run, mail: &Mail) -> String {
    let at = format!("{:.2}", run.since_start(mail.at));
    view_at(run, &[("agent", short_agent(&mail.from)), ("at", at), ("sel", format!("m-{}", mail.id))])
}

/// The viewer on one kind of event.
pub(crate) fn view_events(run: &Run, text: &str) -> String {
    view_at(run, &[("q", text.to_owned())])
}

/// The viewer on what went wrong.
pub(crate) fn view_errors(run: &Run) -> String {
    view_at(run, &[("errors", "1".to_owned())])
}

/// One exercise again, on what was merged.
pub(crate) fn exercise(run: &Run, name: &str) -> String {
    format!("proctor exercise {} {}", run.record.id, shell(name))
}

/// The whole run again.
pub(crate) fn repeat(run: &Run) -> String {
    run.record.command.clone()
}

/// Percent-encodes what would end a value in the viewer's address.
fn encoded(value: &str) -> String {
    let mut out = String::new();
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' | b':' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_value_is_encoded() {
        assert_eq!(encoded("a b&c"), "a%20b%26c");
    }
}
