//! The whole cycle over a small town made of one shell script: real processes, real git, no Proctor binary.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_sdk::trace::SdkTracerProvider;
use proctor_harness::Halt;
use proctor_harness::cycle::{
    AgentCounts, Cancel, GatewaySpec, Progress, Prompted, Request, RunEnd, Services, ServicesEnd, TelemetryAddresses, run,
};
use proctor_harness::origins::OriginsSpec;
use proctor_harness::scenario::{Origins, load, template};
use proctor_harness::town::TownKind;
use proctor_judge::evidence::{Exchange, FenceMode, Push, RefusedRequests, StopKind, Time};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Plays `gt`: what the mayor does follows from the nudge at once; `MODE` says how far it goes.
const GT: &str = r#"#!/bin/sh
set -e
AT=2026-01-01T00:00:00Z
case "$1 $2" in
"install "*) mkdir -p "$2" ;;
"mayor start") setsid sleep 600 >/dev/null 2>&1 & ;;
"nudge mayor")
  cat > /dev/null
  O=$(dirname "$GT_ROOT")/origins
  git init -q --bare -b main "$O/hello.git"
  git clone -q "$O/hello.git" "$TMPDIR/c" 2>/dev/null
  cd "$TMPDIR/c"
  git commit -q --allow-empty -m first && git push -q origin HEAD:main
  echo "Hello there" > greeting.txt && git add -A && git commit -qm work
  C=$(git rev-parse HEAD)
  [ MODE = stuck ] || git push -q origin HEAD:main
  cat > "$GT_ROOT/snapshot.json" <<END
{"beads":[{"id":"he-1","title":"t","kind":"task","status":"closed","priority":2,"assignee":null,"rig":"hello","created_by":"mayor","created_at":"$AT","closed_at":"$AT","close_reason":null,"closed_by":null,"description":""}],
"convoys":[{"id":"hq-cv-1","title":"Greeting","status":"closed","tracked":["he-1"],"created_at":"$AT","closed_at":"$AT"}],"mail":[],
"merge_requests":[{"id":"m","issue":"he-1","rig":"hello","branch":"b","target":"main","worker":"hello/polecats/x","commit":"$C","status":"merged","merge_commit":null,"created_at":"$AT","closed_at":null,"reason":null}],
"agents":[{"agent":"mayor","role":"mayor","rig":null,"name":"mayor","program":"launch","state":"idle","issue":null}],"sessions":[]}
END
  echo "{\"ts\":\"2099-01-01T00:00:00Z\",\"type\":\"bead_create\",\"actor\":\"mayor\",\"payload\":{}}" >> "$GT_ROOT/.events.jsonl" ;;
"snapshot --json") cat "$GT_ROOT/snapshot.json" 2>/dev/null || echo '{"beads":[],"convoys":[],"mail":[],"merge_requests":[],"agents":[],"sessions":[]}' ;;
esac
"#;

struct Edge {
    sender: Mutex<Option<UnboundedSender<Exchange>>>,
    stopped: Mutex<u32>,
    miss: bool,
}

impl Edge {
    fn new(miss: bool) -> Arc<Self> {
        Arc::new(Self { sender: Mutex::new(None), stopped: Mutex::new(0), miss })
    }
}

impl Services for Edge {
    async fn start_telemetry(&self, store: PathBuf) -> Result<TelemetryAddresses, Halt> {
        assert!(store.is_dir());
        Ok(TelemetryAddresses {
            metrics: "http://127.0.0.1:1/m".into(),
            logs: "http://127.0.0.1:2/l".into(),
            otlp: "http://127.0.0.1:3".into(),
        })
    }

    async fn start_gateway(&self, spec: GatewaySpec) -> Result<String, Halt> {
        assert!(spec.script.join("mayor.toml").is_file() && spec.faults.is_file());
        Ok("http://127.0.0.1:4".into())
    }

    fn exchanges(&self) -> UnboundedReceiver<Exchange> {
        let (sender, receiver) = unbounded_channel();
        if self.miss {
            let exchange = serde_json::json!({"n": 1, "agent": "mayor", "at": "2026-01-01T00:00:00Z", "duration_ms": 1.0, "request": "POST /v1/messages", "model": null,
                "stream": false, "turn": 2, "sha256": "", "status": 400, "stop_reason": null, "matched": null, "miss": "what is this?", "fault": null,
                "input_tokens": 0, "output_tokens": 0, "asked": "", "answered": "", "body": null});
            sender.send(serde_json::from_value(exchange).unwrap()).unwrap();
        }
        *self.sender.lock().unwrap() = Some(sender);
        receiver
    }

    async fn start_origins(&self, _spec: OriginsSpec) -> Result<String, Halt> {
        Err(Halt::harness("this town's origins are folders"))
    }

    fn pushes(&self) -> UnboundedReceiver<Push> {
        unbounded_channel().1
    }

    async fn counts(&self) -> BTreeMap<String, AgentCounts> {
        BTreeMap::new()
    }

    async fn prompts(&self, _agent: &str) -> Vec<Prompted> {
        Vec::new()
    }

    fn refused_requests(&self) -> Vec<RefusedRequests> {
        Vec::new()
    }

    fn tracer_provider(&self) -> Option<SdkTracerProvider> {
        None
    }

    async fn flush(&self) -> Result<(), Halt> {
        Ok(())
    }

    async fn stop(&self) -> ServicesEnd {
        *self.stopped.lock().unwrap() += 1;
        ServicesEnd::default()
    }
}

struct World {
    root: tempfile::TempDir,
}

impl World {
    fn new(mode: &str) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        let program = root.path().join("town.sh");
        fs::write(&program, GT.replace("MODE", mode)).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Self { root }
    }

    fn request(&self, id: &str) -> Request {
        let path = |name: &str| self.root.path().join(name);
        let mut scenario = load(&template("t")).unwrap();
        scenario.spec.origins = Origins::File;
        Request {
            id: id.into(),
            run_id: format!("run-{id}"),
            secret: "s".into(),
            scenario,
            town: TownKind::Builtin,
            seed: 42,
            command: "proctor run t".into(),
            models: "script".into(),
            report: path("report"),
            cache: path("cache"),
            proctor: path("town.sh"),
            agents: Vec::new(),
            python: None,
            live_town: None,
            namespace: Default::default(),
            fence: FenceMode::Off,
            keep_town: false,
            landing_timeout: Some(Duration::from_millis(700)),
            environment: BTreeMap::from([("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())]),
            versions: BTreeMap::new(),
            clock: Arc::new(chrono::Utc::now),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.root.path().join("report").join(name).exists()
    }

    fn nothing_is_left(&self, id: &str) {
        assert!(!self.root.path().join("cache/runs").join(id).exists(), "the base directory is gone");
    }
}

fn kind(end: &RunEnd) -> Option<StopKind> {
    end.record.stopped.as_ref().map(|stopped| stopped.kind)
}

#[tokio::test]
async fn a_run_that_lands_leaves_its_evidence_and_nothing_else() {
    let world = World::new("lands");
    let edge = Edge::new(false);
    let end = run(world.request("c001"), Arc::clone(&edge), |_| {}, Cancel::new()).await;
    assert_eq!(end.record.stopped.as_ref().map(|s| s.message.clone()), None);
    assert_eq!(end.record.phases.iter().map(|p| p.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
    assert!(end.record.phases.iter().all(|p| p.ok && p.ended_at.is_some()));
    assert_eq!(end.record.delivery.unwrap().proof.as_deref(), Some("the mayor's first act: bead_create"));
    for file in [
        "lock.json",
        "run.log",
        "timeline.ndjson",
        "evidence/run.json",
        "evidence/plan.json",
        "evidence/git/hello.bundle",
        "evidence/git/hello/tree/greeting.txt",
        "evidence/signs.ndjson",
    ] {
        assert!(world.has(file), "{file}");
    }
    assert_eq!(end.record.leftovers.len(), 1, "the process that the town left: {:?}", end.record.leftovers);
    assert!(end.record.leftovers[0].ended && end.record.leftovers[0].command.starts_with("sleep"));
    assert_eq!(*edge.stopped.lock().unwrap(), 1);
    world.nothing_is_left("c001");
}

#[tokio::test]
async fn a_run_that_does_not_land_says_what_it_saw_last() {
    let world = World::new("stuck");
    let end = run(world.request("c002"), Edge::new(false), |_| {}, Cancel::new()).await;
    assert_eq!(kind(&end), Some(StopKind::Timeout));
    let stopped = end.record.stopped.unwrap();
    assert_eq!(stopped.phase, 6);
    assert!(stopped.message.contains("closed 1/1 · merged 0/1 · pushed 0/1"), "{}", stopped.message);
    assert!(world.has("evidence/git/deliveries.ndjson"));
    world.nothing_is_left("c002");
}

#[tokio::test]
async fn a_request_without_an_answer_ends_the_run_at_once_and_is_named() {
    let world = World::new("stuck");
    let end = run(world.request("c003"), Edge::new(true), |_| {}, Cancel::new()).await;
    assert_eq!(kind(&end), Some(StopKind::Harness));
    assert_eq!(end.record.stopped.unwrap().message, "no script answers mayor at turn 3: what is this?");
}

#[tokio::test]
async fn a_cancelled_run_keeps_its_evidence_in_whichever_phase_it_was() {
    for phase in 1..=7 {
        let world = World::new("lands");
        let cancel = Cancel::new();
        let asking = cancel.clone();
        let ask = move |progress: Progress| {
            if matches!(progress, Progress::PhaseBegan { number, .. } if number == phase) {
                asking.request();
            }
        };
        let id = format!("d00{phase}");
        let end = run(world.request(&id), Edge::new(false), ask, cancel).await;
        assert_eq!(kind(&end), Some(StopKind::Cancelled), "phase {phase}");
        assert!(end.evidence && world.has("evidence/run.json"), "phase {phase}");
        world.nothing_is_left(&id);
    }
}

#[tokio::test]
async fn a_report_folder_that_cannot_be_written_is_the_environments_fault() {
    let world = World::new("lands");
    let mut request = world.request("c004");
    request.report = Path::new("/proc/nowhere").to_owned();
    let end = run(request, Edge::new(false), |_| {}, Cancel::new()).await;
    assert_eq!(kind(&end), Some(StopKind::Environment));
    assert!(!end.evidence);
    assert_eq!(end.record.ended_at.map(|at| at > Time::UNIX_EPOCH), Some(true));
}
