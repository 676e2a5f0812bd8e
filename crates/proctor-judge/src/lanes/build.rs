//! Puts the picture together: lanes from sessions and from agents that only left records, then events into lanes.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::identity::{Book, Who, short};
use super::joins;
use super::material::{LogRow, Material};
use super::record::{self, one_line};
use super::signs::{self, seconds};
use super::{Event, Kind, Lane, LaneKind, Lanes, Share, Source, Tally, links};
use crate::evidence::{AgentId, AgentRow, Exchange, Mail, MergeRequest, Session, Time};

/// Joins what was read into a picture.
pub(crate) fn build(material: &Material) -> Lanes {
    let book = Book::of(material);
    let owners: Vec<Who> = material.logs.iter().map(|row| book.who(row)).collect();
    let origin = origin(material);
    let mut builder = Builder::new(material, &book, &owners, origin);
    builder.add_logs();
    builder.add_exchanges();
    builder.add_mails();
    builder.add_merge_requests();
    builder.finish(&book)
}

fn origin(material: &Material) -> Time {
    let logs = material.logs.iter().map(|row| Time::from_timestamp_nanos(row.time_ns));
    let rest = material.exchanges.iter().map(|row| row.at).chain(material.sessions.iter().map(|row| row.started_at));
    match &material.run {
        Some(run) => run.started_at,
        None => logs.chain(rest).min().unwrap_or_default(),
    }
}

struct Builder<'a> {
    material: &'a Material,
    owners: &'a [Who],
    origin: Time,
    lanes: Vec<Lane>,
    by_agent: HashMap<AgentId, Vec<usize>>,
    by_run: HashMap<&'a str, usize>,
    queues: HashMap<String, usize>,
    events: Vec<Event>,
    taken: HashSet<usize>,
    mails_of_logs: HashMap<usize, usize>,
    tally: Tally,
}

impl<'a> Builder<'a> {
    fn new(material: &'a Material, book: &Book, owners: &'a [Who], origin: Time) -> Builder<'a> {
        let mut builder = Builder {
            material,
            owners,
            origin,
            lanes: lanes(material, book, owners, origin),
            by_agent: HashMap::new(),
            by_run: HashMap::new(),
            queues: HashMap::new(),
            events: Vec::new(),
            taken: HashSet::new(),
            mails_of_logs: HashMap::new(),
            tally: Tally {
                log_records: material.logs.len() as u64,
                exchanges: material.exchanges.len() as u64,
                mails: material.mail.len() as u64,
                merge_requests: material.merge_requests.len() as u64,
                unreadable: material.unreadable.clone(),
                ..Tally::default()
            },
        };
        builder.index_lanes();
        builder
    }

    fn index_lanes(&mut self) {
        for (index, lane) in self.lanes.iter().enumerate() {
            match lane.kind {
                LaneKind::Session | LaneKind::Agent => self.by_agent.entry(lane.agent.clone()).or_default().push(index),
                LaneKind::MergeQueue => {
                    self.queues.insert(lane.rig.clone().unwrap_or_default(), index);
                }
                LaneKind::Unattributed | LaneKind::Contradicted => {}
            }
        }
        let ids = session_ids(&self.material.sessions);
        let by_id: HashMap<&str, usize> = self.lanes.iter().enumerate().map(|(index, lane)| (lane.id.as_str(), index)).collect();
        for (session, id) in self.material.sessions.iter().zip(&ids) {
            if let Some(&lane) = by_id.get(id.as_str()) {
                self.by_run.insert(&session.run_id, lane);
            }
        }
    }

    fn add_logs(&mut self) {
        let (material, owners) = (self.material, self.owners);
        let owner = |index: usize| match &owners[index] {
            Who::Agent(agent, _) => Some(agent.clone()),
            _ => None,
        };
        let calls = joins::model_calls(material, owner);
        self.taken = calls.values().copied().collect();
        let mails = joins::mails(material);
        for (index, row) in material.logs.iter().enumerate() {
            if let Some(&mail) = sent_mail(row).and_then(|id| mails.get(id)) {
                self.mails_of_logs.entry(mail).or_insert(index);
                self.joined("mail record joined with the mail");
                continue;
            }
            let exchange = calls.get(&index).copied();
            self.add_log(index, row, exchange);
            // Gas Town's record of a reading names the mail by its id alone.
            let read = row.field("msg.id").filter(|_| row.field("operation") == Some("read"));
            if let (Some(&mail), Some(event)) = (read.and_then(|id| mails.get(id)), self.events.last_mut()) {
                event.title = one_line(&format!("reads mail: {}", material.mail[mail].subject));
            }
        }
    }

    fn joined(&mut self, reason: &str) {
        *self.tally.joined.entry(reason.to_owned()).or_default() += 1;
    }

    fn add_log(&mut self, index: usize, row: &LogRow, exchange: Option<usize>) {
        let told = record::tell(row);
        let end = seconds(self.origin, Time::from_timestamp_nanos(row.time_ns));
        let lane = self.lane_of(&self.owners[index], end, told.cost_usd);
        let (mut id, mut title) = (format!("e{}", row.seq), told.title);
        if let Some(exchange) = exchange.map(|place| &self.material.exchanges[place]) {
            id = format!("x{}", exchange.n);
            title = exchange_title(exchange);
            self.joined("model call joined with the gateway's exchange");
        }
        self.events.push(Event {
            id,
            lane,
            start: end - told.seconds,
            end,
            kind: told.kind,
            title,
            error: told.error,
            cost_usd: told.cost_usd,
            input_tokens: told.input_tokens,
            output_tokens: told.output_tokens,
            source: Source { log: Some(index), exchange, ..Source::default() },
        });
    }

    /// The lane of a record, counting those of nobody.
    fn lane_of(&mut self, who: &Who, at: f64, cost: Option<f64>) -> usize {
        let (kind, shares, reason) = match who {
            Who::Agent(agent, run) => match self.agent_lane(agent, run.as_deref(), at) {
                Some(lane) => return lane,
                None => (LaneKind::Unattributed, &mut self.tally.unattributed, format!("unknown agent {agent}")),
            },
            Who::Contradicted(claimed) => (LaneKind::Contradicted, &mut self.tally.contradicted, format!("claims {claimed}")),
            Who::Nobody(reason) => (LaneKind::Unattributed, &mut self.tally.unattributed, reason.clone()),
        };
        let share: &mut Share = shares.entry(reason).or_default();
        share.count += 1;
        share.cost_usd += cost.unwrap_or(0.0);
        self.bucket(kind)
    }

    fn agent_lane(&self, agent: &str, run: Option<&str>, at: f64) -> Option<usize> {
        let lanes = self.by_agent.get(agent)?;
        let by_run = run.and_then(|run| self.by_run.get(run)).filter(|lane| lanes.contains(lane));
        by_run.copied().or_else(|| lane_at(&self.lanes, lanes, at))
    }

    fn bucket(&mut self, kind: LaneKind) -> usize {
        if let Some(index) = self.lanes.iter().position(|lane| lane.kind == kind) {
            return index;
        }
        let (id, label) = match kind {
            LaneKind::Contradicted => ("contradicted", "contradicted identity"),
            _ => ("nobody", "unattributed"),
        };
        self.lanes.push(Lane { id: id.into(), label: label.into(), ..empty_lane(kind) });
        self.lanes.len() - 1
    }

    fn add_exchanges(&mut self) {
        for (index, exchange) in self.material.exchanges.iter().enumerate() {
            if self.taken.contains(&index) {
                continue;
            }
            let start = seconds(self.origin, exchange.at);
            let who = Who::Agent(exchange.agent.clone(), None);
            let lane = self.lane_of(&who, start, None);
            self.events.push(Event {
                id: format!("x{}", exchange.n),
                lane,
                start,
                end: start + exchange.duration_ms / 1e3,
                kind: Kind::ModelCall,
                title: exchange_title(exchange),
                error: exchange.status >= 400,
                cost_usd: None,
                input_tokens: Some(exchange.input_tokens),
                output_tokens: Some(exchange.output_tokens),
                source: Source { exchange: Some(index), ..Source::default() },
            });
        }
    }

    fn add_mails(&mut self) {
        let book = Book::of(self.material);
        for (index, mail) in self.material.mail.iter().enumerate() {
            let at = seconds(self.origin, mail.at);
            let who = match book.resolve(&mail.from) {
                Some(agent) => Who::Agent(agent.clone(), None),
                None => Who::Nobody(format!("mail from {}, which is no agent", mail.from)),
            };
            let lane = self.lane_of(&who, at, None);
            let source = Source { mail: Some(index), log: self.mails_of_logs.get(&index).copied(), ..Source::default() };
            let event = point(mail_id(mail), lane, at, Kind::Mail, format!("mail to {}: {}", mail.to, mail.subject));
            self.events.push(Event { source, ..event });
        }
    }

    fn add_merge_requests(&mut self) {
        for (index, request) in self.material.merge_requests.iter().enumerate() {
            let Some(&lane) = self.queues.get(&request.rig) else { continue };
            let start = seconds(self.origin, request.created_at);
            let event = point(format!("q-{}", request.id), lane, start, Kind::Merge, merge_title(request));
            self.events.push(Event {
                end: request.closed_at.map_or(start, |time| seconds(self.origin, time)),
                error: matches!(request.status.as_str(), "conflict" | "rejected"),
                source: Source { merge_request: Some(index), ..Source::default() },
                ..event
            });
        }
    }

    fn finish(mut self, book: &Book) -> Lanes {
        self.events.sort_by(|a, b| a.start.total_cmp(&b.start).then_with(|| a.id.cmp(&b.id)));
        let (start, end, live) = self.extent();
        self.close_open_merges(end);
        self.close_lanes(end);
        self.count();
        let clauses = signs::clauses(self.origin, &self.material.signs);
        let mut lanes = Lanes {
            origin: self.origin,
            start,
            end,
            live,
            phases: self.material.run.as_ref().map(|run| signs::phases(run, end)).unwrap_or_default(),
            clauses,
            marks: Vec::new(),
            lanes: self.lanes,
            events: self.events,
            links: Vec::new(),
            tally: self.tally,
        };
        let landed = lanes.landed_at();
        lanes.marks = signs::marks(self.material.run.as_ref(), &self.material.faults, self.origin, landed);
        links::draw(&mut lanes, self.material, book);
        lanes
    }

    fn extent(&self) -> (f64, f64, bool) {
        let run = self.material.run.as_ref();
        let live = run.is_some_and(|run| run.ended_at.is_none());
        let mut times: Vec<f64> = vec![0.0];
        times.extend(self.events.iter().flat_map(|event| [event.start, event.end]));
        let rows = self.material.sessions.iter().flat_map(|row| [Some(row.started_at), row.ended_at]);
        let signs = self.material.signs.iter().map(|sign| Some(sign.last_seen));
        let phases = run.into_iter().flat_map(|run| &run.phases).flat_map(|row| [Some(row.started_at), row.ended_at]);
        let ended = run.and_then(|run| run.ended_at);
        let moments = rows.chain(signs).chain(phases).chain([ended]).flatten();
        times.extend(moments.map(|time| seconds(self.origin, time)));
        let start = times.iter().copied().fold(0.0, f64::min);
        let end = times.iter().copied().fold(0.0, f64::max);
        (start, end.max(start + 0.001), live)
    }

    fn close_open_merges(&mut self, end: f64) {
        for event in self.events.iter_mut().filter(|event| event.kind == Kind::Merge) {
            let request = event.source.merge_request.map(|index| &self.material.merge_requests[index]);
            if request.is_some_and(|request| request.closed_at.is_none()) {
                event.end = end;
            }
        }
    }

    fn close_lanes(&mut self, end: f64) {
        let mut spans: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
        for event in &self.events {
            let span = spans.entry(event.lane).or_insert((event.start, event.end));
            *span = (span.0.min(event.start), span.1.max(event.end));
        }
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            match (lane.kind, spans.get(&index)) {
                (LaneKind::Session, _) if !lane.ended => lane.end = end,
                (LaneKind::Session, _) | (_, None) => {}
                (_, Some(&(first, last))) => (lane.start, lane.end) = (first, last),
            }
        }
    }

    fn count(&mut self) {
        self.tally.events = self.events.len() as u64;
        for event in &self.events {
            let lane = &mut self.lanes[event.lane];
            *lane.counts.entry(event.kind.name()).or_default() += 1;
            *self.tally.kinds.entry(event.kind.name()).or_default() += 1;
            lane.errors += u64::from(event.error);
            lane.input_tokens += event.input_tokens.unwrap_or(0);
            lane.output_tokens += event.output_tokens.unwrap_or(0);
            if let Some(cost) = event.cost_usd {
                *lane.cost_usd.get_or_insert(0.0) += cost;
                *self.tally.cost_usd.get_or_insert(0.0) += cost;
            }
        }
    }
}

/// Of an agent's lanes the last that had begun at that second, else its first.
pub(crate) fn lane_at(lanes: &[Lane], of_agent: &[usize], at: f64) -> Option<usize> {
    let begun = of_agent.iter().copied().filter(|&index| lanes[index].start <= at + 0.001);
    let last = begun.max_by(|&a, &b| lanes[a].start.total_cmp(&lanes[b].start));
    last.or_else(|| of_agent.first().copied())
}

/// The id of a mail's event.
pub(crate) fn mail_id(mail: &Mail) -> String {
    format!("m-{}", mail.id)
}

/// The mail that a record says was sent.
pub(crate) fn sent_mail(row: &LogRow) -> Option<&str> {
    let sent = row.body == "mail" && row.field("operation") == Some("send") && row.contradicted.is_none();
    row.field("msg.id").filter(|_| sent)
}

fn point(id: String, lane: usize, at: f64, kind: Kind, title: String) -> Event {
    Event {
        id,
        lane,
        start: at,
        end: at,
        kind,
        title: one_line(&title),
        error: false,
        cost_usd: None,
        input_tokens: None,
        output_tokens: None,
        source: Source::default(),
    }
}

fn exchange_title(exchange: &Exchange) -> String {
    if let Some(miss) = &exchange.miss {
        return one_line(&format!("no script answer: {miss}"));
    }
    if exchange.status >= 400 {
        let fault = exchange.fault.as_ref().map_or(String::new(), |name| format!(" (fault {name})"));
        return format!("HTTP {}{fault}", exchange.status);
    }
    match one_line(&exchange.answered) {
        text if text.is_empty() => exchange.model.clone().unwrap_or_else(|| exchange.request.clone()),
        text => text,
    }
}

fn merge_title(request: &MergeRequest) -> String {
    let merged =
        request.merge_commit.as_ref().map_or(String::new(), |sha| format!(" as {}", sha.chars().take(9).collect::<String>()));
    format!("{} {} {}{merged}", request.issue, request.branch, request.status)
}

fn unique(id: String, seen: &mut HashMap<String, u32>) -> String {
    let count = seen.entry(id.clone()).or_default();
    *count += 1;
    if *count == 1 { id } else { format!("{id}.{count}") }
}

/// Ids of session lanes: the session's name, with `.2` for its second life.
fn session_ids(sessions: &[Session]) -> Vec<String> {
    let mut order: Vec<usize> = (0..sessions.len()).collect();
    order.sort_by_key(|&index| sessions[index].started_at);
    let mut seen = HashMap::new();
    let mut ids = vec![String::new(); sessions.len()];
    for index in order {
        ids[index] = unique(sessions[index].session.clone(), &mut seen);
    }
    ids
}

fn empty_lane(kind: LaneKind) -> Lane {
    Lane {
        id: String::new(),
        kind,
        agent: AgentId::new(),
        label: String::new(),
        role: String::new(),
        rig: None,
        session: None,
        issue: None,
        program: None,
        start: 0.0,
        end: 0.0,
        ended: false,
        exit: None,
        counts: BTreeMap::new(),
        errors: 0,
        input_tokens: 0,
        output_tokens: 0,
        cost_usd: None,
    }
}

fn lanes(material: &Material, book: &Book, owners: &[Who], origin: Time) -> Vec<Lane> {
    let mut lanes: Vec<Lane> = material
        .sessions
        .iter()
        .zip(session_ids(&material.sessions))
        .map(|(session, id)| session_lane(session, id, material, origin))
        .collect();
    let with_session: HashSet<&str> = material.sessions.iter().map(|row| row.agent.as_str()).collect();
    let mut others: Vec<&AgentId> = book.agents().filter(|agent| !with_session.contains(agent.as_str())).collect();
    others.sort();
    lanes.extend(others.into_iter().map(|agent| agent_lane(agent, material, owners)));
    lanes.extend(queue_rigs(material).into_iter().map(queue_lane));
    lanes.sort_by(|a, b| order(a).cmp(&order(b)).then(a.start.total_cmp(&b.start)));
    lanes
}

/// Coordinator first, then rig by rig workers before the merge queue.
fn order(lane: &Lane) -> (u8, String, u8, String) {
    let group = match (lane.kind, lane.role.as_str(), &lane.rig) {
        (_, "mayor", _) => 0,
        (_, _, Some(_)) => 1,
        _ => 2,
    };
    (group, lane.rig.clone().unwrap_or_default(), u8::from(lane.kind == LaneKind::MergeQueue), lane.agent.clone())
}

fn session_lane(session: &Session, id: String, material: &Material, origin: Time) -> Lane {
    let start = seconds(origin, session.started_at);
    Lane {
        id,
        agent: session.agent.clone(),
        label: short(&session.agent),
        role: session.role.clone(),
        rig: session.rig.clone(),
        session: Some(session.session.clone()),
        issue: session.issue.clone(),
        program: agent_row(material, &session.agent).map(|row| row.program.clone()),
        start,
        end: session.ended_at.map_or(start, |time| seconds(origin, time)).max(start),
        ended: session.ended_at.is_some(),
        exit: session.exit.clone(),
        ..empty_lane(LaneKind::Session)
    }
}

fn agent_row<'a>(material: &'a Material, agent: &str) -> Option<&'a AgentRow> {
    material.agents.iter().find(|row| row.agent == agent)
}

fn agent_lane(agent: &AgentId, material: &Material, owners: &[Who]) -> Lane {
    let own = || {
        let pairs = material.logs.iter().zip(owners);
        pairs.filter(|(_, who)| matches!(who, Who::Agent(owner, _) if owner == agent)).map(|(row, _)| row)
    };
    let learn = |key: &str| own().find_map(|row| row.field(key)).map(str::to_owned);
    let (rig, role) = rig_and_role(agent);
    Lane {
        id: format!("agent:{agent}"),
        agent: agent.clone(),
        label: short(agent),
        role,
        rig,
        session: learn("gt.session"),
        issue: learn("gt.issue"),
        program: agent_row(material, agent).map(|row| row.program.clone()),
        ..empty_lane(LaneKind::Agent)
    }
}

/// `(alice, polecat)` of `alice/polecats/furiosa`, as the address's form says.
fn rig_and_role(agent: &str) -> (Option<String>, String) {
    match agent.split('/').collect::<Vec<_>>()[..] {
        [role] => (None, role.to_owned()),
        [rig, role] => (Some(rig.to_owned()), role.to_owned()),
        [rig, roles, ..] => (Some(rig.to_owned()), roles.trim_end_matches('s').to_owned()),
        [] => (None, String::new()),
    }
}

fn queue_rigs(material: &Material) -> Vec<String> {
    let mut rigs: Vec<String> = material.merge_requests.iter().map(|request| request.rig.clone()).collect();
    rigs.sort();
    rigs.dedup();
    rigs
}

fn queue_lane(rig: String) -> Lane {
    Lane {
        id: format!("queue:{rig}"),
        label: format!("{rig} merge queue"),
        role: "refinery".into(),
        rig: Some(rig),
        ..empty_lane(LaneKind::MergeQueue)
    }
}
