//! Writes down what a run does while it does it: `run.json`, `timeline.ndjson`, `run.log`, spans, progress.
//!
//! `run.json` is replaced atomically after each phase, so that it exists however the run ends.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::trace::{Span, SpanBuilder, Status, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracerProvider;
use proctor_judge::evidence::{Phase, RunRecord, path};
use proctor_judge::seal::SealedKind;
use proctor_judge::{visible_json, visible_line};
use serde_json::Value;

use super::{Clock, Happening, Progress};
use crate::halt::Halt;
use crate::ledger::{Ledger, Log};
use crate::linux;

/// Where progress is told.
pub(crate) type Tell = Arc<dyn Fn(Progress) + Send + Sync>;

/// The names of phases 1 to 7.
pub const PHASES: [&str; 7] =
    ["reset telemetry", "reset town", "start telemetry", "start town", "inject prompt", "wait for landing", "collect"];

/// What a phase says when it ended well: its line for people, and the label and value pairs of its report.
#[derive(Clone, Debug, Default)]
pub(crate) struct Done {
    pub(crate) detail: String,
    pub(crate) facts: Vec<(String, String)>,
}

impl Done {
    pub(crate) fn new(detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), facts: Vec::new() }
    }

    pub(crate) fn fact(mut self, label: &str, value: impl Into<String>) -> Self {
        self.facts.push((label.into(), value.into()));
        self
    }
}

/// The record of a run in progress.
pub(crate) struct Recorder {
    pub(crate) record: RunRecord,
    pub(crate) evidence: PathBuf,
    pub(crate) clock: Clock,
    /// Through which every evidence file is written or entered.
    pub(crate) ledger: Ledger,
    tell: Tell,
    timeline: Log,
    log: Log,
    spans: Spans,
    cpu_before: f64,
}

impl Recorder {
    /// Makes the run's folder and its first files.
    pub(crate) fn create(report: &Path, record: RunRecord, clock: Clock, tell: Tell) -> Result<Self, Halt> {
        let evidence = report.join("evidence");
        fs::create_dir_all(report).map_err(|error| Halt::io("make", report, &error))?;
        // What agents print and write lies there; whoever may read the reports may not read that.
        let made = DirBuilder::new().mode(0o700).create(&evidence);
        made.map_err(|error| Halt::io("make", &evidence, &error))?;
        for folder in ["town", path::GIT, path::EXERCISE, path::TELEMETRY, "gateway", path::TRANSCRIPTS, path::RAW] {
            let folder = evidence.join(folder);
            fs::create_dir_all(&folder).map_err(|error| Halt::io("make", &folder, &error))?;
        }
        let ledger = Ledger::new(report);
        // Phase 8 adds its own lines to both.
        let open = |name: &str| ledger.log(&report.join(name), SealedKind::Beginning);
        let (timeline, log) = (open("timeline.ndjson")?, open("run.log")?);
        let cpu_before = own_cpu_seconds();
        let recorder = Self { record, evidence, clock, ledger, tell, timeline, log, spans: Spans::default(), cpu_before };
        recorder.save()?;
        Ok(recorder)
    }

    pub(crate) fn now(&self) -> proctor_judge::evidence::Time {
        (self.clock)()
    }

    pub(crate) fn tell(&self, progress: Progress) {
        (self.tell)(progress);
    }

    pub(crate) fn teller(&self) -> Tell {
        Arc::clone(&self.tell)
    }

    /// Replaces `run.json`.
    pub(crate) fn save(&self) -> Result<(), Halt> {
        self.ledger.write_json(&self.evidence.join(path::RUN), &self.record)
    }

    /// A line of `run.log`. People read it on a terminal, and agents choose parts of it.
    pub(crate) fn log(&mut self, line: &str) {
        let at = self.now().format("%Y-%m-%dT%H:%M:%S%.3fZ");
        // The log must not end a run; evidence that cannot be written does.
        _ = self.log.append(format!("{at} {}\n", visible_line(line)).as_bytes());
    }

    /// Something that belongs on the timeline.
    pub(crate) fn happened(&mut self, happening: Happening) -> Result<(), Halt> {
        let line = serde_json::to_string(&happening).map_err(|error| Halt::harness(error.to_string()))?;
        let line = format!("{}\n", visible_json(&line));
        let file = self.evidence.join("../timeline.ndjson");
        self.timeline.append(line.as_bytes()).map_err(|error| Halt::io("write", &file, &error))?;
        self.log(&format!("{} {}", happening.kind, happening.text));
        self.tell(Progress::Happened(happening));
        Ok(())
    }

    /// An entry of the timeline by the harness itself.
    pub(crate) fn note(&mut self, kind: &str, text: impl Into<String>, values: BTreeMap<String, Value>) -> Result<(), Halt> {
        let at = self.now();
        self.happened(Happening { at, kind: kind.into(), actor: String::new(), text: text.into(), values, claimed: false })
    }

    pub(crate) fn begin(&mut self, number: u8) -> Result<(), Halt> {
        let name = PHASES[usize::from(number - 1)];
        let at = self.now();
        self.record.phases.push(Phase {
            number,
            name: name.into(),
            started_at: at,
            ended_at: None,
            ok: false,
            detail: String::new(),
            facts: Vec::new(),
        });
        self.save()?;
        self.tell(Progress::PhaseBegan { number, name, at });
        self.note("phase_began", format!("{number} {name}"), BTreeMap::from([("number".into(), number.into())]))
    }

    /// Ends the open phase; `provider` takes its span.
    pub(crate) fn end(&mut self, outcome: Result<Done, &Halt>, provider: Option<&SdkTracerProvider>) -> Result<(), Halt> {
        let at = self.now();
        let Some(phase) = self.record.phases.last_mut().filter(|phase| phase.ended_at.is_none()) else { return Ok(()) };
        phase.ended_at = Some(at);
        match outcome {
            Ok(done) => (phase.ok, phase.detail, phase.facts) = (true, done.detail, done.facts),
            Err(halt) => phase.detail.clone_from(&halt.message),
        }
        let phase = phase.clone();
        self.spans.phase(phase.clone(), &self.record, provider);
        self.save()?;
        self.tell(Progress::PhaseEnded(phase.clone()));
        let values = BTreeMap::from([("number".into(), phase.number.into()), ("ok".into(), phase.ok.into())]);
        self.note("phase_ended", format!("{} {}: {}", phase.number, phase.name, phase.detail), values)
    }

    /// States what the run has cost this process so far, its children not counted. Runs that one process plays at the same time
    /// each state the cost of all.
    pub(crate) fn note_cpu(&mut self) {
        let spent = own_cpu_seconds() - self.cpu_before;
        self.record.notes.insert("proctor_cpu_s".into(), format!("{spent:.2}"));
    }

    /// The number of the newest phase.
    pub(crate) fn phase(&self) -> u8 {
        self.record.phases.last().map_or(1, |phase| phase.number)
    }

    /// Ends the span of the whole run.
    pub(crate) fn end_spans(&mut self) {
        let end = self.record.ended_at.map_or_else(SystemTime::now, SystemTime::from);
        self.spans.end(end);
    }
}

/// The run as OpenTelemetry spans: one root, one child per phase. Phases that ended before telemetry listened wait for it.
#[derive(Default)]
struct Spans {
    root: Option<Context>,
    waiting: Vec<Phase>,
}

impl Spans {
    fn phase(&mut self, phase: Phase, record: &RunRecord, provider: Option<&SdkTracerProvider>) {
        self.waiting.push(phase);
        let Some(provider) = provider else { return };
        let tracer = provider.tracer("proctor");
        let root = self.root.get_or_insert_with(|| {
            let mut builder = SpanBuilder::from_name(format!("run {}", record.scenario));
            builder.start_time = Some(record.started_at.into());
            builder.attributes = Some(vec![
                KeyValue::new("proctor.run.short_id", record.id.clone()),
                KeyValue::new("proctor.town", record.town.clone()),
            ]);
            Context::new().with_span(tracer.build_with_context(builder, &Context::new()))
        });
        for phase in self.waiting.drain(..) {
            let mut builder = SpanBuilder::from_name(format!("{} {}", phase.number, phase.name));
            builder.start_time = Some(phase.started_at.into());
            builder.attributes = Some(vec![
                KeyValue::new("proctor.phase", i64::from(phase.number)),
                KeyValue::new("proctor.detail", phase.detail.clone()),
            ]);
            let mut span = tracer.build_with_context(builder, root);
            span.set_status(if phase.ok { Status::Ok } else { Status::error(phase.detail) });
            span.end_with_timestamp(phase.ended_at.unwrap_or(phase.started_at).into());
        }
    }

    fn end(&mut self, at: SystemTime) {
        if let Some(root) = self.root.take() {
            root.span().end_with_timestamp(at);
        }
    }
}

fn own_cpu_seconds() -> f64 {
    linux::cpu_seconds(std::process::id()).unwrap_or_default()
}
