//! A run's folder written by hand: a mayor and three workers, their records in a real store, one of each kind of trouble.

use std::fs;
use std::path::Path;

use chrono::{DateTime, Duration, Utc};
use proctor_store::{Options, Signal, Store};
use serde_json::{Value, json};

/// The workers: rig, name, issue, and when the mayor slings it, in seconds.
pub(crate) const WORKERS: [(&str, &str, &str, f64); 3] =
    [("alice", "furiosa", "al-k3x", 1.3), ("bob", "nux", "bo-tjb", 1.75), ("eve", "rust", "ev-41k", 2.2)];

/// What an agent could write to harm whoever looks at it.
pub(crate) const HOSTILE: &str =
    "<script>alert(1)</script><img src=x onerror=alert(2)>\u{1b}[2J\u{202e}txt.exe\u{200b}\u{9b}31m </pre></div>";

/// A moment of the run, `seconds` after its start.
pub(crate) fn at(seconds: f64) -> DateTime<Utc> {
    let start: DateTime<Utc> = DateTime::from_timestamp(1_795_342_502, 0).unwrap_or_default();
    #[allow(clippy::cast_possible_truncation, reason = "seconds of a short run")]
    let nanos = (seconds * 1e9) as i64;
    start + Duration::nanoseconds(nanos)
}

/// Writes the run into `dir`.
pub(crate) fn write(dir: &Path) {
    let mut town = Town::default();
    town.mayor();
    for (rig, name, issue, slung) in WORKERS {
        town.worker(rig, name, issue, slung);
    }
    town.trouble();
    town.save(dir);
}

#[derive(Default)]
struct Town {
    exchanges: Vec<Value>,
    sessions: Vec<Value>,
    mail: Vec<Value>,
    merges: Vec<Value>,
    logs: Vec<(String, Vec<Value>)>,
    /// Whole requests and answers: name below the gateway's folder, and content.
    bodies: Vec<(String, String)>,
}

impl Town {
    fn log(&mut self, agent: &str, time: f64, body: &str, attributes: Value) {
        let pairs = attributes.as_object().cloned().unwrap_or_default();
        let attributes: Vec<Value> =
            pairs.into_iter().map(|(key, value)| json!({ "key": key, "value": { "stringValue": text(&value) } })).collect();
        let severity = if body.ends_with("_error") { 17 } else { 9 };
        let nanos = at(time).timestamp_nanos_opt().unwrap_or_default().to_string();
        let record = json!({
            "timeUnixNano": nanos, "severityNumber": severity, "body": { "stringValue": body }, "attributes": attributes,
        });
        match self.logs.iter_mut().find(|(owner, _)| owner == agent) {
            Some((_, records)) => records.push(record),
            None => self.logs.push((agent.to_owned(), vec![record])),
        }
    }

    /// A call of the model, of which the gateway and the agent both tell.
    fn call(&mut self, agent: &str, start: f64, seconds: f64, asked: &str, answered: &str) {
        let n = self.exchanges.len() + 1;
        let input = 1800 + 340 * n as u64;
        let body = self.bodies(n, asked, answered);
        self.exchange(
            agent,
            start,
            seconds,
            json!({ "asked": asked, "answered": answered, "input_tokens": input, "output_tokens": 42 + n, "body": body }),
        );
        self.log(
            agent,
            start + seconds + 0.002,
            "claude_code.api_request",
            json!({ "model": "proctor-script-1", "input_tokens": input, "output_tokens": 42 + n, "duration_ms": (seconds + 0.004) * 1e3,
                    "cost_usd": input as f64 * 3e-6, "request_id": format!("req_{n}") }),
        );
    }

    /// What the gateway keeps of a call: every second answer came as a stream.
    fn bodies(&mut self, n: usize, asked: &str, answered: &str) -> String {
        let folder = format!("bodies/{n:06}");
        let request = json!({
            "model": "proctor-script-1", "system": "You live in a town.", "tools": [{ "name": "Bash" }],
            "messages": [
                { "role": "user", "content": "Begin." },
                { "role": "assistant", "content": [{ "type": "tool_use", "id": "t1", "name": "Bash", "input": { "command": "ls" } }] },
                { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "t1", "content": asked }] },
            ],
        });
        self.bodies.push((format!("{folder}/request.json"), request.to_string()));
        let (name, answer) = if n.is_multiple_of(2) {
            let events = [
                json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
                json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": answered } }),
                json!({ "type": "message_stop" }),
            ];
            ("answer.sse", events.iter().map(|event| format!("event: x\ndata: {event}\n\n")).collect())
        } else {
            let content = json!([{ "type": "text", "text": answered }]);
            ("answer.json", json!({ "role": "assistant", "content": content, "stop_reason": "end_turn" }).to_string())
        };
        self.bodies.push((format!("{folder}/{name}"), answer));
        folder
    }

    fn exchange(&mut self, agent: &str, start: f64, seconds: f64, more: Value) {
        let n = self.exchanges.len() + 1;
        let mut row = json!({
            "n": n, "agent": agent, "at": at(start), "duration_ms": seconds * 1e3, "request": "POST /v1/messages", "model": "proctor-script-1",
            "stream": true, "turn": n, "sha256": "0".repeat(64), "status": 200, "stop_reason": "tool_use", "matched": "mayor.toml turn 1 step 1",
            "miss": null, "fault": null, "input_tokens": 0, "output_tokens": 0, "asked": "", "answered": "", "body": null,
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            row[key] = value.clone();
        }
        self.exchanges.push(row);
    }

    fn tool(&mut self, agent: &str, start: f64, seconds: f64, command: &str) {
        let input = json!({ "command": command }).to_string();
        self.log(
            agent,
            start + seconds,
            "claude_code.tool_result",
            json!({ "tool_name": "Bash", "success": !command.contains("pytest"), "duration_ms": seconds * 1e3, "tool_input": input }),
        );
    }

    /// A call of the model that runs a command.
    fn step(&mut self, agent: &str, start: f64, seconds: f64, command: &str) {
        self.call(
            agent,
            start,
            0.09,
            "[the result of the step before]\n$ ls\nREADME.md\n",
            &format!("I run a command.\n{command}"),
        );
        self.tool(agent, start + 0.1, seconds, command);
    }

    fn session(&mut self, agent: &str, session: &str, from: f64, to: Option<f64>, issue: Option<&str>) {
        let role = if agent == "mayor" { "mayor" } else { "polecat" };
        let rig = agent.split_once('/').map(|(rig, _)| rig);
        self.sessions.push(json!({
            "session": session, "run_id": format!("run-{session}-{from}"), "agent": agent, "role": role, "rig": rig, "pid": 4242,
            "command": ["proctor-agent"], "started_at": at(from), "ended_at": to.map(at), "exit": to.map(|_| "exit 0"), "issue": issue,
            "branch": issue.map(|issue| format!("polecat/{issue}")),
        }));
    }

    fn mayor(&mut self) {
        self.session("mayor", "hq-mayor", 0.21, Some(6.4), None);
        self.log(
            "mayor",
            0.4,
            "claude_code.user_prompt",
            json!({ "prompt": "Write The Crypto Tales.\nThree rigs, three issues, one convoy." }),
        );
        self.step("mayor", 0.42, 0.12, "gt rig add alice file:///origins/alice.git && gt rig add bob file:///origins/bob.git");
        self.step("mayor", 0.66, 0.2, "bd create --title 'Alice: write chapter.md and alice.py' --json");
        self.log(
            "mayor",
            0.8,
            "bd.call",
            json!({ "subcommand": "create", "args": "create --title Alice", "duration_ms": 14, "status": "ok" }),
        );
        self.step("mayor", 0.98, 0.1, "gt convoy create 'The Crypto Tales' al-k3x bo-tjb ev-41k");
        for (index, (rig, name, issue, slung)) in WORKERS.into_iter().enumerate() {
            self.step("mayor", slung - 0.1, 0.16, &format!("gt sling {issue} {rig}"));
            self.log("mayor", slung + 0.15, "sling", json!({ "bead": issue, "target": rig, "status": "ok" }));
            self.letter(index, &format!("{rig}/{name}"), slung + 1.0);
        }
        self.log("mayor", 3.9, "nudge", json!({ "target": "eve/rust", "status": "ok" }));
        self.call("mayor", 5.9, 0.11, "convoy landed", "All three have landed. The tales are told.");
    }

    fn letter(&mut self, index: usize, to: &str, time: f64) {
        let subjects = ["Alice: a letter for Bob", "Bob: a letter is on its way", "Eve: something passes on the wire"];
        let id = format!("hq-wisp-{index}");
        self.step("mayor", time - 0.12, 0.06, &format!("gt mail send {to} -s '{}'", subjects[index]));
        self.log(
            "mayor",
            time,
            "mail",
            json!({ "operation": "send", "msg.id": id, "msg.from": "mayor", "msg.to": to, "msg.subject": subjects[index] }),
        );
        self.mail.push(json!({
            "id": id, "from": "mayor", "to": to, "subject": subjects[index], "body": "Meet me where the keys are kept.", "at": at(time), "read": true,
        }));
    }

    fn worker(&mut self, rig: &str, name: &str, issue: &str, slung: f64) {
        let agent = format!("{rig}/polecats/{name}");
        let session = format!("{}-{name}", &rig[..2]);
        let begun = slung + 0.11;
        self.session(&agent, &session, begun, Some(begun + 3.4), Some(issue));
        let prompt = format!("[GAS TOWN] {rig}/polecats/{name} <- mayor: {issue}");
        self.log(&agent, begun + 0.05, "claude_code.user_prompt", json!({ "prompt": prompt, "gt.session": session }));
        self.step(&agent, begun + 0.08, 0.07, "gt prime && gt hook --json");
        self.log(&agent, begun + 0.22, "prime", json!({ "role": agent, "hook_mode": "false", "status": "ok" }));
        self.step(&agent, begun + 0.3, 0.05, "cat > chapter.md <<'END'\nChapter one.\nEND");
        self.step(&agent, begun + 0.5, 0.62, &format!("python3 {rig}.py"));
        self.step(&agent, begun + 1.6, 0.11, "gt mail inbox --json && gt mail read");
        let index = WORKERS.iter().position(|worker| worker.0 == rig).unwrap_or_default();
        self.log(
            &agent,
            begun + 1.75,
            "mail",
            json!({ "operation": "read", "msg.id": format!("hq-wisp-{index}"), "msg.to": agent, "status": "ok" }),
        );
        self.step(&agent, begun + 1.95, 0.31, "git add -A && git commit -qm 'Write the chapter' && git push -q");
        self.step(&agent, begun + 2.5, 0.4, "gt done");
        self.log(&agent, begun + 2.95, "done", json!({ "exit_type": "COMPLETED", "status": "ok" }));
        self.call(&agent, begun + 3.1, 0.12, "done", "My work is in the queue.");
        self.merges.push(json!({
            "id": format!("mr-{issue}"), "issue": issue, "rig": rig, "branch": format!("polecat/{name}/{issue}"), "target": "main", "worker": agent,
            "commit": "3f2a1c9".repeat(5), "status": "merged", "merge_commit": "9be01d4".repeat(5), "created_at": at(begun + 2.93),
            "closed_at": at(begun + 3.3), "reason": null,
        }));
    }

    /// A failed command, an overloaded provider, a record of nobody, one that claims to be another's, markup in texts.
    fn trouble(&mut self) {
        let eve = "eve/polecats/rust";
        self.log(eve, 3.93, "claude_code.user_prompt", json!({ "prompt": "How is it going, Eve?" }));
        self.exchange(
            eve,
            3.55,
            0.03,
            json!({ "status": 529, "fault": "overloaded", "matched": null, "stop_reason": null, "asked": "How is it going?" }),
        );
        self.log(
            eve,
            3.582,
            "claude_code.api_error",
            json!({ "error": "overloaded_error", "status_code": 529, "duration_ms": 33 }),
        );
        self.tool(eve, 4.1, 0.15, "python3 -m pytest -q");
        self.log(eve, 4.4, "sling", json!({ "bead": "bo-tjb", "target": "bob", "gt.role": "bob/polecats/nux" }));
        self.log(
            "",
            5.2,
            "claude_code.api_request",
            json!({ "model": "someone-else", "cost_usd": 0.0123, "duration_ms": 80, "output_tokens": 4 }),
        );
        self.call("eve/polecats/rust", 4.6, 0.05, HOSTILE, "\u{1b}]0;owned\u{7}I obey.");
        // What a journal that was tampered with could name.
        self.exchange("eve/polecats/rust", 4.7, 0.01, json!({ "body": "../../.." }));
        self.log(
            "alice/polecats/furiosa",
            2.9,
            "claude_code.tool_decision",
            json!({ "tool_name": "<b>Bash</b>", "decision": "<script>alert(1)</script>" }),
        );
    }

    fn save(&self, dir: &Path) {
        let evidence = dir.join("evidence");
        lines(&evidence, "gateway/exchanges.ndjson", &self.exchanges);
        self.bodies.iter().for_each(|(name, text)| put(&evidence.join("gateway"), name, text));
        lines(&evidence, "town/sessions.ndjson", &self.sessions);
        lines(&evidence, "town/mail.ndjson", &self.mail);
        lines(&evidence, "town/merge_requests.ndjson", &self.merges);
        lines(&evidence, "signs.ndjson", &signs());
        put(&evidence, "run.json", &run().to_string());
        put(
            dir,
            "summary.json",
            &json!({ "outcome": "failed", "headline": "Everything landed; one check does not hold." }).to_string(),
        );
        put(dir, "report.html", "<!doctype html><title>report</title><p>report");
        self.ingest(&evidence.join("telemetry"));
    }

    fn ingest(&self, folder: &Path) {
        let store = Store::create(folder, Options::default()).expect("an empty folder takes a store");
        for (agent, records) in &self.logs {
            let resource = json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": "claude-code" } }] });
            let body = json!({ "resourceLogs": [{ "resource": resource, "scopeLogs": [{ "logRecords": records }] }] });
            let address = (!agent.is_empty()).then_some(agent.as_str());
            let taken = store.ingest(Signal::Logs, body.to_string().as_bytes(), Some("application/json"), None, address, at(7.0));
            taken.expect("the store takes OTLP as JSON");
        }
        store.seal().expect("the store seals");
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn signs() -> Vec<Value> {
    let sign = |clause: &str, value: bool, now: &str, from: f64, to: f64, source: &str| json!({ "clause": clause, "value": value, "now": now, "first_seen": at(from), "last_seen": at(to), "source": source, "detail": "" });
    let clauses = [
        ("issues_closed", 5.62, "3/3", "bead store"),
        ("merged", 5.61, "3/3", "git"),
        ("pushed", 5.61, "3/3", "git"),
        ("no_worker_busy", 5.72, "yes", "sessions"),
        ("convoy_closed", 5.66, "yes", "bead store"),
    ];
    let rows = clauses.into_iter().flat_map(|(clause, since, now, source)| {
        [sign(clause, false, "no", 0.5, since - 0.01, source), sign(clause, true, now, since, 5.9, source)]
    });
    rows.collect()
}

fn run() -> Value {
    let phases = [
        ("reset telemetry", 0.0, 0.02, "fresh store"),
        ("reset town", 0.02, 0.15, "fresh town, seed 42"),
        ("start telemetry", 0.15, 0.2, "otlp :40213"),
        ("start town", 0.2, 0.36, "mayor listens"),
        ("inject prompt", 0.36, 0.43, "2.9 kB, received"),
        ("wait for landing", 0.43, 5.73, "closed 3/3 · merged 3/3 · pushed 3/3 · convoy closed"),
        ("collect", 5.73, 8.4, "4 agents complete · 61 exercises"),
    ];
    let phase = |(index, (name, from, to, detail)): (usize, (&str, f64, f64, &str))| json!({ "number": index + 1, "name": name, "started_at": at(from), "ended_at": at(to), "ok": true, "detail": detail, "facts": [] });
    let phases: Vec<Value> = phases.into_iter().enumerate().map(phase).collect();
    json!({
        "schema": 1, "id": "7k3f", "run_id": "7k3f-test", "scenario": "crypto-tales", "title": "The Crypto Tales", "town": "builtin",
        "models": "script", "seed": 42, "command": "proctor run crypto-tales --seed 42", "started_at": at(0.0), "ended_at": at(8.4),
        "phases": phases, "stopped": null,
        "delivery": { "bytes": 2900, "sent_at": at(0.37), "received_at": at(0.42), "proof": "user_prompt event" },
        "leftovers": [], "versions": {}, "notes": {},
    })
}

fn lines(evidence: &Path, name: &str, rows: &[Value]) {
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    put(evidence, name, &text);
}

fn put(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("a file has a folder")).expect("the folder can be made");
    fs::write(path, text).expect("the file can be written");
}
