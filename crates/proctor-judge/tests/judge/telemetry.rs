//! Tokens, cost and completeness per agent, and the seed's queries over a store that real OTLP requests went into.

use proctor_judge::Outcome;
use proctor_judge::evidence::FaultRow;
use proctor_judge::summary::{CheckStatus, Level, Summary, TelemetryStatus, UsageSource};
use proctor_store::Signal;
use serde_json::json;

use crate::world::{World, check, exchange, finding, log, t, worker};

fn agent<'a>(summary: &'a Summary, name: &str) -> &'a proctor_judge::summary::AgentSummary {
    summary.agents.iter().find(|a| a.agent == name).unwrap()
}

#[test]
fn tokens_and_cost_are_joined_by_the_address_records_came_by() {
    let summary = World::passing().judged();
    let names: Vec<&str> = summary.agents.iter().map(|a| a.agent.as_str()).collect();
    assert_eq!(names, ["mayor", "alice/polecats/furiosa", "bob/polecats/rust"]);
    let bob = agent(&summary, &worker("bob"));
    assert_eq!((bob.input_tokens, bob.output_tokens, bob.cache_read_tokens, bob.model_calls), (1200, 80, 10, 1));
    assert_eq!((bob.cost_usd, bob.usage_from), (0.1, UsageSource::Telemetry));
    assert_eq!(bob.telemetry.status, TelemetryStatus::Complete);
    assert_eq!((summary.totals.input_tokens, summary.totals.cost_usd), (3600, 0.3));
    assert_eq!(bob.time.model_s, 0.012);
}

/// Takes away what `agent` sent.
fn silence(world: &mut World, agent: &str) {
    world.requests.as_mut().unwrap().retain(|(_, address, _)| address.as_deref() != Some(agent));
}

#[test]
fn an_agent_without_telemetry_is_named_with_the_cause_and_the_gateway_s_figures() {
    let mut world = World::passing();
    silence(&mut world, &worker("bob"));
    let fault = |agent: &str| FaultRow {
        name: "no telemetry".into(),
        what: format!("{agent} gets no telemetry addresses"),
        fired_at: Some(t(3.0)),
        ..FaultRow::default()
    };
    world.faults = vec![fault("polecat:bob")];
    let summary = world.judged();
    assert_eq!(summary.outcome, Outcome::Failed);
    let bob = agent(&summary, &worker("bob"));
    assert_eq!(bob.telemetry.status, TelemetryStatus::Incomplete);
    assert_eq!((bob.usage_from, bob.input_tokens), (UsageSource::Gateway, 1200));
    let saw = &finding(&summary, "telemetry").saw.clone().unwrap();
    assert!(saw.contains("bob/rust") && saw.contains("no event claude_code.api_request"), "{saw}");
    assert!(saw.contains("planned fault `no telemetry`"), "{saw}");
    let problems = summary.findings.iter().filter(|f| f.level == Level::Problem).count();
    assert_eq!(problems, 1, "one cause, one problem");
}

#[test]
fn a_model_call_without_its_event_is_a_gap() {
    let mut world = World::passing();
    world.exchanges.push(exchange(9, "mayor"));
    let summary = world.judged();
    let missing = &agent(&summary, "mayor").telemetry.missing;
    assert_eq!(missing.as_slice(), ["1 claude_code.api_request events, and the gateway answered 2 model calls"]);
}

#[test]
fn counting_tokens_is_no_model_call() {
    let mut world = World::passing();
    let mut counting = exchange(9, "mayor");
    counting.request = "POST /v1/messages/count_tokens".into();
    world.exchanges.push(counting);
    assert_eq!(check(&world.judged(), "telemetry").status, CheckStatus::Passed);
}

#[test]
fn a_program_that_owes_nothing_is_complete_without_a_record() {
    let mut world = World::passing();
    silence(&mut world, &worker("bob"));
    world.exchanges.retain(|e| e.agent != worker("bob"));
    world.agents.as_mut().unwrap().iter_mut().filter(|a| a.agent == worker("bob")).for_each(|a| a.telemetry = "none".into());
    let summary = world.judged();
    assert_eq!(agent(&summary, &worker("bob")).telemetry.status, TelemetryStatus::NotExpected);
    assert_eq!(summary.outcome, Outcome::Passed, "{:?}", summary.findings);
}

#[test]
fn an_error_fails_the_check_unless_it_is_expected() {
    let error = |body: &str| log(body, 17, &[("error", json!({"stringValue": "no such bead"}))], &[("service.name", "gastown")]);
    let mut world = World::passing();
    world.requests.as_mut().unwrap().push((Signal::Logs, None, error("bd.call")));
    let summary = world.judged();
    assert_eq!(summary.outcome, Outcome::Passed);
    assert_eq!(finding(&summary, "errors.logs").level, Level::Note);

    world.requests.as_mut().unwrap().push((Signal::Logs, None, error("sling")));
    let summary = world.judged();
    assert_eq!(summary.totals.errors, 2);
    let saw = &check(&summary, "no_errors").saw;
    assert!(saw.starts_with("1 record") && saw.contains("sling") && saw.contains("no such bead"), "{saw}");
    assert_eq!(check(&summary, "no_errors").status, CheckStatus::Failed);
}

#[test]
fn an_agent_that_reads_too_much_is_named() {
    let mut world = World::passing();
    let attributes = [("input_tokens", json!({"intValue": "250000"}))];
    let identity = [("service.name", "claude-code"), ("gt.role", "mayor")];
    world.requests.as_mut().unwrap().push((
        Signal::Logs,
        Some("mayor".into()),
        log("claude_code.api_request", 9, &attributes, &identity),
    ));
    world.exchanges.push(exchange(9, "mayor"));
    let summary = world.judged();
    let named = finding(&summary, "tokens.high");
    assert!(named.title.starts_with("mayor read 251\u{a0}210 input tokens"), "{}", named.title);
    assert_eq!(named.level, Level::Warning);
}

#[test]
fn the_seed_s_queries_are_answered_or_say_which_query_has_the_figure() {
    let summary = World::passing().judged();
    let answer = |query: &str| summary.queries.iter().find(|q| q.query == query).unwrap_or_else(|| panic!("no {query}"));
    assert_eq!(answer("gastown_polecat_spawns_total").answer[0].value, "2");
    assert_eq!(answer("sum by (subcommand)(gastown_bd_calls_total)").answer[0].value, "7");
    assert_eq!(answer("service_name:gastown").count, Some(3));
    assert_eq!(answer("service_name:gastown AND \"polecat.spawn\"").count, Some(1));
    assert_eq!(answer("service_name:gastown AND level:error").count, Some(0));
    assert_eq!(answer("service.name:claude-code AND gt.role:*").count, Some(3));
    assert_eq!(answer("\"claude_code.api_request\"").count, Some(3));
    let input = answer("sum by (model)(bd_ai_input_tokens_total)");
    assert_eq!(input.count, Some(0));
    assert!(input.why_empty.as_ref().unwrap().contains("bd_ai_"));
    let instead = input.instead.as_ref().unwrap();
    assert_eq!((instead.answer[0].label.as_str(), instead.answer[0].value.as_str()), ("model=\"proctor-script-1\"", "3600"));
    let latency = answer("histogram_quantile(0.95, bd_ai_request_duration_ms_bucket)").instead.as_ref().unwrap();
    assert_eq!(latency.answer[0].value, "12");
    let unanswered: Vec<&str> = summary.queries.iter().filter(|q| q.count.is_none()).map(|q| q.query.as_str()).collect();
    assert_eq!(unanswered, Vec::<&str>::new());
}

/// A town whose rigs have a refinery and a witness besides, each with a session, a model call and telemetry of its own.
fn with_standing_agents() -> World {
    let mut world = World::passing();
    for rig in crate::world::RIGS {
        for role in ["refinery", "witness"] {
            let agent = format!("{rig}/{role}");
            let mut row = crate::world::agent(&agent);
            (row.role, row.issue) = (role.into(), None);
            world.agents.as_mut().unwrap().push(row);
            let mut session = crate::world::session(&agent);
            (session.role, session.issue, session.branch) = (role.into(), None, None);
            world.sessions.as_mut().unwrap().push(session);
            let n = world.exchanges.len() as u64 + 1;
            world.exchanges.push(exchange(n, &agent));
            world.requests.as_mut().unwrap().extend(crate::world::telemetry(&agent));
        }
    }
    world
}

#[test]
fn agents_of_every_role_are_counted_each_for_itself() {
    let summary = with_standing_agents().judged();
    let agents: Vec<(&str, &str, u64)> =
        summary.agents.iter().map(|a| (a.agent.as_str(), a.role.as_str(), a.model_calls)).collect();
    let expected = [
        ("mayor", "mayor", 1),
        ("alice/polecats/furiosa", "polecat", 1),
        ("alice/refinery", "refinery", 1),
        ("alice/witness", "witness", 1),
        ("bob/polecats/rust", "polecat", 1),
        ("bob/refinery", "refinery", 1),
        ("bob/witness", "witness", 1),
    ];
    assert_eq!(agents, expected);
    assert!(summary.agents.iter().all(|a| a.telemetry.status == TelemetryStatus::Complete), "{:?}", summary.agents);
    let check = |id: &str| summary.checks.iter().find(|c| c.id == id).unwrap();
    assert_eq!(check("workers").status, CheckStatus::Passed, "a refinery is no worker: {}", check("workers").saw);
    assert_eq!((summary.outcome, summary.totals.contradicted), (Outcome::Passed, 0));
}

#[test]
fn what_an_agent_says_of_another_s_start_contradicts_nobody() {
    let mut world = with_standing_agents();
    // gt sling runs in the mayor's terminal: address and resource are the mayor's, and the record speaks of the polecat.
    let about = [("session_id", "s-bob-polecats-rust"), ("role", "polecat"), ("rig", "bob"), ("agent_name", "rust")];
    let about: Vec<(&str, serde_json::Value)> = about.iter().map(|(k, v)| (*k, json!({"stringValue": v}))).collect();
    let resource = [("service.name", "gastown"), ("gt.role", "mayor"), ("gt.actor", "mayor")];
    let record = crate::world::log("agent.instantiate", 9, &about, &resource);
    world.requests.as_mut().unwrap().push((Signal::Logs, Some("mayor".into()), record));
    let summary = world.judged();
    assert_eq!(summary.totals.contradicted, 0);
    assert!(!summary.findings.iter().any(|f| f.id == "identity.contradicted"));
}

#[test]
fn agents_that_lack_the_same_are_named_together() {
    let mut world = with_standing_agents();
    for rig in crate::world::RIGS {
        silence(&mut world, &format!("{rig}/witness"));
    }
    let summary = world.judged();
    let saw = &check(&summary, "telemetry").saw;
    assert!(saw.starts_with("alice/witness, bob/witness: no event ") && saw.matches("no event").count() == 1, "{saw}");
}
