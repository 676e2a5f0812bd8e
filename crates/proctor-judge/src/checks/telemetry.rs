//! What the store must say: no errors, every agent complete, queries, and ceilings over the totals.

use super::{Answer, Case};
use crate::next;
use crate::plan::{BudgetCheck, NoErrorsCheck, QueryCheck};
use crate::summary::{AgentSummary, CheckStatus, TelemetryStatus};
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
            Answer::when(answer.total == 0, expected, saw)
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
        (false, _, _) => Answer::when(false, expected, gaps.iter().map(|a| gap(a)).collect::<Vec<_>>().join("; ")),
        (true, false, _) => Answer::unknown(expected, unclear.iter().map(|a| gap(a)).collect::<Vec<_>>().join("; ")),
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

/// `eve/furiosa: no event claude_code.api_request (nothing arrived …)`.
pub(crate) fn gap(agent: &AgentSummary) -> String {
    let cause = agent.telemetry.cause.as_deref().unwrap_or("cause unknown");
    match agent.telemetry.missing.as_slice() {
        [] => format!("{}: {cause}", short_agent(&agent.agent)),
        missing => format!("{}: {} ({cause})", short_agent(&agent.agent), missing.join(", ")),
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
        Ok((label, value)) => compare(check, &[(label, value)]),
    };
    answer.at(at_logsql(&check.query)).next(next::view(case.run))
}

/// The one number of a stats pipe, else the number of rows.
fn logsql_value(telemetry: &Telemetry, query: &str) -> Result<(String, f64), String> {
    let answer = telemetry.logsql(query)?;
    let single = match answer.rows.as_slice() {
        [row] if query.contains("stats") && row.len() == 1 => row.values().next().and_then(|v| v.parse::<f64>().ok()),
        _ => None,
    };
    Ok(single.map_or_else(|| ("rows".into(), answer.total as f64), |value| ("value".into(), value)))
}

/// Holds every value against `expect`; no value at all counts as 0, as an absent counter does.
fn compare(check: &QueryCheck, values: &[(String, f64)]) -> Answer {
    let Some(holds) = comparison(&check.expect) else {
        return Answer::unknown(&check.expect, format!("`{}` is no comparison such as `>= 1`", check.expect));
    };
    if values.is_empty() {
        return Answer::when(holds(0.0), &check.expect, "no series (counts as 0)");
    }
    let saw: Vec<String> = values.iter().map(|(label, value)| format!("{label} {}", number(*value))).collect();
    Answer::new(
        if values.iter().all(|(_, v)| holds(*v)) { CheckStatus::Passed } else { CheckStatus::Failed },
        &check.expect,
        saw.join(", "),
    )
}

fn comparison(expect: &str) -> Option<Box<dyn Fn(f64) -> bool>> {
    let expect = expect.trim();
    let operators = ["==", "!=", ">=", "<=", ">", "<"];
    let operator = operators.into_iter().find(|o| expect.starts_with(o))?;
    let bound: f64 = expect.strip_prefix(operator)?.trim().parse().ok()?;
    Some(match operator {
        "==" => Box::new(move |v| (v - bound).abs() < 1e-9),
        "!=" => Box::new(move |v| (v - bound).abs() >= 1e-9),
        ">=" => Box::new(move |v| v >= bound),
        "<=" => Box::new(move |v| v <= bound),
        ">" => Box::new(move |v| v > bound),
        _ => Box::new(move |v| v < bound),
    })
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
