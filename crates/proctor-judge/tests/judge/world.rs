//! Builds the evidence of a run on disk: a passing run of two rigs, which each test then bends in one place.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use chrono::{TimeZone, Utc};
use proctor_judge::evidence::*;
use proctor_judge::summary::{CheckSummary, Finding, Summary};
use proctor_judge::{Options, judge};
use proctor_store::{Signal, Store};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// `s` seconds after the run began.
pub(crate) fn t(s: f64) -> Time {
    let start = Utc.with_ymd_and_hms(2026, 11, 22, 10, 15, 2).unwrap();
    start + chrono::Duration::microseconds((s * 1e6) as i64)
}

/// One OTLP request: signal, the agent whose address it comes by, body; a text is a body as it is.
pub(crate) type Request = (Signal, Option<String>, Value);

/// Everything below `evidence/`; a field that is `None` is a file that is not written.
pub(crate) struct World {
    pub(crate) record: RunRecord,
    pub(crate) plan: Option<Value>,
    pub(crate) signs: Vec<Sign>,
    pub(crate) faults: Vec<FaultRow>,
    pub(crate) beads: Option<Vec<Bead>>,
    pub(crate) convoys: Option<Vec<Convoy>>,
    pub(crate) mail: Option<Vec<Mail>>,
    pub(crate) merges: Option<Vec<MergeRequest>>,
    pub(crate) agents: Option<Vec<AgentRow>>,
    pub(crate) sessions: Option<Vec<Session>>,
    pub(crate) rigs: Option<Vec<RigGit>>,
    pub(crate) pushes: Option<Vec<Push>>,
    pub(crate) deliveries: Option<Vec<Delivery>>,
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) exercises: Vec<ExerciseRecord>,
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) requests: Option<Vec<Request>>,
}

/// The sum of a file that is taken when it is written.
const UNSUMMED: &str = "sum";

pub(crate) const RIGS: [&str; 2] = ["alice", "bob"];

pub(crate) fn worker(rig: &str) -> String {
    format!("{rig}/polecats/{}", if rig == "alice" { "furiosa" } else { "rust" })
}

impl World {
    /// Two issues, two workers, all landed, every check holds.
    pub(crate) fn passing() -> Self {
        let workers: Vec<String> = RIGS.iter().map(|r| worker(r)).collect();
        let everyone: Vec<String> = ["mayor".to_owned()].into_iter().chain(workers).collect();
        Self {
            record: record(),
            plan: Some(plan()),
            signs: signs(),
            faults: Vec::new(),
            beads: Some(RIGS.iter().map(|r| bead(r)).collect()),
            convoys: Some(vec![Convoy {
                id: "hq-cv-1".into(),
                title: "The Tales".into(),
                status: "closed".into(),
                tracked: RIGS.iter().map(|r| issue(r)).collect(),
                created_at: t(1.0),
                closed_at: Some(t(4.2)),
            }]),
            mail: Some(RIGS.iter().map(|r| mail(r)).collect()),
            merges: Some(RIGS.iter().map(|r| merge(r)).collect()),
            agents: Some(everyone.iter().map(|a| agent(a)).collect()),
            sessions: Some(everyone.iter().map(|a| session(a)).collect()),
            rigs: Some(RIGS.iter().map(|r| rig_git(r)).collect()),
            pushes: None,
            deliveries: Some(RIGS.iter().map(|r| delivery(r)).collect()),
            exchanges: everyone.iter().enumerate().map(|(n, a)| exchange(n as u64 + 1, a)).collect(),
            exercises: vec![exercise()],
            files: BTreeMap::from([
                ("git/alice/tree/chapter.md".to_owned(), "Ein Geheimnis für Bob. ".repeat(20)),
                ("git/bob/tree/chapter.md".to_owned(), "Письмо от Алисы. ".repeat(20)),
                ("git/bob/tree/bob.py".to_owned(), "print('hello')\n".to_owned()),
            ]),
            requests: Some(everyone.iter().flat_map(|a| telemetry(a)).chain(gastown()).collect()),
        }
    }

    /// Writes the evidence and gives the run's folder.
    pub(crate) fn write(&self) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        self.write_into(dir.path());
        dir
    }

    pub(crate) fn write_into(&self, dir: &Path) {
        let evidence = dir.join("evidence");
        let put = |name: &str, text: String| {
            let path = evidence.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put(path::RUN, serde_json::to_string_pretty(&self.record).unwrap());
        self.plan.iter().for_each(|p| put(path::PLAN, p.to_string()));
        put(path::SIGNS, lines(&self.signs));
        put(path::FAULTS, lines(&self.faults));
        put(path::EXCHANGES, lines(&self.exchanges));
        self.beads.iter().for_each(|r| put(path::BEADS, lines(r)));
        self.convoys.iter().for_each(|r| put(path::CONVOYS, lines(r)));
        self.mail.iter().for_each(|r| put(path::MAIL, lines(r)));
        self.merges.iter().for_each(|r| put(path::MERGE_REQUESTS, lines(r)));
        self.agents.iter().for_each(|r| put(path::AGENTS, lines(r)));
        self.sessions.iter().for_each(|r| put(path::SESSIONS, lines(r)));
        self.rigs.iter().for_each(|r| put(path::GIT_RIGS, lines(&self.summed(r))));
        self.pushes.iter().for_each(|r| put(path::PUSHES, lines(r)));
        self.deliveries.iter().for_each(|r| put(path::DELIVERIES, lines(r)));
        for record in &self.exercises {
            put(&format!("exercise/{}/record.json", record.name), serde_json::to_string(record).unwrap());
        }
        self.files.iter().for_each(|(name, text)| put(name, text.clone()));
        if let Some(requests) = &self.requests {
            let store = Store::create(&evidence.join(path::TELEMETRY), proctor_store::Options::default()).unwrap();
            for (n, (signal, agent, body)) in requests.iter().enumerate() {
                // A text stands for a body as it is, which may be none that can be read.
                let body = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
                let at = t(3.0 + n as f64 / 1000.0);
                let _ = store.ingest(*signal, body.as_bytes(), Some("application/json"), None, agent.as_deref(), at);
            }
        }
    }

    /// The rigs with the sums of their files, where these are not given.
    fn summed(&self, rigs: &[RigGit]) -> Vec<RigGit> {
        let mut rigs = rigs.to_vec();
        for git in &mut rigs {
            for file in git.files.iter_mut().filter(|file| file.sha256 == UNSUMMED) {
                let text = self.files.get(&format!("git/{}/tree/{}", git.rig, file.path));
                let sum = Sha256::digest(text.map_or("", String::as_str));
                file.sha256 = sum.iter().map(|byte| format!("{byte:02x}")).collect();
            }
        }
        rigs
    }

    /// Judged by its own plan.
    pub(crate) fn judged(&self) -> Summary {
        let dir = self.write();
        judge(dir.path(), &Options::default()).unwrap().summary
    }

    /// Something was pushed to a served origin, six seconds after the run began.
    pub(crate) fn push(&mut self, agent: &str, rig: &str, refname: &str, kind: PushKind) -> &mut Push {
        let (from, to) = (Some("a".repeat(40)), Some("b".repeat(40)));
        let (agent, rig, refname, address) = (agent.into(), rig.into(), refname.into(), "127.0.0.1:1".into());
        let push = Push { at: t(6.0), agent, rig, refname, from, to, kind, refused: None, address, sender: None };
        let pushes = self.pushes.get_or_insert_default();
        pushes.push(push);
        pushes.last_mut().unwrap()
    }

    pub(crate) fn bead(&mut self, rig: &str) -> &mut Bead {
        self.beads.as_mut().unwrap().iter_mut().find(|b| b.rig.as_deref() == Some(rig)).unwrap()
    }

    pub(crate) fn delivery(&mut self, rig: &str) -> &mut Delivery {
        self.deliveries.as_mut().unwrap().iter_mut().find(|d| d.rig == rig).unwrap()
    }

    pub(crate) fn session(&mut self, rig: &str) -> &mut Session {
        self.sessions.as_mut().unwrap().iter_mut().find(|s| s.rig.as_deref() == Some(rig)).unwrap()
    }

    pub(crate) fn git(&mut self, rig: &str) -> &mut RigGit {
        self.rigs.as_mut().unwrap().iter_mut().find(|r| r.rig == rig).unwrap()
    }

    pub(crate) fn step(&mut self, name: &str) -> &mut StepRecord {
        self.exercises[0].steps.iter_mut().find(|s| s.name == name).unwrap()
    }

    /// Bob's issue is open and unmerged when the deadline passes: the ground for causes of not landing.
    pub(crate) fn bob_unfinished() -> Self {
        let mut world = Self::passing();
        world.record.stopped = Some(Stopped {
            kind: StopKind::Timeout,
            phase: 6,
            message: "the convoy did not land within 30 s".into(),
            hint: None,
        });
        for (clause, now) in [("issues_closed", "1/2"), ("merged", "1/2"), ("pushed", "1/2"), ("convoy_closed", "no")] {
            let sign = world.signs.iter_mut().rfind(|s| s.clause == clause).unwrap();
            (sign.value, sign.now) = (false, now.into());
        }
        let bead = world.bead("bob");
        (bead.status, bead.closed_at, bead.closed_by) = ("hooked".into(), None, None);
        let delivery = world.delivery("bob");
        (delivery.merged, delivery.merged_as, delivery.own_commits, delivery.submitted) = (false, None, 0, None);
        world.merges.as_mut().unwrap().retain(|m| m.rig != "bob");
        let git = world.git("bob");
        git.commits.retain(|c| c.author == "mayor");
        let session = world.session("bob");
        (session.exit, session.ended_at) = (Some("stopped by gt down".into()), Some(t(6.5)));
        world
    }
}

fn lines<T: serde::Serialize>(rows: &[T]) -> String {
    rows.iter().map(|r| serde_json::to_string(r).unwrap() + "\n").collect()
}

fn record() -> RunRecord {
    let names =
        ["reset telemetry", "reset town", "start telemetry", "start town", "inject prompt", "wait for landing", "collect"];
    let phase = |(n, name): (usize, &&str)| Phase {
        number: n as u8 + 1,
        name: (*name).into(),
        started_at: t(n as f64),
        ended_at: Some(t(n as f64 + 1.0)),
        ok: true,
        detail: format!("detail of {name}"),
        facts: vec![("port".into(), "40211".into())],
    };
    RunRecord {
        schema: SCHEMA_VERSION,
        id: "7k3f".into(),
        run_id: "run-1".into(),
        scenario: "tales".into(),
        title: "The Tales".into(),
        town: "builtin".into(),
        models: "script".into(),
        seed: 42,
        command: "proctor run tales --seed 42".into(),
        started_at: t(0.0),
        ended_at: Some(t(7.0)),
        phases: names.iter().enumerate().map(phase).collect(),
        stopped: None,
        delivery: Some(Receipt {
            bytes: 2900,
            sent_at: t(4.1),
            received_at: Some(t(4.2)),
            proof: Some("mayor's model request 2".into()),
            whole: Some(true),
        }),
        leftovers: Vec::new(),
        fence: None,
        losses: Vec::new(),
        signals: Vec::new(),
        versions: BTreeMap::from([("git".into(), "2.39.5".into())]),
        notes: BTreeMap::new(),
        seals: false,
    }
}

fn plan() -> Value {
    json!({
        "schema": 1, "scenario": "tales", "title": "The Tales", "rigs": RIGS, "convoy": "The Tales", "landing_timeout_s": 30.0,
        "landed": ["issues_closed", "merged", "pushed", "no_worker_busy", "convoy_closed"],
        "exercises": [{"name": "bob.signature", "title": "one bit of message.sig is flipped"}],
        "telemetry": {
            "builtin": {"events": ["claude_code.api_request"], "metrics": ["claude_code.token.usage"], "api_requests_match_gateway": true},
            "none": {}
        },
        "high_input_tokens": 5000,
        "checks": [
            {"id": "files.alice", "title": "Alice's chapter is there", "kind": "file", "rig": "alice", "path": "chapter.md", "min_letters": 200, "matches": ["(?i)geheimnis"]},
            {"id": "files.bob", "title": "Bob's chapter is there", "kind": "file", "rig": "bob", "path": "chapter.md", "min_letters": 200},
            {"id": "exercise.bob.refuses", "title": "bob.py refuses a forged message", "kind": "exercise", "exercise": "bob.signature",
             "step": "bob", "exit": "nonzero", "output_lacks": "${text}", "not_opened": ["eve_*.pem"], "opened": ["message.enc"]},
            {"id": "mail.bob", "title": "the mayor wrote to Bob", "kind": "mail", "from": "mayor", "to_holder_of": "bob", "subject": "Bob: a letter"},
            {"id": "workers", "title": "two workers", "kind": "workers", "role": "polecat", "count": 2, "rigs": 2},
            {"id": "end_state", "title": "the end state is consistent", "kind": "end_state"},
            {"id": "own_repository", "title": "everybody at home", "kind": "own_repository"},
            {"id": "no_errors", "title": "no errors", "kind": "no_errors", "except": ["_msg:=\"bd.call\""]},
            {"id": "telemetry", "title": "telemetry is complete", "kind": "telemetry"},
            {"id": "slings", "title": "two slings", "kind": "logsql", "query": "_msg:=\"sling\" | stats count() as n", "expect": "== 2"},
            {"id": "spawns", "title": "two spawns", "kind": "promql", "query": "sum(gastown_polecat_spawns_total)", "expect": ">= 2"},
            {"id": "budget", "title": "cheap", "kind": "budget", "of": "input_tokens", "at_most": 10000}
        ]
    })
}

/// Each clause is seen false first, then true.
fn signs() -> Vec<Sign> {
    let sign = |clause: &str, value, from, to| Sign {
        clause: clause.into(),
        value,
        now: if value { "2/2" } else { "0/2" }.into(),
        first_seen: t(from),
        last_seen: t(to),
        source: if clause == "merged" || clause == "pushed" { "git" } else { "bead store" }.into(),
        detail: String::new(),
    };
    ["issues_closed", "merged", "pushed", "no_worker_busy", "convoy_closed"]
        .iter()
        .flat_map(|c| [sign(c, false, 5.0, 5.5), sign(c, true, 5.6, 6.0)])
        .collect()
}

pub(crate) fn issue(rig: &str) -> String {
    format!("{}-1", &rig[..2])
}

fn bead(rig: &str) -> Bead {
    Bead {
        id: issue(rig),
        title: format!("{rig}: write chapter.md"),
        kind: "task".into(),
        status: "closed".into(),
        priority: 2,
        assignee: Some(worker(rig)),
        rig: Some(rig.into()),
        created_by: "mayor".into(),
        created_at: t(1.0),
        closed_at: Some(t(4.1)),
        close_reason: Some("merged".into()),
        closed_by: Some(worker(rig)),
        description: "Write it.".into(),
    }
}

fn mail(rig: &str) -> Mail {
    Mail {
        id: format!("m-{rig}"),
        from: "mayor".into(),
        to: worker(rig).replace("polecats/", ""),
        subject: format!("{}: a letter", if rig == "bob" { "Bob" } else { "Alice" }),
        body: "Here it is.".into(),
        at: t(2.0),
        read: true,
    }
}

pub(crate) fn merge(rig: &str) -> MergeRequest {
    MergeRequest {
        id: format!("{}-mr-1", &rig[..2]),
        issue: issue(rig),
        rig: rig.into(),
        branch: branch(rig),
        target: "main".into(),
        worker: worker(rig),
        commit: Some("c".repeat(40)),
        status: "merged".into(),
        merge_commit: Some("d".repeat(40)),
        created_at: t(3.5),
        closed_at: Some(t(3.9)),
        reason: None,
    }
}

pub(crate) fn branch(rig: &str) -> String {
    format!("polecat/x/{}", issue(rig))
}

pub(crate) fn agent(agent: &str) -> AgentRow {
    let rig = agent.split_once('/').map(|(rig, _)| rig.to_owned());
    AgentRow {
        agent: agent.into(),
        role: if rig.is_some() { "polecat" } else { "mayor" }.into(),
        name: agent.rsplit('/').next().unwrap().into(),
        program: "builtin".into(),
        state: if rig.is_some() { "working" } else { "idle" }.into(),
        issue: rig.as_deref().map(issue),
        telemetry: "builtin".into(),
        rig,
    }
}

pub(crate) fn session(agent: &str) -> Session {
    let rig = agent.split_once('/').map(|(rig, _)| rig.to_owned());
    Session {
        session: format!("s-{}", agent.replace('/', "-")),
        run_id: format!("life-of-{agent}"),
        agent: agent.into(),
        role: if rig.is_some() { "polecat" } else { "mayor" }.into(),
        pid: Some(4711),
        command: vec!["proctor-agent".into()],
        started_at: t(3.1),
        ended_at: Some(t(5.9)),
        exit: Some("exit 0".into()),
        issue: rig.as_deref().map(issue),
        branch: rig.as_deref().map(branch),
        rig,
    }
}

fn rig_git(rig: &str) -> RigGit {
    let commit = |author: &str, subject: &str| Commit {
        sha: "d".repeat(40),
        author: author.into(),
        email: "a@b.c".into(),
        at: t(3.4),
        subject: subject.into(),
        files: vec!["chapter.md".into()],
    };
    let file = |path: &str| GitFile {
        path: path.into(),
        mode: "100644".into(),
        size: 400,
        sha256: UNSUMMED.into(),
        link: None,
        not_kept: None,
    };
    RigGit {
        rig: rig.into(),
        target: "main".into(),
        head: Some("d".repeat(40)),
        commits: vec![commit(&worker(rig).replace("polecats/", ""), "the chapter"), commit("mayor", "first")],
        files: vec![file("chapter.md"), file(&format!("{rig}.py"))],
        branches: BTreeMap::new(),
        rewound: Vec::new(),
        cut: Vec::new(),
    }
}

fn delivery(rig: &str) -> Delivery {
    Delivery {
        issue: issue(rig),
        rig: rig.into(),
        worker: Some(worker(rig)),
        branch: Some(branch(rig)),
        submitted: Some("c".repeat(40)),
        own_commits: 1,
        merged: true,
        merged_as: Some("d".repeat(40)),
        how: Some("same change (patch id)".into()),
        conflicts: Vec::new(),
    }
}

pub(crate) fn exchange(n: u64, agent: &str) -> Exchange {
    Exchange {
        n,
        agent: agent.into(),
        claimed: None,
        from: None,
        at: t(4.0 + n as f64 / 10.0),
        duration_ms: 12.0,
        request: "POST /v1/messages".into(),
        model: Some("proctor-script-1".into()),
        stream: true,
        turn: 0,
        sha256: UNSUMMED.into(),
        status: 200,
        stop_reason: Some("end_turn".into()),
        matched: Some("mayor.toml turn 1 step 1".into()),
        miss: None,
        fault: None,
        input_tokens: 1200,
        output_tokens: 80,
        asked: "begin".into(),
        answered: "gt hook --json".into(),
        body: None,
    }
}

fn exercise() -> ExerciseRecord {
    let step = |name: &str, by: &str, command: &[&str], exit| StepRecord {
        name: name.into(),
        by: by.into(),
        command: command.iter().map(|c| (*c).to_owned()).collect(),
        exit: Some(exit),
        ended: None,
        stdout: String::new(),
        stderr: String::new(),
        cut: 0,
        started_at: t(6.1),
        duration_ms: 31.5,
        files: vec![FileState { path: "message.enc".into(), size: 256, sha256: UNSUMMED.into(), changed: false }],
        skipped: Skipped::default(),
        opened: Vec::new(),
        opened_lost: false,
        facts: BTreeMap::new(),
        left_behind: Vec::new(),
        refused: Vec::new(),
        open: Vec::new(),
    };
    let mut flip = step("flip", "checker", &["$PYTHON", "$CHECKS/flip_bit.py", "message.sig"], 0);
    flip.facts.insert("text".into(), "Meet me at midnight.".into());
    let mut bob = step("bob", "subject", &["$PYTHON", "$REPO/bob/bob.py"], 1);
    bob.stderr = "InvalidSignature".into();
    bob.opened = vec!["message.enc".into(), "bob_private.pem".into()];
    ExerciseRecord {
        name: "bob.signature".into(),
        title: "one bit of message.sig is flipped".into(),
        steps: vec![flip, bob],
        not_done: None,
        not_brought: BTreeMap::new(),
    }
}

/// An OTLP request of one log record.
pub(crate) fn log(body: &str, severity: i32, attributes: &[(&str, Value)], resource: &[(&str, &str)]) -> Value {
    let resource: Vec<Value> = resource.iter().map(|(k, v)| json!({"key": k, "value": {"stringValue": v}})).collect();
    let attributes: Vec<Value> = attributes.iter().map(|(k, v)| json!({"key": k, "value": v})).collect();
    let record = json!({
        "timeUnixNano": t(4.5).timestamp_nanos_opt().unwrap().to_string(),
        "severityNumber": severity,
        "body": {"stringValue": body},
        "attributes": attributes
    });
    json!({"resourceLogs": [{"resource": {"attributes": resource}, "scopeLogs": [{"scope": {}, "logRecords": [record]}]}]})
}

/// The same log request, `s` seconds after the run began.
pub(crate) fn at(mut request: Value, s: f64) -> Value {
    let nanos = t(s).timestamp_nanos_opt().unwrap().to_string();
    request["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["timeUnixNano"] = nanos.into();
    request
}

/// An OTLP request of one cumulative counter.
pub(crate) fn counter(name: &str, value: u64, service: &str, attributes: &[(&str, &str)], resource: &[(&str, &str)]) -> Value {
    let pairs = |pairs: &[(&str, &str)]| -> Vec<Value> {
        pairs.iter().map(|(k, v)| json!({"key": k, "value": {"stringValue": v}})).collect()
    };
    let mut resource = pairs(resource);
    resource.push(json!({"key": "service.name", "value": {"stringValue": service}}));
    let nanos = |s: f64| t(s).timestamp_nanos_opt().unwrap().to_string();
    let point = json!({"startTimeUnixNano": nanos(3.0), "timeUnixNano": nanos(6.0), "asInt": value.to_string(), "attributes": pairs(attributes)});
    let sum = json!({"dataPoints": [point], "aggregationTemporality": 2, "isMonotonic": true});
    let metric = json!({"name": name, "sum": sum});
    json!({"resourceMetrics": [{"resource": {"attributes": resource}, "scopeMetrics": [{"scope": {}, "metrics": [metric]}]}]})
}

/// What a built-in agent sends: one api_request event and its tokens.
pub(crate) fn telemetry(agent: &str) -> Vec<Request> {
    let identity = [("service.name", "claude-code"), ("gt.role", agent)];
    let attributes = [
        ("model", json!({"stringValue": "proctor-script-1"})),
        ("input_tokens", json!({"intValue": "1200"})),
        ("output_tokens", json!({"intValue": "80"})),
        ("cache_read_tokens", json!({"intValue": "10"})),
        ("cost_usd", json!({"doubleValue": 0.1})),
        ("duration_ms", json!({"doubleValue": 12.0})),
    ];
    let address = Some(agent.to_owned());
    let tokens = [("type", "input"), ("model", "proctor-script-1")];
    vec![
        (Signal::Logs, address.clone(), log("claude_code.api_request", 9, &attributes, &identity)),
        (Signal::Metrics, address, counter("claude_code.token.usage", 1200, "claude-code", &tokens, &identity[1..])),
    ]
}

/// What the town itself sends.
fn gastown() -> Vec<Request> {
    let service = [("service.name", "gastown")];
    let bd = [("subcommand", "create"), ("status", "ok")];
    let sling = |_| (Signal::Logs, None, log("sling", 9, &[("status", json!({"stringValue": "ok"}))], &service));
    let mut requests: Vec<Request> = RIGS.iter().map(sling).collect();
    requests.push((Signal::Logs, None, log("polecat.spawn", 9, &[], &service)));
    requests.push((Signal::Metrics, None, counter("gastown.polecat.spawns.total", 2, "gastown", &[("status", "ok")], &[])));
    requests.push((Signal::Metrics, None, counter("gastown.bd.calls.total", 7, "gastown", &bd, &[])));
    requests
}

/// The finding of that id, or what there is instead.
pub(crate) fn finding<'a>(summary: &'a Summary, id: &str) -> &'a Finding {
    let ids: Vec<&str> = summary.findings.iter().map(|f| f.id.as_str()).collect();
    summary.findings.iter().find(|f| f.id == id).unwrap_or_else(|| panic!("no finding {id} among {ids:?}"))
}

/// The check of that id.
pub(crate) fn check<'a>(summary: &'a Summary, id: &str) -> &'a CheckSummary {
    summary.checks.iter().find(|c| c.id == id).unwrap()
}
