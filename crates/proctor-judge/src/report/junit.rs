//! `junit.xml`: the checks and landed clauses as test cases, for CI systems.
//!
//! A failure is said only where the outcome says something about the system under test. What does not hold in a run that was
//! cancelled, or that machine, provider or harness ended, is skipped, and the run itself is an error.

use std::fmt::Write as _;

use crate::summary::{CheckStatus, CheckSummary, ClauseSummary, Summary};
use crate::visible::visible;

/// The whole file.
pub(super) fn render(summary: &Summary) -> String {
    let clauses: Vec<String> = summary.landed.iter().map(|c| clause(summary, c)).collect();
    let checks: Vec<String> = summary.checks.iter().map(|c| check(summary, c)).collect();
    let run = run(summary);
    let cases = clauses.len() + checks.len() + 1;
    let all = [vec![run.clone()], clauses, checks].concat().concat();
    let number = |tag: &str| all.matches(tag).count();
    let figures = format!(
        "tests=\"{cases}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{:.3}\"",
        number("<failure"),
        number("<error"),
        number("<skipped"),
        summary.run.duration_s
    );
    let name = escaped(&summary.run.scenario);
    let when = summary.run.started_at.format("%Y-%m-%dT%H:%M:%S");
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(text, "<testsuites name=\"proctor\" {figures}>");
    let _ = writeln!(text, "<testsuite name=\"{name}\" id=\"{}\" timestamp=\"{when}\" {figures}>", escaped(&summary.run.id));
    let _ = writeln!(text, "<properties>");
    for (key, value) in [("outcome", summary.outcome.word()), ("town", &summary.run.town), ("models", &summary.run.models)] {
        let _ = writeln!(text, "<property name=\"{key}\" value=\"{}\"/>", escaped(value));
    }
    let _ = writeln!(text, "</properties>\n{all}</testsuite>\n</testsuites>");
    text
}

/// The run as a case of its own: an error when the outcome says nothing about the product.
fn run(summary: &Summary) -> String {
    let name = format!("{}: the run reached a verdict", summary.run.scenario);
    let fault = format!("<error type=\"{}\" message=\"{}\"/>", summary.outcome.word(), escaped(&summary.headline));
    case(summary, "run", &name, if summary.outcome.is_product() { "" } else { &fault })
}

fn clause(summary: &Summary, clause: &ClauseSummary) -> String {
    let inside = match clause.value {
        Some(true) => String::new(),
        Some(false) if !summary.outcome.is_product() => untold(summary, &clause.now),
        Some(false) => format!("<failure type=\"landed\" message=\"{}: {}\"/>", escaped(&clause.title), escaped(&clause.now)),
        None => "<skipped message=\"not seen\"/>".into(),
    };
    case(summary, "landed", &format!("landed: {}", clause.title), &inside)
}

fn check(summary: &Summary, check: &CheckSummary) -> String {
    let text = |tag: &str| {
        let at: Vec<&str> = check.evidence.iter().map(|e| e.at.as_str()).collect();
        let body = format!(
            "expected  {}\nsaw       {}\nevidence  {}\nnext      {}",
            check.expected,
            check.saw,
            at.join(", "),
            check.next.as_deref().unwrap_or("–")
        );
        format!("<{tag} type=\"{}\" message=\"{}\">{}</{tag}>", escaped(&check.kind), escaped(&check.saw), escaped(&body))
    };
    let inside = match check.status {
        CheckStatus::Passed => String::new(),
        CheckStatus::Failed if !summary.outcome.is_product() => untold(summary, &check.saw),
        CheckStatus::Failed => text("failure"),
        CheckStatus::Unknown => {
            let on = check.depends_on.as_ref().map_or_else(String::new, |cause| format!("depends on {cause}: "));
            format!("<skipped message=\"{}\"/>", escaped(&format!("{on}{}", check.saw)))
        }
    };
    case(summary, &check.kind, &format!("{}: {}", check.id, check.title), &inside)
}

/// Something that does not hold in a run that says nothing about the system under test.
fn untold(summary: &Summary, saw: &str) -> String {
    format!("<skipped message=\"{}: {}\"/>", summary.outcome.word(), escaped(saw))
}

fn case(summary: &Summary, group: &str, name: &str, inside: &str) -> String {
    let class = format!("{}.{group}", summary.run.scenario);
    format!("<testcase classname=\"{}\" name=\"{}\" time=\"0\">{inside}</testcase>\n", escaped(&class), escaped(name))
}

/// XML 1.0 text: markup escaped, line breaks kept in attributes, what XML does not know or nobody can see spelled.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_does_not_know_is_spelled() {
        let text = "a<b & \"c\"\u{1b}[1m\u{0}\n\u{fffe}\u{202e}";
        assert_eq!(escaped(text), "a&lt;b &amp; &quot;c&quot;\\x1b[1m\\x00&#10;\\u{fffe}\\u{202e}");
    }
}
