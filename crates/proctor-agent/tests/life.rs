//! The agent's life against a provider on a real socket: turns, commands, retries, ends, and what telemetry tells of them.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a test fails by panicking")]

mod provider;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, PipeWriter, Write};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use chrono::Utc;
use opentelemetry::KeyValue;
use opentelemetry::logs::AnyValue;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter, SdkLoggerProvider};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{SdkMeterProvider, Temporality};
use proctor_agent::{Config, Credential, ExitStatus, Retry, Stop, Surroundings, Telemetry, Terminal, default_system_prompt, run};
use provider::{Provider, bash, cut_message, error, message, text};
use serde_json::json;
use uuid::Uuid;

/// Writes are passed on whole, so that a test can wait for what is shown.
struct Shown(Sender<String>);

impl Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.send(String::from_utf8_lossy(bytes).into_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An event: its body and its attributes as text.
type Event = (String, BTreeMap<String, String>);

#[derive(Clone, Default)]
struct Recorded {
    events: Arc<Mutex<Vec<Event>>>,
    metrics: Arc<Mutex<BTreeMap<String, f64>>>,
}

impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorded")
    }
}

fn plain(value: &AnyValue) -> String {
    match value {
        AnyValue::String(text) => text.as_str().to_owned(),
        AnyValue::Int(number) => format!("int {number}"),
        AnyValue::Double(number) => format!("double {number}"),
        AnyValue::Boolean(flag) => format!("bool {flag}"),
        other => format!("{other:?}"),
    }
}

impl LogExporter for Recorded {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let mut events = self.events.lock().unwrap();
        for (record, scope) in batch.iter() {
            assert_eq!(scope.name(), "com.anthropic.claude_code.events");
            let attributes = record.attributes_iter().map(|(key, value)| (key.to_string(), plain(value))).collect();
            events.push((record.body().map(plain).unwrap_or_default(), attributes));
        }
        Ok(())
    }
}

impl PushMetricExporter for Recorded {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let mut totals = self.metrics.lock().unwrap();
        for metric in metrics.scope_metrics().flat_map(|scope| scope.metrics()) {
            let AggregatedMetrics::F64(MetricData::Sum(sum)) = metric.data() else { panic!("{} is no sum", metric.name()) };
            for point in sum.data_points() {
                let label = |key: &str| point.attributes().find(|kv| kv.key.as_str() == key).map(|kv| kv.value.to_string());
                assert!(label("session.id").is_some() && label("gt.role").is_some(), "{}", metric.name());
                let name = [Some(metric.name().to_owned()), label("type")].into_iter().flatten().collect::<Vec<_>>().join("/");
                *totals.entry(name).or_default() += point.value();
            }
        }
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Delta
    }
}

struct Running {
    provider: Provider,
    typed: Option<PipeWriter>,
    shown: Receiver<String>,
    screen: String,
    stop: Stop,
    recorded: Recorded,
    thread: JoinHandle<ExitStatus>,
    _directory: tempfile::TempDir,
}

/// Starts an agent with a beacon of `begin`; its role is a polecat's.
fn start(plan: Vec<provider::Reply>) -> Running {
    start_as("alice/polecats/furiosa", Terminal::Plain, plan)
}

fn start_as(role: &str, terminal: Terminal, plan: Vec<provider::Reply>) -> Running {
    let provider = Provider::start(plan);
    let directory = tempfile::tempdir().unwrap();
    let role = Some(role.to_owned());
    let config = Config {
        base_url: provider.base_url.clone(),
        credential: Credential::Token("proctor".to_owned()),
        model: "proctor-script-1".to_owned(),
        max_tokens: 4096,
        system: default_system_prompt(role.as_deref()),
        beacon: Some("begin".to_owned()),
        role,
        terminal,
        directory: directory.path().to_owned(),
        retry: Retry { tries: 3, first: Duration::from_millis(1), longest: Duration::from_millis(2) },
    };
    let (recorded, stop) = (Recorded::default(), Stop::new());
    let telemetry = Telemetry {
        logs: Some(SdkLoggerProvider::builder().with_simple_exporter(recorded.clone()).build()),
        metrics: Some(SdkMeterProvider::builder().with_periodic_exporter(recorded.clone()).build()),
        attributes: vec![KeyValue::new("gt.role", "alice/polecats/furiosa")],
        log_prompts: true,
        log_tool_details: true,
    };
    let surroundings = Surroundings { clock: Box::new(Utc::now), ids: Box::new(Uuid::new_v4) };
    let (reader, typed) = io::pipe().unwrap();
    let (sender, shown) = mpsc::channel();
    let asked_to_stop = stop.clone();
    let thread = thread::spawn(move || run(config, reader, Shown(sender), &asked_to_stop, surroundings, telemetry));
    Running { provider, typed: Some(typed), shown, screen: String::new(), stop, recorded, thread, _directory: directory }
}

impl Running {
    fn type_in(&mut self, text: &str) {
        self.typed.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Waits until the screen shows this after what was waited for before.
    fn wait_for(&mut self, part: &str) {
        while !self.screen.contains(part) {
            self.screen.push_str(&self.shown.recv().unwrap_or_else(|_| panic!("never shown: {part}\n{}", self.screen)));
        }
        let end = self.screen.find(part).unwrap() + part.len();
        self.screen.drain(..end);
    }

    fn end_input(mut self) -> (ExitStatus, Recorded) {
        self.typed = None;
        self.end()
    }

    fn end(self) -> (ExitStatus, Recorded) {
        (self.thread.join().unwrap(), self.recorded)
    }
}

fn names(recorded: &Recorded) -> Vec<String> {
    let events = recorded.events.lock().unwrap();
    events.iter().map(|(name, _)| name.trim_start_matches("claude_code.").to_owned()).collect()
}

#[test]
fn a_turn_alternates_requests_and_commands_until_the_model_is_done() {
    let mut agent =
        start(vec![message(&[text("I look."), bash("toolu_1", "echo hello; exit 2")]), message(&[text("All done.")])]);
    let first = agent.provider.asked.recv().unwrap();
    assert_eq!(first.path, "/a/mayor/v1/messages");
    assert!(first.headers.contains("authorization: bearer proctor") && first.headers.contains("anthropic-version: 2023-06-01"));
    assert_eq!(first.newest()[0]["text"], "begin");
    assert_eq!(first.body["tools"][0]["name"], "Bash");
    let second = agent.provider.asked.recv().unwrap();
    let result = &second.newest()[0];
    assert_eq!(result["tool_use_id"], "toolu_1");
    assert_eq!(result["content"], "hello\n\n[exit 2]");
    assert_eq!(result["is_error"], true);
    for part in ["» begin", "● I look.", "$ echo hello; exit 2", "│ hello", "● All done.", "❯ "] {
        agent.wait_for(part);
    }
    assert_eq!(agent.end_input().0, ExitStatus::Ended);
}

#[test]
fn telemetry_tells_of_prompts_requests_and_commands_as_claude_code_does() {
    let mut agent = start(vec![message(&[bash("toolu_1", "echo hello")]), message(&[text("Done.")])]);
    agent.wait_for("❯ ");
    let (_, recorded) = agent.end_input();
    assert_eq!(names(&recorded), ["user_prompt", "api_request", "tool_result", "api_request"]);
    let events = recorded.events.lock().unwrap();
    for (index, (name, attributes)) in events.iter().enumerate() {
        assert_eq!(attributes["gt.role"], "alice/polecats/furiosa", "{name}");
        assert_eq!(attributes["event.sequence"], format!("int {index}"));
        assert_eq!(attributes["prompt.id"], events[0].1["prompt.id"]);
        assert_eq!(attributes["session.id"], events[0].1["session.id"]);
    }
    assert_eq!(events[0].1["prompt"], "begin");
    let request = &events[1].1;
    let expected =
        [("model", "proctor-script-1"), ("input_tokens", "int 100"), ("output_tokens", "int 10"), ("cost_usd", "double 0")];
    for (key, value) in expected.into_iter().chain([("cache_read_tokens", "int 0"), ("request_id", "req_1")]) {
        assert_eq!(request[key], value, "{key}");
    }
    let result = &events[2].1;
    for (key, value) in [("tool_name", "Bash"), ("tool_use_id", "toolu_1"), ("success", "true"), ("tool_result_size_bytes", "6")]
    {
        assert_eq!(result[key], value, "{key}");
    }
    assert_eq!(result["tool_input"], json!({"command":"echo hello"}).to_string());
    let metrics = recorded.metrics.lock().unwrap();
    assert_eq!(metrics["claude_code.session.count"], 1.0);
    assert_eq!(metrics["claude_code.token.usage/input"], 200.0);
    assert_eq!(metrics["claude_code.token.usage/output"], 20.0);
    assert_eq!(metrics["claude_code.cost.usage"], 0.0);
    assert!(metrics.contains_key("claude_code.active_time.total/cli"));
}

#[test]
fn nudges_become_turns_of_the_same_conversation_whole_and_in_order() {
    let long = "a long nudge, é\n".repeat(1300);
    let mut agent = start(vec![message(&[text("one")]), message(&[text("two")]), message(&[text("three")])]);
    agent.type_in(&format!("{long}\rand another\r"));
    let asked: Vec<_> = (0..3).map(|_| agent.provider.asked.recv().unwrap()).collect();
    assert_eq!(asked[1].newest()[0]["text"].as_str().unwrap(), long.trim_end());
    assert_eq!(asked[2].newest()[0]["text"], "and another");
    assert_eq!(asked[2].body["messages"].as_array().unwrap().len(), 5, "three texts and two answers");
    assert_eq!(agent.end_input().0, ExitStatus::Ended);
}

#[test]
fn what_the_provider_cannot_answer_is_asked_again() {
    let done = || message(&[text("Done.")]);
    for trouble in [
        error(529, "overloaded_error", "busy"),
        error(429, "rate_limit_error", "slow down"),
        error(500, "api_error", "oops"),
        cut_message(&[text("Done.")]),
        Vec::new(),
    ] {
        let mut agent = start(vec![trouble.clone(), trouble, done()]);
        agent.wait_for("again in");
        agent.wait_for("● Done.");
        let (status, recorded) = agent.end_input();
        assert_eq!(status, ExitStatus::Ended);
        assert_eq!(names(&recorded), ["user_prompt", "api_request"], "a recovered failure leaves no event");
    }
}

#[test]
fn a_provider_that_never_answers_ends_the_agent() {
    let mut agent = start(vec![error(529, "overloaded_error", "busy"); 3]);
    agent.wait_for("API error after 3 tries: 529: busy");
    let (status, recorded) = agent.end();
    assert_eq!((status, status.code()), (ExitStatus::Provider, 3));
    assert_eq!(names(&recorded), ["user_prompt", "api_error"]);
    let events = recorded.events.lock().unwrap();
    for (key, value) in [("status_code", "int 529"), ("attempt", "int 3"), ("error", "busy"), ("request_id", "req_error")] {
        assert_eq!(events[1].1[key], value, "{key}");
    }
}

#[test]
fn in_a_pane_a_provider_that_never_answers_ends_polecats_alone() {
    let plan = || [vec![error(529, "overloaded_error", "busy"); 3], vec![message(&[text("Better.")])]].concat();
    let worker = start_as("alice/polecats/furiosa", Terminal::Pane, plan());
    assert_eq!(worker.end().0, ExitStatus::Provider);
    let mut refinery = start_as("alice/refinery", Terminal::Pane, plan());
    refinery.wait_for("❯ ");
    refinery.wait_for("API error after 3 tries");
    refinery.wait_for("❯ ");
    refinery.type_in("try again\x1b\r");
    refinery.wait_for("● Better.");
    assert_eq!(refinery.end_input().0, ExitStatus::Ended);
}

#[test]
fn a_refused_request_ends_the_turn_and_the_agent_waits_for_the_next() {
    let refusal = error(400, "invalid_request_error", "proctor: no script answer for x");
    let mut agent = start(vec![refusal, message(&[text("Better.")])]);
    agent.wait_for("API error: 400: proctor: no script answer for x");
    agent.wait_for("❯ ");
    agent.type_in("try this\r");
    agent.wait_for("● Better.");
    let (status, recorded) = agent.end_input();
    assert_eq!(status, ExitStatus::Ended);
    assert_eq!(names(&recorded), ["user_prompt", "api_error", "user_prompt", "api_request"]);
}

#[test]
fn a_polecat_ends_after_the_turn_in_which_its_work_was_handed_in() {
    let handing_in = "mkdir bin; printf 'exit 0' > bin/gt; chmod +x bin/gt; PATH=$PWD/bin:$PATH\ngt done";
    let mut agent = start(vec![message(&[bash("t", handing_in)]), message(&[text("Handed in.")])]);
    agent.wait_for("● Handed in.");
    assert_eq!(agent.end().0, ExitStatus::Ended, "though its input is still open");
}

#[test]
fn a_failed_hand_in_ends_nothing() {
    let handing_in = "mkdir bin; printf 'exit 1' > bin/gt; chmod +x bin/gt; PATH=$PWD/bin:$PATH\ngt done";
    let mut agent = start(vec![message(&[bash("t", handing_in)]), message(&[text("It failed.")])]);
    agent.wait_for("● It failed.");
    agent.wait_for("❯ ");
    assert_eq!(agent.end_input().0, ExitStatus::Ended);
}

#[test]
fn a_request_to_stop_ends_the_command_that_runs_and_flushes_what_was_told() {
    let mut agent = start(vec![message(&[bash("t", "sleep 600")])]);
    agent.wait_for("$ sleep 600");
    agent.stop.request();
    let (status, recorded) = agent.end();
    assert_eq!(status, ExitStatus::Ended);
    assert_eq!(names(&recorded), ["user_prompt", "api_request", "tool_result"]);
    assert_eq!(recorded.metrics.lock().unwrap()["claude_code.session.count"], 1.0);
}

#[test]
fn a_request_to_stop_ends_an_agent_whose_provider_hangs() {
    let agent = start(Vec::new());
    agent.provider.asked.recv().unwrap();
    agent.stop.request();
    assert_eq!(agent.end().0, ExitStatus::Ended);
}

#[test]
fn an_idle_agent_ends_when_it_is_asked_to() {
    let mut agent = start(vec![message(&[text("Done.")])]);
    agent.wait_for("❯ ");
    agent.stop.request();
    assert_eq!(agent.end().0, ExitStatus::Ended);
}

#[test]
fn a_tool_that_is_not_there_is_refused_to_the_model() {
    let call = json!({"type":"tool_use","id":"t","name":"Read","input":{}});
    let agent = start(vec![message(&[call]), message(&[text("Then not.")])]);
    agent.provider.asked.recv().unwrap();
    let second = agent.provider.asked.recv().unwrap();
    assert_eq!(second.newest()[0]["content"], "there is no tool `Read`; use `Bash`");
    assert_eq!(second.newest()[0]["is_error"], true);
    assert_eq!(agent.end_input().0, ExitStatus::Ended);
}
