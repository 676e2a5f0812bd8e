//! What the store could not take as it came is said, and is never the sender's gap.

use proctor_judge::Outcome;
use proctor_judge::summary::{CheckStatus, Level, Summary, TelemetryStatus};
use proctor_store::Signal;
use serde_json::{Value, json};

use crate::world::{World, check, exchange, finding, log, t, telemetry, worker};

fn request(world: &mut World, signal: Signal, agent: Option<&str>, body: impl Into<Value>) {
    world.requests.as_mut().unwrap().push((signal, agent.map(str::to_owned), body.into()));
}

/// Takes away what `agent` sent.
fn silence(world: &mut World, agent: &str) {
    world.requests.as_mut().unwrap().retain(|(_, address, _)| address.as_deref() != Some(agent));
}

fn status(summary: &Summary, agent: &str) -> (TelemetryStatus, String) {
    let agent = summary.agents.iter().find(|a| a.agent == agent).unwrap();
    (agent.telemetry.status, agent.telemetry.cause.clone().unwrap_or_default())
}

#[test]
fn requests_that_were_refused_are_said_with_sender_number_reason_and_the_first() {
    let mut world = World::passing();
    for _ in 0..16 {
        request(&mut world, Signal::Logs, Some(&worker("bob")), "nonsense");
    }
    request(&mut world, Signal::Metrics, None, "{");
    let summary = world.judged();
    let refused: Vec<_> = summary.findings.iter().filter(|f| f.id == "telemetry.refused").collect();
    assert_eq!(refused.len(), 2, "one for each sender");
    let bobs = refused.iter().find(|f| f.title.contains("bob/rust")).unwrap();
    assert!(bobs.title.starts_with("16 requests") && bobs.level == Level::Warning, "{}", bobs.title);
    assert!(bobs.saw.as_ref().unwrap().starts_with("16 of logs: malformed"), "{:?}", bobs.saw);
    assert!(bobs.details.iter().any(|d| d.label == "first" && d.text.contains("not an OTLP logs request")), "{:?}", bobs.details);
    assert_eq!(summary.intake.refused_requests, 17);
    let loss = summary.intake.losses.iter().find(|loss| loss.agent.is_some()).unwrap();
    assert_eq!((loss.kind.as_str(), loss.count, loss.signal.as_str()), ("refused", 16, "logs"));
    assert_eq!(summary.outcome, Outcome::Passed, "everything that was owed is there all the same");
}

#[test]
fn what_proctor_did_not_take_is_not_the_sender_s_gap() {
    let whole = |agent: &str| telemetry(agent).remove(0).2;
    let broken_record = |agent: &str| {
        let mut body = whole(agent);
        body["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0] = json!("no record");
        body
    };
    for (body, word) in
        [(json!("nonsense"), "1 request of logs refused"), (broken_record(&worker("bob")), "1 log record rejected")]
    {
        let mut world = World::passing();
        silence(&mut world, &worker("bob"));
        request(&mut world, Signal::Logs, Some(&worker("bob")), body);
        let summary = world.judged();
        let (status, cause) = status(&summary, &worker("bob"));
        assert_eq!(status, TelemetryStatus::Unknown, "{cause}");
        assert!(cause.contains("proctor did not take all that it sent") && cause.contains(word), "{cause}");
        assert_eq!(check(&summary, "telemetry").status, CheckStatus::Unknown);
        assert!(!format!("{:?}", summary.findings).contains("its program sent some records and not these"));
    }
    // Another agent's losses excuse nobody.
    let mut world = World::passing();
    silence(&mut world, &worker("bob"));
    request(&mut world, Signal::Logs, Some("mayor"), "nonsense");
    assert_eq!(status(&world.judged(), &worker("bob")).0, TelemetryStatus::Incomplete);
}

#[test]
fn records_that_were_repaired_or_rejected_are_said() {
    let mut world = World::passing();
    let records = [r#"{"body":{"stringValue":"a\ud800b"}}"#, "7", "null"];
    let body = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{}]}}]}}]}}"#, records.join(","));
    request(&mut world, Signal::Logs, Some("mayor"), body);
    request(&mut world, Signal::Traces, Some("mayor"), r#"{"resourceSpans":[{"scopeSpans":[{"spans":[7]}]}]}"#);
    let summary = world.judged();
    assert!(finding(&summary, "telemetry.repaired").title.starts_with("1 log record that came by mayor's address"));
    let rejected = finding(&summary, "telemetry.rejected");
    assert!(rejected.title.starts_with("3 records"), "{}", rejected.title);
    assert!(rejected.saw.as_ref().unwrap().contains("1 of traces: "), "{:?}", rejected.saw);
    assert_eq!((summary.intake.repaired, summary.intake.rejected), (1, 3));
}

#[test]
fn a_batch_that_came_twice_costs_once() {
    let cost = |times: usize| {
        let mut world = World::passing();
        let attributes = [
            ("session.id", json!({"stringValue": "s"})),
            ("event.sequence", json!({"intValue": "4"})),
            ("input_tokens", json!({"intValue": "100"})),
            ("cost_usd", json!({"doubleValue": 0.5})),
        ];
        let body = log("claude_code.api_request", 9, &attributes, &[("service.name", "claude-code"), ("gt.role", "mayor")]);
        for _ in 0..times {
            request(&mut world, Signal::Logs, Some("mayor"), body.clone());
        }
        world.exchanges.push(exchange(9, "mayor"));
        let summary = world.judged();
        (summary.totals.cost_usd, summary.totals.input_tokens, summary.intake.repeated, summary)
    };
    let (once, twice) = (cost(1), cost(2));
    assert_eq!((once.0, once.1, once.2), (twice.0, twice.1, 0));
    assert_eq!(twice.2, 1);
    let said = finding(&twice.3, "telemetry.repeated");
    assert_eq!(said.level, Level::Note);
    assert!(said.title.starts_with("1 log record") && said.saw.as_ref().unwrap().contains("counted once"), "{said:?}");
    assert_eq!(check(&twice.3, "telemetry").status, CheckStatus::Passed);
}

#[test]
fn a_record_from_tomorrow_moves_neither_now_nor_the_order_of_the_run() {
    let mut world = World::passing();
    let mut body = log("done", 9, &[], &[("service.name", "gastown")]);
    let tomorrow = t(86_400.0).timestamp_nanos_opt().unwrap().to_string();
    body["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["timeUnixNano"] = json!(tomorrow);
    request(&mut world, Signal::Logs, Some("mayor"), body);
    let plan = world.plan.as_mut().unwrap();
    let query = json!({"id": "recent", "title": "recent", "kind": "logsql", "query": "_time:10m sling | stats count() n", "expect": "== 2"});
    plan["checks"].as_array_mut().unwrap().push(query);
    let summary = world.judged();
    let recent = check(&summary, "recent");
    assert_eq!((recent.status, summary.intake.far_off), (CheckStatus::Passed, 1), "{recent:?}");
    let said = finding(&summary, "telemetry.far_off");
    assert!(
        said.title.contains("bears a time far outside the run") && said.evidence[0].at.contains("proctor.far_off:*"),
        "{said:?}"
    );
}

#[test]
fn a_sum_over_no_rows_counts_as_nothing_in_a_check() {
    let mut world = World::passing();
    let plan = world.plan.as_mut().unwrap();
    for (id, figure) in [("sum", "sum(n)"), ("least", "min(n)"), ("mean", "avg(n)")] {
        let query = format!("nothinghere | stats {figure}");
        let check = json!({"id": id, "title": id, "kind": "logsql", "query": query, "expect": "== 0"});
        plan["checks"].as_array_mut().unwrap().push(check);
    }
    let summary = world.judged();
    for id in ["sum", "least", "mean"] {
        assert_eq!(check(&summary, id).status, CheckStatus::Passed, "{:?}", check(&summary, id));
    }
}
