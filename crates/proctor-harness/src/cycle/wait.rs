//! Phase 6: waiting until everything has landed, by signs and not by sleeping.
//!
//! What the town writes when its state changes and the origins' refs are watched; each change is followed by a look at the state itself. A
//! slow poll is the safety net. An end that nothing can avert any more is noticed at once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use proctor_judge::evidence::{Exchange, StopKind, path};
use tokio::time::{Instant, sleep_until};

use super::live::provider_gave_up;
use super::receipt::NO_ACTS;
use super::recorder::Done;
use super::run::Run;
use super::services::{next_exchange, next_push};
use super::strikes::Field;
use super::{ClauseLive, Happening, Progress, Services, agents};
use crate::halt::Halt;
use crate::landed::Look;
use crate::landed::signs::name;
use crate::linux::Watcher;
use crate::town::{Snapshot, Tempo, TownEvent};

/// How often places to watch are looked for.
const WATCH_AGAIN: Duration = Duration::from_secs(1);
/// How often what no change tells of is looked at: the disk, and what the store has of each agent.
const REFRESH: Duration = Duration::from_millis(300);
/// Exit code of the built-in agent when its provider gave up (docs/seams.md).
const PROVIDER_EXIT: &str = "exit 3";

impl<S: Services> Run<S> {
    /// Phase 6.
    pub(crate) async fn wait_for_landing(&mut self) -> Result<Done, Halt> {
        let limit = self.landing_limit();
        let (begun_waiting, until) = (Instant::now(), Instant::now() + limit);
        self.kept.give_watch();
        let mut watcher = Watcher::new().map_err(|error| {
            Halt::environment(format!("the town cannot be watched: {error}")).hint("raise fs.inotify.max_user_instances")
        })?;
        let mut watched: Option<Instant> = None;
        loop {
            // Rigs and databases are added while the run goes on.
            if watched.is_none_or(|at| at.elapsed() >= WATCH_AGAIN) {
                self.watch(&watcher)?;
                watched = Some(Instant::now());
            }
            let begun = Instant::now();
            let look = self.look().await.map_err(Halt::of_the_town)?;
            if let Some(look) = look.filter(|look| look.landed) {
                self.landed_at = Some(self.rec.now());
                return Ok(landed(&look));
            }
            if let Some(halt) = self.nobody_left().or_else(|| self.silent_mayor(begun_waiting.elapsed())) {
                return Err(halt);
            }
            if !self.hint(&mut watcher, begun, until).await? {
                return Err(self.timed_out(limit));
            }
        }
    }

    fn watch(&self, watcher: &Watcher) -> Result<(), Halt> {
        let root = self.root()?;
        let origins = root.join("origins");
        let mut places = self.town()?.tells();
        // What is pushed to served origins is told by their server.
        if self.origins.is_none() {
            let rigs = std::fs::read_dir(&origins).into_iter().flatten().flatten();
            places.extend(rigs.flat_map(|rig| [rig.path(), rig.path().join("refs/heads")]));
            places.push(origins);
        }
        let watch = |place: &Path| {
            watcher.watch(place).map_err(|error| {
                Halt::environment(format!("{} cannot be watched: {error}", place.display()))
                    .hint("raise fs.inotify.max_user_watches")
            })
        };
        places.iter().try_for_each(|place| watch(place))
    }

    /// Waits for the next reason to look, since the last look that began at `begun`; `false` when time is up.
    async fn hint(&mut self, watcher: &mut Watcher, begun: Instant, until: Instant) -> Result<bool, Halt> {
        let Tempo { poll, settle, .. } = self.town()?.tempo();
        // A look that took long, because the machine is busy, must not put off the next one as well.
        let mut look_at = (begun + poll).max(Instant::now() + settle);
        let mut told = false;
        let unwatched = |error| Halt::environment(format!("the town cannot be watched: {error}")).of_the_town();
        loop {
            tokio::select! {
                // Once there is a reason to look, further ones change nothing: a busy town has hundreds a second.
                changed = watcher.changed(), if !told => {
                    changed.map_err(unwatched)?;
                    told = true;
                    look_at = look_at.min(Instant::now() + settle);
                }
                exchange = next_exchange(&mut self.exchanges) => {
                    self.strike(&exchange)?;
                    self.take_exchange(&exchange)?;
                }
                push = next_push(&mut self.pushes) => {
                    self.take_push(push)?;
                    told = true;
                    look_at = look_at.min(Instant::now() + settle);
                }
                halt = self.runtime.failed() => return Err(halt),
                () = sleep_until(look_at.min(until)) => {
                    self.refresh().await?;
                    watcher.changed().now_or_never().unwrap_or(Ok(())).map_err(unwatched)?;
                    return Ok(Instant::now() < until);
                }
            }
        }
    }

    async fn refresh(&mut self) -> Result<(), Halt> {
        if self.refreshed.is_some_and(|at| at.elapsed() < REFRESH) {
            return Ok(());
        }
        self.refreshed = Some(Instant::now());
        if let Some(halt) = self.full_disk().filter(|_| !self.made_room()) {
            return Err(halt);
        }
        let counts = self.services.counts().await;
        self.live.counts(&counts);
        self.show();
        Ok(())
    }

    /// Hits the process that made this request where the plan says so.
    fn strike(&mut self, exchange: &Exchange) -> Result<(), Halt> {
        let (faults, now) = (&self.request.scenario.spec.fault, self.rec.now());
        let bin = self.root()?.join("bin");
        let field = Field { run: &self.request.id, table: self.table.as_ref(), town: self.town.as_deref(), bin: &bin };
        let done = self.strikes.strike(faults, exchange, field, now);
        done.into_iter().try_for_each(|text| self.rec.note("fault", text, BTreeMap::new()))
    }

    pub(crate) fn take_exchange(&mut self, exchange: &Exchange) -> Result<(), Halt> {
        self.activity.seen(&exchange.agent);
        let for_ever = agents::for_ever(&self.request.scenario.spec.fault);
        let taken = self.live.exchange(exchange, &for_ever, self.is_hit());
        self.rec.tell(Progress::Agents(self.live.rows()));
        taken
    }

    pub(crate) fn new_events(&mut self) -> Result<Vec<TownEvent>, Halt> {
        let town = self.town.as_deref().ok_or_else(|| Halt::harness("the town was not prepared"))?;
        Ok(town.new_events(&mut self.events_read))
    }

    pub(crate) fn take_events(&mut self, events: &[TownEvent]) -> Result<(), Halt> {
        for event in events {
            let values: BTreeMap<String, serde_json::Value> = event.payload.clone();
            let text = event_text(event);
            // The town's word for what was done to the mayor is no act of its.
            self.activity.seen(if NO_ACTS.contains(&event.kind.as_str()) { "" } else { &event.actor });
            let (kind, actor) = (event.kind.clone(), event.actor.clone());
            self.rec.happened(Happening { at: event.ts, kind, actor, text, values, claimed: true })?;
        }
        Ok(())
    }

    fn show(&self) {
        self.rec.tell(Progress::Agents(self.live.rows()));
        self.rec.tell(Progress::Totals(self.live.totals));
    }

    /// Looks at the town and at git. A town that cannot be read for a moment (it is busy) is looked at again.
    pub(crate) async fn look(&mut self) -> Result<Option<Look>, Halt> {
        let asked = self.rec.now();
        let state = self.town()?.observe().await;
        let now = self.rec.now();
        self.strikes.check(now);
        // What could not be read could not be read since the question.
        self.strikes.looked(state.is_ok(), if state.is_ok() { now } else { asked });
        let state = match state {
            Ok(state) => state,
            Err(halt) if self.failed_looks + 1 >= self.town()?.tempo().blind && !self.is_hit() => return Err(halt),
            Err(halt) => {
                self.failed_looks += 1;
                self.rec.log(&format!("look failed: {halt}"));
                return Ok(None);
            }
        };
        self.failed_looks = 0;
        let events = self.new_events()?;
        self.take_events(&events)?;
        let is_same = self.state.as_ref().is_some_and(|last| Arc::ptr_eq(last, &state));
        if !is_same && self.live.state(&state) {
            self.show();
        }
        self.take_pushes()?;
        let at = self.rec.now();
        let (Some(landed), Some(town)) = (&mut self.landed, &self.town) else { return Ok(None) };
        let look = landed.look(&state, |rig| town.merge_repository(rig), at).await?;
        self.tell_clauses(&look)?;
        self.tend(&state)?;
        let gone = self.provider_is_gone(&state);
        self.state = Some(state);
        self.deliveries.clone_from(&look.deliveries);
        match gone {
            Some(halt) if !look.landed => Err(halt),
            _ => Ok(Some(look)),
        }
    }

    /// Whether a planned fault hit a program of the town: what fails then may be its doing, and says nothing of Proctor.
    pub(crate) fn is_hit(&self) -> bool {
        self.strikes.programs().next().is_some()
    }

    fn tend(&mut self, state: &Snapshot) -> Result<(), Halt> {
        match self.town()?.tend(state) {
            Err(halt) if self.is_hit() => {
                self.rec.log(&format!("after a planned fault: {halt}"));
                Ok(())
            }
            tended => tended,
        }
    }

    fn tell_clauses(&mut self, look: &Look) -> Result<(), Halt> {
        if look.changed.is_empty() {
            return Ok(());
        }
        for reading in &look.changed {
            let values = BTreeMap::from([
                ("clause".into(), name(reading.clause).into()),
                ("value".into(), reading.value.into()),
                ("now".into(), reading.now.clone().into()),
            ]);
            self.rec.note("clause", format!("{} {}", name(reading.clause), reading.now), values)?;
        }
        let Some(landed) = &self.landed else { return Ok(()) };
        let row = |r: &crate::landed::signs::Reading| ClauseLive {
            clause: name(r.clause).into(),
            value: r.value,
            now: r.now.clone(),
            since: landed.since(r.clause),
        };
        self.rec.tell(Progress::Clauses(look.readings.iter().map(row).collect()));
        self.rec.ledger.write_rows(&self.rec.evidence.join(path::SIGNS), landed.signs())
    }

    /// A built-in agent ended because its provider did not answer any more.
    fn provider_is_gone(&self, state: &Snapshot) -> Option<Halt> {
        let session = state.sessions.iter().find(|s| s.exit.as_deref() == Some(PROVIDER_EXIT) && self.is_builtin(&s.agent))?;
        Some(provider_gave_up(&session.agent, "it used up its retries and ended"))
    }

    fn timed_out(&self, limit: Duration) -> Halt {
        let latest = |clause: &proctor_judge::plan::Clause| {
            let rows = self.landed.as_ref().map(|landed| landed.signs()).unwrap_or_default();
            rows.iter().rev().find(|row| row.clause == name(*clause)).map(|row| format!("{} {}", words(name(*clause)), row.now))
        };
        let state: Vec<String> = self.request.scenario.spec.landed.clauses.iter().filter_map(latest).collect();
        Halt::new(StopKind::Timeout, format!("not landed after {} s: {}", limit.as_secs_f64(), state.join(" · ")))
    }
}

fn words(clause: &str) -> &str {
    match clause {
        "issues_closed" => "closed",
        "no_worker_busy" => "no worker busy",
        "convoy_closed" => "convoy closed",
        other => other,
    }
}

fn landed(look: &Look) -> Done {
    let short = |reading: &crate::landed::signs::Reading| match (name(reading.clause), reading.now.as_str()) {
        ("convoy_closed", "yes") => "convoy closed".to_owned(),
        ("no_worker_busy", "yes") => "no worker busy".to_owned(),
        (clause, now) => format!("{} {now}", words(clause)),
    };
    let mut done = Done::new(look.readings.iter().map(short).collect::<Vec<_>>().join(" · "));
    for reading in &look.readings {
        done = done.fact(words(name(reading.clause)), format!("{} ({})", reading.now, reading.source));
    }
    done
}

fn event_text(event: &TownEvent) -> String {
    let values: Vec<String> = event
        .payload
        .iter()
        .map(|(key, value)| format!("{key}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect();
    super::live::one_line(&format!("{} {}", event.actor, values.join(" ")))
}
