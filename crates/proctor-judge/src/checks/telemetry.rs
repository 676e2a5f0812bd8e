//! What the store must say: no errors, every agent complete, queries, and ceilings over the totals.

use super::{Answer, Case};
use crate::next;
use crate::plan::{BudgetCheck, NoErrorsCheck, QueryCheck};
use crate::summary::{AgentSummary, TelemetryStatus};
use crate::telemetry::Telemetry;
use crate::verdict::totals;
use crate::wording::{at_logsql, at_promql, count, quoted, round, short_agent};

/// Log records of severity ERROR or worse, in the words of LogsQL.
pub(crate) const ERRORS: &str = "level:in(error,fatal)";

pub(super) fn no_errors(case: &Case<'_>, check: &NoErrorsCheck) -> Answer {
    let query = error_query(&check.except);
    let expected = match check.except.as_slice() {
        [] => "no log record of severity ERROR".to_owned(),
        except => format!("no log record of severity ERROR but {}", except.join(" and ")),
    };
    match case.telemetry.logsql(&query) {
        Err(why) => Answer::unknown(expected, why),
        Ok(answer) => {
            let saw = match answer.rows.first() {
                None => "none".into(),
                Some(row) => format!("{}, the first: {}", count(answer.total, "record"), error_line(row)),
            };
            let all_known = answer.rows.len() == answer.total;
            Answer::when(answer.total == 0, expected, saw)
                .absent(all_known && answer.rows.iter().all(|row| is_of_the_end(case, row)))
        }
    }
    .at(at_logsql(query.clone()))
    .next(next::view_errors(case.run))
}

/// The query for errors other than the expected ones.
pub(crate) fn error_query(except: &[String]) -> String {
    except.iter().fold(ERRORS.to_owned(), |query, filter| format!("{query} AND NOT ({filter})"))
}

/// A row of an error as a person reads it.
pub(crate) fn error_line(row: &proctor_store::logsql::Row) -> String {
    let field = |name: &str| row.get(name).map_or("", String::as_str);
    let who = [field("proctor.agent"), field("gt.role"), field("service.name")].into_iter().find(|s| !s.is_empty());
    let message = [field("error"), field("stderr"), field("status")].into_iter().find(|s| !s.is_empty()).unwrap_or("");
    format!("{} of {}: {}", field("_msg"), short_agent(who.unwrap_or("nobody known")), quoted(message, 200))
}

pub(super) fn complete(case: &Case<'_>) -> Answer {
    let expected = "of every agent the telemetry that its program owes";
    let with = |status| case.agents.iter().filter(move |a| a.telemetry.status == status).collect::<Vec<_>>();
    let (gaps, unclear) = (with(TelemetryStatus::Incomplete), with(TelemetryStatus::Unknown));
    let whole = with(TelemetryStatus::Complete);
    let answer = match (gaps.is_empty(), unclear.is_empty(), case.agents.is_empty()) {
        (false, _, _) => Answer::when(false, expected, together(&gaps)).absent(gaps.iter().all(|a| is_unfinished(case, a))),
        (true, false, _) => Answer::unknown(expected, together(&unclear)),
        (true, true, true) => Answer::unknown(expected, "no agent is known"),
        (true, true, false) => {
            let free = case.agents.len() - whole.len();
            Answer::when(true, expected, format!("{} complete, {free} owe nothing", count(whole.len(), "agent")))
        }
    };
    let first = gaps.first().or(unclear.first()).map_or("*", |a| a.agent.as_str());
    let query = format!("\"proctor.agent\":=\"{first}\"");
    answer.at(at_logsql(query)).next(next::view_agent(case.run, first, None))
}

/// Whether an error came of ending the town, or is about an agent whose work never arrived.
fn is_of_the_end(case: &Case<'_>, row: &proctor_store::logsql::Row) -> bool {
    let field = |name: &str| row.get(name).map_or("", String::as_str);
    let time = field("_time").parse::<crate::evidence::Time>().ok();
    let late = time.zip(case.run.collecting_since()).is_some_and(|(time, end)| time >= end);
    let session = case.run.sessions.rows.iter().find(|s| s.session == field("session_id")).map(|s| s.agent.as_str());
    let agent = session.unwrap_or_else(|| field("proctor.agent"));
    late || case.agents.iter().any(|a| a.agent == agent && is_unfinished(case, a))
}

/// Whether an agent's work never arrived, so that its telemetry may be short with it. The coordinator's is when no work arrived.
fn is_unfinished(case: &Case<'_>, agent: &AgentSummary) -> bool {
    match &agent.rig {
        Some(rig) => case.is_unmerged(rig),
        None => case.run.deliveries.rows.iter().all(|d| !d.merged),
    }
}

/// `eve/furiosa: no event claude_code.api_request (nothing arrived …)`.
pub(crate) fn gap(agent: &AgentSummary) -> String {
    format!("{}: {}", short_agent(&agent.agent), lacks(agent))
}

/// The gaps of several agents; those who lack the same for the same reason are named together.
fn together(agents: &[&AgentSummary]) -> String {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for agent in agents {
        let (lacks, who) = (lacks(agent), short_agent(&agent.agent));
        match groups.iter_mut().find(|(what, _)| *what == lacks) {
            Some((_, names)) => names.push(who),
            None => groups.push((lacks, vec![who])),
        }
    }
    let told: Vec<String> = groups.iter().map(|(lacks, names)| format!("{}: {lacks}", names.join(", "))).collect();
    told.join("; ")
}

fn lacks(agent: &AgentSummary) -> String {
    let cause = agent.telemetry.cause.as_deref().unwrap_or("cause unknown");
    match agent.telemetry.missing.as_slice() {
        [] => cause.to_owned(),
        missing => format!("{} ({cause})", missing.join(", ")),
    }
}

pub(super) fn promql(case: &Case<'_>, check: &QueryCheck) -> Answer {
    let answer = match case.telemetry.promql(&check.query) {
        Err(why) => Answer::unknown(&check.expect, why),
        Ok(values) => compare(check, &values),
    };
    answer.at(at_promql(&check.query)).next(next::view(case.run))
}

pub(super) fn logsql(case: &Case<'_>, check: &QueryCheck) -> Answer {
    let answer = match logsql_value(case.telemetry, &check.query) {
        Err(why) => Answer::unknown(&check.expect, why),
        // VictoriaLogs' sum and average of no rows.
        Ok((_, value)) if value.is_nan() => compare(check, &[]),
        Ok((label, value)) => compare(check, &[(label, value)]),
    };
    answer.at(at_logsql(&check.query)).next(next::view(case.run))
}

/// The one number of a stats pipe, else the number of rows.
fn logsql_value(telemetry: &Telemetry, query: &str) -> Result<(String, f64), String> {
    let answer = telemetry.logsql(query)?;
    let single = match answer.rows.as_slice() {
        // A figure over no rows has no text.
        [row] if query.contains("stats") && row.is_empty() => Some(f64::NAN),
        [row] if query.contains("stats") && row.len() == 1 => row.values().next().and_then(|v| v.parse::<f64>().ok()),
        _ => None,
    };
    Ok(single.map_or_else(|| ("rows".into(), answer.total as f64), |value| ("value".into(), value)))
}

/// Holds every value against `expect`; no value at all counts as 0, as an absent counter does.
fn compare(check: &QueryCheck, values: &[(String, f64)]) -> Answer {
    let Some(comparison) = Comparison::read(&check.expect) else {
        return Answer::unknown(&check.expect, format!("`{}` is no comparison such as `>= 1`", check.expect));
    };
    let saw: Vec<String> = values.iter().map(|(label, value)| format!("{label} {}", number(*value))).collect();
    let none = [(String::new(), 0.0)];
    let (values, saw) = match values.is_empty() {
        true => (&none[..], "no series (counts as 0)".to_owned()),
        false => (values, saw.join(", ")),
    };
    let broken: Vec<f64> = values.iter().map(|(_, v)| *v).filter(|v| !comparison.holds(*v)).collect();
    Answer::when(broken.is_empty(), &check.expect, saw).absent(broken.iter().all(|v| *v < comparison.bound))
}

/// `>= 1`.
struct Comparison {
    operator: &'static str,
    bound: f64,
}

impl Comparison {
    fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let operator = ["==", "!=", ">=", "<=", ">", "<"].into_iter().find(|o| text.starts_with(o))?;
        Some(Self { operator, bound: text.strip_prefix(operator)?.trim().parse().ok()? })
    }

    fn holds(&self, value: f64) -> bool {
        let equal = (value - self.bound).abs() < 1e-9;
        match self.operator {
            "==" => equal,
            "!=" => !equal,
            ">=" => value >= self.bound,
            "<=" => value <= self.bound,
            ">" => value > self.bound,
            _ => value < self.bound,
        }
    }
}

/// A figure without needless decimals.
pub(crate) fn number(value: f64) -> String {
    format!("{}", round(value))
}

pub(super) fn budget(case: &Case<'_>, check: &BudgetCheck) -> Answer {
    let expected = format!("{} at most {}", check.of, number(check.at_most));
    let totals = totals(case.agents);
    let used = match check.of.as_str() {
        "cost_usd" => totals.cost_usd,
        "input_tokens" => totals.input_tokens as f64,
        "output_tokens" => totals.output_tokens as f64,
        "model_calls" => totals.model_calls as f64,
        "seconds" => case.run.since_start(case.run.last_moment()),
        other => return Answer::unknown(expected, format!("`{other}` is no figure of a run")),
    };
    if case.telemetry.unreadable().is_some() && !case.run.exchanges.known && check.of != "seconds" {
        return Answer::unknown(expected, "neither the store nor the gateway's journal can be read");
    }
    Answer::when(used <= check.at_most, expected, format!("{} {}", check.of, number(used))).next(next::view(case.run))
}
