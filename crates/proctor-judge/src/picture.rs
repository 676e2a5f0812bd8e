//! The run as one self-contained SVG.
//!
//! The time until landing has most of the width. Phases on top, one lane per agent below, landed clauses as marks on the same axis. Colours are CSS variables with a light and
//! a dark set of defaults, so that the picture follows the page it is part of, or the reader's system when it stands alone.

use std::fmt::Write as _;

mod scale;

use scale::Scale;

use crate::lanes::{ClauseMark, Event, Kind, Lane, LaneKind, Lanes, Link, LinkKind, Mark, PhaseSpan};

/// How the picture is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Width in CSS pixels; at least 320.
    pub width: f64,
    /// `None`: as the reader's system is set; else always dark or always light.
    pub dark: Option<bool>,
}

impl Default for Options {
    fn default() -> Self {
        Options { width: 1100.0, dark: None }
    }
}

const FONT: &str = "ui-sans-serif, system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif";
/// Below this width labels are short and the legend has several rows.
const NARROW: f64 = 600.0;
const RIGHT: f64 = 16.0;
const PHASE_H: f64 = 24.0;
const LANE_H: f64 = 38.0;
const FLAG_H: f64 = 17.0;
const AXIS_H: f64 = 22.0;
const LEGEND_H: f64 = 24.0;

/// Draws the run. The same picture gives the same bytes.
#[must_use]
pub fn timeline_svg(lanes: &Lanes, options: &Options) -> String {
    let drawing = Drawing::new(lanes, options);
    let mut svg = String::new();
    drawing.open(&mut svg);
    drawing.axis(&mut svg);
    drawing.phases(&mut svg);
    drawing.lanes(&mut svg);
    drawing.links(&mut svg);
    drawing.flags(&mut svg);
    drawing.legend(&mut svg);
    svg.push_str("</svg>\n");
    svg
}

/// Lanes that nobody misses are told in one line from this number on: a real town keeps seven agents that only stand by.
const IDLE: usize = 3;
const IDLE_H: f64 = 22.0;

/// The row of each lane, `None` for agents that asked no model, called no tool, and are at no end of an arrow.
fn rows(lanes: &Lanes) -> Vec<Option<usize>> {
    let linked = |index: usize| lanes.links.iter().any(|link| link.from == index || link.to == index);
    let acts = |lane: &Lane| [Kind::ModelCall, Kind::ToolCall].iter().any(|kind| lane.counts.contains_key(kind.name()));
    let is_agent = |lane: &Lane| matches!(lane.kind, LaneKind::Session | LaneKind::Agent);
    let stands_by = |index: usize, lane: &Lane| {
        is_agent(lane) && !acts(lane) && !linked(index) && lane.errors == 0 && !["mayor", "polecat"].contains(&lane.role.as_str())
    };
    let idle: Vec<bool> = lanes.lanes.iter().enumerate().map(|(index, lane)| stands_by(index, lane)).collect();
    let fold = idle.iter().filter(|idle| **idle).count() >= IDLE;
    let mut row = 0..;
    idle.into_iter().map(|idle| if idle && fold { None } else { row.next() }).collect()
}

/// A moment that has a text of its own below the phases, and a line down through the lanes.
struct Flag {
    at: f64,
    text: String,
    title: String,
    class: &'static str,
}

impl Flag {
    /// A landed clause, from when on it holds.
    fn of_clause(clause: &ClauseMark) -> Option<Flag> {
        let at = clause.since?;
        let text = format!("{} +{}", clause.label, time_text(at));
        Some(Flag { at, title: format!("{text} ({}, {})", clause.now, clause.source), text, class: "held" })
    }

    /// A planned fault that fired.
    fn of_fault(mark: &Mark) -> Option<Flag> {
        let text = format!("{} +{}", mark.label, time_text(mark.at));
        (mark.kind == "fault").then(|| Flag { at: mark.at, title: format!("{text} ({})", mark.detail), text, class: "fault" })
    }
}

/// A flag with its place.
struct Placed {
    flag: Flag,
    x: f64,
    row: usize,
    /// Where its text begins, or where it ends.
    text: (f64, &'static str),
}

struct Drawing<'a> {
    lanes: &'a Lanes,
    dark: Option<bool>,
    width: f64,
    /// Width of the lanes' names.
    labels: f64,
    scale: Scale,
    placed: Vec<Placed>,
    /// The row of each lane; absent for those that are told in one line.
    rows: Vec<Option<usize>>,
}

impl<'a> Drawing<'a> {
    fn new(lanes: &'a Lanes, options: &Options) -> Self {
        let width = options.width.max(320.0);
        let labels = if width < NARROW { 98.0 } else { 168.0 };
        let waited = lanes.phases.iter().find(|phase| phase.number == 6 && phase.ended).map(|phase| phase.end);
        let scale = Scale::new((lanes.start, lanes.end), (labels, width - RIGHT), waited);
        let mut drawing = Drawing { lanes, dark: options.dark, width, labels, scale, placed: Vec::new(), rows: rows(lanes) };
        drawing.placed = drawing.place_flags();
        drawing
    }

    fn x(&self, at: f64) -> f64 {
        self.scale.x(at)
    }

    /// The label of the clauses takes a row even when none holds.
    fn flag_rows(&self) -> usize {
        let label = usize::from(!self.lanes.clauses.is_empty());
        self.placed.iter().map(|placed| placed.row + 1).max().unwrap_or(0).max(label)
    }

    fn lanes_top(&self) -> f64 {
        PHASE_H + 8.0 + self.flag_rows() as f64 * FLAG_H + 6.0
    }

    fn lanes_bottom(&self) -> f64 {
        let idle = if self.idle().next().is_some() { IDLE_H } else { 0.0 };
        self.lanes_top() + self.rows.iter().flatten().count() as f64 * LANE_H + idle
    }

    /// Lanes that are told in one line.
    fn idle(&self) -> impl Iterator<Item = &'a Lane> + '_ {
        self.lanes.lanes.iter().zip(&self.rows).filter(|(_, row)| row.is_none()).map(|(lane, _)| lane)
    }

    fn height(&self) -> f64 {
        self.lanes_bottom() + AXIS_H + LEGEND_H * self.legend_places().last().map_or(1.0, |(_, row)| row + 1.0)
    }

    fn lane_y(&self, index: usize) -> f64 {
        self.lanes_top() + self.rows.get(index).copied().flatten().unwrap_or(index) as f64 * LANE_H
    }

    /// Flags go into the first row in which their text does not touch the one before.
    fn place_flags(&self) -> Vec<Placed> {
        let clauses = self.lanes.clauses.iter().filter_map(Flag::of_clause);
        let mut flags: Vec<Flag> = clauses.chain(self.lanes.marks.iter().filter_map(Flag::of_fault)).collect();
        flags.sort_by(|a, b| a.at.total_cmp(&b.at));
        let mut rows: Vec<f64> = Vec::new();
        let mut placed = Vec::new();
        for flag in flags.into_iter().rev() {
            let x = self.x(flag.at);
            let text = flag.text.chars().count() as f64 * 6.0 + 12.0;
            let edge = self.width - RIGHT;
            let (from, to, at) = if x + text <= edge {
                (x, x + text, (x + 6.0, "start"))
            } else if x - text >= self.labels {
                (x - text, x, (x - 6.0, "end"))
            } else {
                // On a narrow picture a text has room on neither side of its mark.
                (edge - text, edge, (edge, "end"))
            };
            let row = rows.iter().position(|&edge| to <= edge).unwrap_or(rows.len());
            if row == rows.len() {
                rows.push(from);
            } else {
                rows[row] = from;
            }
            placed.push(Placed { flag, x, row, text: at });
        }
        placed
    }

    fn open(&self, svg: &mut String) {
        let (width, height) = (self.width, self.height());
        let _ = write!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"proctor-timeline\" viewBox=\"0 0 {w} {}\" width=\"{w}\" \
             role=\"img\" aria-labelledby=\"pt-title-{w} pt-desc-{w}\" font-family=\"{FONT}\" font-size=\"11\">\n\
             <title id=\"pt-title-{w}\">The run on one time axis</title>\n<desc id=\"pt-desc-{w}\">{}</desc>\n<style>{}</style>\n",
            n(height),
            escape(&self.description()),
            style(self.dark),
            w = n(width),
        );
        let _ = writeln!(svg, "<rect class=\"bg\" width=\"{}\" height=\"{}\" rx=\"6\"/>", n(width), n(height));
    }

    fn description(&self) -> String {
        let lanes = &self.lanes;
        let agents = lanes.lanes.iter().filter(|lane| matches!(lane.kind, LaneKind::Session | LaneKind::Agent)).count();
        let held = lanes.clauses.iter().filter(|clause| clause.value).count();
        format!(
            "{} phases, {agents} agent sessions, {} events in {}; {held} of {} landed clauses hold{}.",
            lanes.phases.len(),
            lanes.events.len(),
            time_text(lanes.end - lanes.start),
            lanes.clauses.len(),
            lanes.landed_at().map_or(String::new(), |at| format!(", all of them since {}", time_text(at))),
        )
    }

    fn axis(&self, svg: &mut String) {
        let (top, bottom) = (PHASE_H + 4.0, self.lanes_bottom());
        for part in self.scale.parts() {
            let step = tick_step(part.to - part.from, (part.right - part.left) / 90.0);
            let mut tick = (part.from / step).ceil();
            while tick * step <= part.to {
                let x = self.x(tick * step);
                tick += 1.0;
                // Two texts at the place where the scale changes would touch.
                if part.left > self.labels && x < part.left + 30.0 {
                    continue;
                }
                let (label, x) = (time_text((tick - 1.0) * step), n(x));
                let _ = writeln!(
                    svg,
                    "<path class=\"grid\" d=\"M{x} {}V{}\"/><text class=\"dim\" x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
                    n(top),
                    n(bottom + 4.0),
                    n(bottom + 15.0)
                );
            }
        }
        self.fold(svg, bottom);
    }

    /// Where the time axis changes its scale: two slanted strokes, and by how much.
    fn fold(&self, svg: &mut String, bottom: f64) {
        let (Some(times), Some(part)) = (self.scale.shrinks(), self.scale.parts().last().copied()) else { return };
        let title = format!("from {} on, time is drawn {times:.0} times shorter", time_text(part.from));
        let (x, y) = (part.left, bottom + 2.0);
        let _ = writeln!(
            svg,
            "<g class=\"fold\"><title>{}</title><path d=\"M{x} {}V{}\"/><path class=\"slant\" d=\"M{} {}l5 -9m1 9l5 -9\"/></g>",
            escape(&title),
            n(PHASE_H + 4.0),
            n(bottom),
            n(x - 5.0),
            n(y + 8.0),
            x = n(x),
        );
    }

    fn phases(&self, svg: &mut String) {
        svg.push_str("<g class=\"phases\">\n<text class=\"dim\" x=\"12\" y=\"16\">phases</text>\n");
        for (index, phase) in self.lanes.phases.iter().enumerate() {
            self.phase(svg, index, phase);
        }
        svg.push_str("</g>\n");
    }

    fn phase(&self, svg: &mut String, index: usize, phase: &PhaseSpan) {
        let (x, end) = (self.x(phase.start), self.x(phase.end));
        let width = (end - x - 1.0).max(1.5);
        let class = match (phase.ok, index % 2) {
            (false, _) if phase.ended => "phase bad",
            (_, 0) => "phase",
            _ => "phase odd",
        };
        let span = time_text(phase.end - phase.start);
        let title = format!("phase {} {}: {span}. {}", phase.number, phase.name, phase.detail);
        let _ = writeln!(
            svg,
            "<g><title>{}</title><rect class=\"{class}\" x=\"{}\" y=\"4\" width=\"{}\" height=\"{}\" rx=\"2\"/>{}</g>",
            escape(&title),
            n(x),
            n(width),
            n(PHASE_H - 6.0),
            phase_label(phase, x, width),
        );
    }

    fn lanes(&self, svg: &mut String) {
        let mut of_lane: Vec<Vec<&Event>> = vec![Vec::new(); self.lanes.lanes.len()];
        for event in &self.lanes.events {
            of_lane[event.lane].push(event);
        }
        for (index, (lane, events)) in self.lanes.lanes.iter().zip(&of_lane).enumerate() {
            if self.rows[index].is_some() {
                self.lane(svg, index, lane, events);
            }
        }
        self.idle_line(svg);
    }

    /// One line for all who were there and did nothing that is drawn.
    fn idle_line(&self, svg: &mut String) {
        let names: Vec<&str> = self.idle().map(|lane| lane.label.as_str()).collect();
        if names.is_empty() {
            return;
        }
        let y = self.lanes_bottom() - IDLE_H;
        let text = format!("{} more asked no model and called no tool: {}", names.len(), names.join(", "));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a line has few letters")]
        let room = ((self.width - 24.0) / 5.8) as usize;
        let _ = writeln!(
            svg,
            "<g class=\"idle\"><title>{}</title><path class=\"rule\" d=\"M8 {}H{}\"/><text class=\"dim\" x=\"12\" y=\"{}\">{}</text></g>",
            escape(&text),
            n(y),
            n(self.width - 8.0),
            n(y + 14.0),
            escape(&cut(&text, room)),
        );
    }

    fn lane(&self, svg: &mut String, index: usize, lane: &Lane, events: &[&Event]) {
        let y = self.lane_y(index);
        let (x, end) = (self.x(lane.start), self.x(lane.end));
        let open = if lane.ended || lane.kind != LaneKind::Session { "" } else { " open" };
        let _ = writeln!(
            svg,
            "<g class=\"lane\"><title>{}</title>\n<path class=\"rule\" d=\"M8 {}H{}\"/>\n\
             <text class=\"name\" x=\"12\" y=\"{}\">{}</text><text class=\"dim\" x=\"12\" y=\"{}\">{}</text>\n\
             <rect class=\"bar {}{open}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"3\"/>",
            escape(&lane_title(lane)),
            n(y),
            n(self.width - 8.0),
            n(y + 16.0),
            escape(&cut(&lane.label, self.letters(6.6))),
            n(y + 29.0),
            escape(&cut(&lane_facts(lane), self.letters(5.6))),
            bar_class(lane),
            n(x),
            n(y + 5.0),
            n((end - x).max(2.0)),
            n(LANE_H - 10.0),
        );
        for row in ROWS {
            self.row(svg, y, events, row);
        }
        self.symbols(svg, y, events);
        svg.push_str("</g>\n");
    }

    /// How many letters of that width a lane's label has room for.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a label has few letters")]
    fn letters(&self, width: f64) -> usize {
        ((self.labels - 14.0) / width).max(4.0) as usize
    }

    /// All events of a row as one path; what falls on the same pixels is drawn once.
    fn row(&self, svg: &mut String, y: f64, events: &[&Event], row: &Row) {
        let spans = events.iter().filter(|event| (row.takes)(event)).map(|event| {
            let x = self.x(event.start);
            (x, self.x(event.end).max(x + 1.2))
        });
        let mut path = String::new();
        for (x, end) in merged(spans.collect()) {
            let _ = write!(path, "M{} {}H{}v{}H{}z", n(x), n(y + row.top), n(end), n(row.height), n(x));
        }
        if !path.is_empty() {
            let _ = writeln!(svg, "<path class=\"{}\" d=\"{path}\"/>", row.class);
        }
    }

    fn symbols(&self, svg: &mut String, y: f64, events: &[&Event]) {
        for (kind, class) in [(Kind::Mail, "mail"), (Kind::Nudge, "nudge"), (Kind::Sling, "sling"), (Kind::Done, "done")] {
            let mut path = String::new();
            let mut last = f64::NEG_INFINITY;
            for event in events.iter().filter(|event| event.kind == kind) {
                let x = self.x(event.end);
                if x - last >= 1.0 {
                    let _ = write!(path, "M{} {}l4 4l-4 4l-4 -4z", n(x), n(y + 15.0));
                    last = x;
                }
            }
            if !path.is_empty() {
                let _ = writeln!(svg, "<path class=\"{class}\" d=\"{path}\"/>");
            }
        }
    }

    fn links(&self, svg: &mut String) {
        svg.push_str("<g class=\"links\">\n");
        // Arrows that would lie on the same pixels are one arrow.
        let mut drawn = std::collections::BTreeSet::new();
        for link in &self.lanes.links {
            let path = self.link_path(link);
            if drawn.insert((link.kind, path.clone())) {
                let class = link_class(link.kind);
                let text = escape(&format!("{class}: {}", link.label));
                let _ = writeln!(svg, "<path class=\"link {class}\" d=\"{path}\"><title>{text}</title></path>");
            }
        }
        svg.push_str("</g>\n");
    }

    fn link_path(&self, link: &Link) -> String {
        let (x, to_x) = (self.x(link.from_at), self.x(link.to_at));
        let (y, to_y) = (self.lane_y(link.from) + LANE_H / 2.0, self.lane_y(link.to) + LANE_H / 2.0);
        let bend = (to_y - y) * 0.55;
        let head = if to_y >= y { -5.0 } else { 5.0 };
        format!(
            "M{} {}C{} {} {} {} {} {}m-3 {}l3 {}l3 {}",
            n(x),
            n(y),
            n(x),
            n(y + bend),
            n(to_x),
            n(to_y - bend),
            n(to_x),
            n(to_y),
            n(head),
            n(-head),
            n(head)
        )
    }

    fn flags(&self, svg: &mut String) {
        let (top, bottom) = (PHASE_H + 6.0, self.lanes_bottom());
        let _ = writeln!(svg, "<g class=\"flags\">");
        if !self.lanes.clauses.is_empty() {
            let _ = writeln!(svg, "<text class=\"dim\" x=\"12\" y=\"{}\">{}</text>", n(top + 13.0), self.clauses_label());
        }
        for Placed { flag, x, row, text: (text_x, anchor) } in &self.placed {
            let y = top + *row as f64 * FLAG_H;
            let _ = writeln!(
                svg,
                "<g class=\"{}\"><title>{}</title><path class=\"moment\" d=\"M{x} {}V{}\"/><circle cx=\"{x}\" cy=\"{}\" r=\"3.5\"/>\
                 <text x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text></g>",
                flag.class,
                escape(&flag.title),
                n(y + 9.0),
                n(bottom),
                n(y + 9.0),
                n(*text_x),
                n(y + 13.0),
                escape(&flag.text),
                x = n(*x),
            );
        }
        svg.push_str("</g>\n");
    }

    fn clauses_label(&self) -> String {
        let held = self.lanes.clauses.iter().filter(|clause| clause.value).count();
        let missing: Vec<&str> =
            self.lanes.clauses.iter().filter(|clause| !clause.value).map(|clause| clause.label.as_str()).collect();
        let not = if missing.is_empty() { String::new() } else { format!(", not {}", missing.join(", ")) };
        escape(&cut(&format!("landed {held}/{}{not}", self.lanes.clauses.len()), self.letters(5.7)))
    }

    fn legend(&self, svg: &mut String) {
        let top = self.lanes_bottom() + AXIS_H + LEGEND_H - 8.0;
        for ((class, label, _), (x, row)) in self.legend_entries().zip(self.legend_places()) {
            let y = top + row * LEGEND_H;
            let _ = writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"10\" height=\"8\" rx=\"1\"/><text class=\"dim\" x=\"{}\" y=\"{}\">{label}</text>",
                n(x),
                n(y - 8.0),
                n(x + 14.0),
                n(y)
            );
        }
    }

    /// The kinds that the run has.
    fn legend_entries(&self) -> impl Iterator<Item = &'static (&'static str, &'static str, Kind)> + '_ {
        LEGEND.iter().filter(|(_, _, kind)| self.lanes.tally.kinds.contains_key(kind.name()))
    }

    /// Pixel and row of each: what finds no room begins a row.
    fn legend_places(&self) -> Vec<(f64, f64)> {
        let begin = if self.width < NARROW { 12.0 } else { self.labels };
        let (mut x, mut row) = (begin, 0.0);
        let mut places = Vec::new();
        for (_, label, _) in self.legend_entries() {
            let width = label.len() as f64 * 5.6 + 32.0;
            if x + width > self.width && x > begin {
                (x, row) = (begin, row + 1.0);
            }
            places.push((x, row));
            x += width;
        }
        places
    }
}

const LEGEND: [(&str, &str, Kind); 7] = [
    ("model", "model call", Kind::ModelCall),
    ("tool", "tool call", Kind::ToolCall),
    ("mail", "mail", Kind::Mail),
    ("nudge", "nudge", Kind::Nudge),
    ("sling", "sling", Kind::Sling),
    ("done", "done", Kind::Done),
    ("merge", "merge", Kind::Merge),
];

struct Row {
    class: &'static str,
    takes: fn(&Event) -> bool,
    top: f64,
    height: f64,
}

const ROWS: &[Row] = &[
    Row { class: "merge", takes: |event| event.kind == Kind::Merge && !event.error, top: 9.0, height: 20.0 },
    Row { class: "model", takes: |event| event.kind == Kind::ModelCall && !event.error, top: 8.0, height: 10.0 },
    Row { class: "tool", takes: |event| event.kind == Kind::ToolCall && !event.error, top: 20.0, height: 10.0 },
    Row { class: "rest", takes: is_small, top: 18.2, height: 1.6 },
    Row { class: "bad", takes: |event| event.error, top: 8.0, height: 22.0 },
];

fn is_small(event: &Event) -> bool {
    use Kind::{Bd, Lifecycle, Other, Prime, Prompt};
    matches!(event.kind, Prompt | Prime | Bd | Lifecycle | Other) && !event.error
}

/// Intervals that touch or overlap become one.
fn merged(mut spans: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    spans.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut out: Vec<(f64, f64)> = Vec::new();
    for (x, end) in spans {
        match out.last_mut() {
            // Less than half a pixel apart cannot be told apart.
            Some(last) if x - last.1 < 0.5 => last.1 = last.1.max(end),
            _ => out.push((x, end)),
        }
    }
    out
}

fn phase_label(phase: &PhaseSpan, x: f64, width: f64) -> String {
    let whole = format!("{} {}", phase.number, phase.name);
    let fits = |text: &str| text.chars().count() as f64 * 5.9 + 8.0 <= width;
    let number = phase.number.to_string();
    let Some(text) = [whole, number].into_iter().find(|text| fits(text)) else { return String::new() };
    format!("<text class=\"phasetext\" x=\"{}\" y=\"17\">{}</text>", n(x + 5.0), escape(&text))
}

fn bar_class(lane: &Lane) -> &'static str {
    match (lane.kind, lane.role.as_str()) {
        (LaneKind::MergeQueue, _) => "queue",
        (LaneKind::Unattributed | LaneKind::Contradicted, _) => "nobody",
        (_, "mayor") => "mayor",
        _ => "worker",
    }
}

fn lane_facts(lane: &Lane) -> String {
    let count = |kind: Kind| lane.counts.get(kind.name()).copied().unwrap_or(0);
    match lane.kind {
        LaneKind::MergeQueue => plural(count(Kind::Merge), "submission"),
        LaneKind::Unattributed | LaneKind::Contradicted => plural(lane.counts.values().sum(), "record"),
        _ => format!("{} model · {} tool calls", count(Kind::ModelCall), count(Kind::ToolCall)),
    }
}

fn plural(count: u64, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

fn lane_title(lane: &Lane) -> String {
    let exit = lane.exit.as_ref().map_or(String::new(), |exit| format!(", {exit}"));
    let issue = lane.issue.as_ref().map_or(String::new(), |issue| format!(", issue {issue}"));
    let cost = lane.cost_usd.map_or(String::new(), |cost| format!(", ${cost:.4}"));
    let tokens = lane.input_tokens + lane.output_tokens;
    format!(
        "{}: {} to {}{exit}{issue}, {}, {tokens} tokens{cost}",
        lane.label,
        time_text(lane.start),
        time_text(lane.end),
        lane_facts(lane)
    )
}

fn link_class(kind: LinkKind) -> &'static str {
    match kind {
        LinkKind::Sling => "sling",
        LinkKind::Mail => "mail",
        LinkKind::Nudge => "nudge",
        LinkKind::Done => "done",
    }
}

/// A length of time with its unit: `40 ms`, `12.31 s`, `3 min 20 s`, `1 h 04 min`.
fn time_text(seconds: f64) -> String {
    let size = seconds.abs();
    if size < 1e-9 {
        return "0 s".into();
    }
    if size < 0.9995 {
        return format!("{} ms", n(seconds * 1e3));
    }
    if size < 99.995 {
        return format!("{} s", n((seconds * 100.0).round() / 100.0));
    }
    let whole = seconds.round();
    if size < 3600.0 {
        return format!("{} min {:02} s", (whole / 60.0).floor(), whole % 60.0);
    }
    format!("{} h {:02} min", (whole / 3600.0).floor(), (whole % 3600.0 / 60.0).floor())
}

/// The least of 1, 2, 5 times a power of ten (then of minutes and hours) that gives at most `most` ticks.
fn tick_step(span: f64, most: f64) -> f64 {
    let least = span / most.max(1.0);
    if least > 20.0 {
        let minutes = [30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0, 43200.0, 86400.0];
        return minutes.into_iter().find(|step| *step >= least).unwrap_or(86400.0 * (least / 86400.0).ceil());
    }
    let power = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|step| *step >= least).unwrap_or(least)
}

/// A number with at most two decimals and no trailing zeros.
fn n(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.to_owned() }
}

fn cut(text: &str, chars: usize) -> String {
    if text.chars().count() <= chars {
        return text.to_owned();
    }
    text.chars().take(chars - 1).chain(['…']).collect()
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in crate::visible::visible_line(text).chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            char => out.push(char),
        }
    }
    out
}

const LIGHT: &str = "--pt-bg:#ffffff;--pt-ink:#1c2330;--pt-dim:#5b6677;--pt-grid:#e6e9ef;--pt-phase:#dfe5ee;--pt-odd:#eef1f6;\
--pt-mayor:#ece7fb;--pt-worker:#e4eefc;--pt-queue:#e6f3ea;--pt-nobody:#f1ece2;--pt-edge:#b9c3d3;--pt-model:#3b6fd4;--pt-tool:#d08a1d;\
--pt-mail:#a33fae;--pt-nudge:#0f8f8f;--pt-sling:#6b4bd0;--pt-done:#2c8a4b;--pt-merge:#58b077;--pt-bad:#d23b3b;--pt-held:#1f7a3d;--pt-rest:#8b96a8;";
const DARK: &str = "--pt-bg:#12161d;--pt-ink:#e4e9f2;--pt-dim:#97a3b6;--pt-grid:#232a36;--pt-phase:#2d3747;--pt-odd:#222a37;\
--pt-mayor:#2b2646;--pt-worker:#1d2c44;--pt-queue:#1c3326;--pt-nobody:#332d20;--pt-edge:#46536a;--pt-model:#6f9dff;--pt-tool:#e8ad4a;\
--pt-mail:#dd84e6;--pt-nudge:#4fd0cf;--pt-sling:#a792ff;--pt-done:#5ed087;--pt-merge:#3f8f5c;--pt-bad:#ff6b6b;--pt-held:#6fdc94;--pt-rest:#76839a;";
const RULES: &str = ".proctor-timeline{max-width:100%;height:auto}\
.proctor-timeline .bg{fill:var(--pt-bg)}.proctor-timeline text{fill:var(--pt-ink)}.proctor-timeline .name{font-weight:600;font-size:12px}\
.proctor-timeline .dim{fill:var(--pt-dim)}.proctor-timeline .grid,.proctor-timeline .rule{stroke:var(--pt-grid);fill:none}\
.proctor-timeline .phase{fill:var(--pt-phase)}.proctor-timeline .odd{fill:var(--pt-odd)}.proctor-timeline .phasetext{font-size:10.5px}\
.proctor-timeline .bar{stroke:var(--pt-edge);stroke-width:.6}.proctor-timeline .open{stroke-dasharray:3 2}\
.proctor-timeline .mayor{fill:var(--pt-mayor)}.proctor-timeline .worker{fill:var(--pt-worker)}.proctor-timeline .queue{fill:var(--pt-queue)}\
.proctor-timeline .nobody{fill:var(--pt-nobody)}.proctor-timeline .model{fill:var(--pt-model)}.proctor-timeline .tool{fill:var(--pt-tool)}\
.proctor-timeline .mail{fill:var(--pt-mail)}.proctor-timeline .nudge{fill:var(--pt-nudge)}.proctor-timeline .sling{fill:var(--pt-sling)}\
.proctor-timeline .done{fill:var(--pt-done)}.proctor-timeline .merge{fill:var(--pt-merge)}.proctor-timeline .rest{fill:var(--pt-rest)}\
.proctor-timeline .bad{fill:var(--pt-bad)}.proctor-timeline .fold path{stroke:var(--pt-edge);fill:none}\
.proctor-timeline .fold .slant{stroke:var(--pt-dim);stroke-width:1.4}.proctor-timeline .link{fill:none;stroke-width:1.1;opacity:.6}\
.proctor-timeline .link.sling{stroke:var(--pt-sling)}.proctor-timeline .link.mail{stroke:var(--pt-mail)}\
.proctor-timeline .link.nudge{stroke:var(--pt-nudge)}.proctor-timeline .link.done{stroke:var(--pt-done)}\
.proctor-timeline .moment{stroke-dasharray:2 3;opacity:.75;fill:none}.proctor-timeline .flags g text{font-weight:600;font-size:10.5px}\
.proctor-timeline .held circle,.proctor-timeline .held text{fill:var(--pt-held)}.proctor-timeline .held .moment{stroke:var(--pt-held)}\
.proctor-timeline .fault circle,.proctor-timeline .fault text{fill:var(--pt-bad)}.proctor-timeline .fault .moment{stroke:var(--pt-bad)}";

fn style(dark: Option<bool>) -> String {
    let base = if dark == Some(true) { DARK } else { LIGHT };
    let follow = match dark {
        // A page that sets `data-theme` decides over the reader's system.
        None => format!(
            "@media (prefers-color-scheme:dark){{.proctor-timeline{{{DARK}}}}}\
             :root[data-theme=light] .proctor-timeline{{{LIGHT}}}:root[data-theme=dark] .proctor-timeline{{{DARK}}}"
        ),
        Some(_) => String::new(),
    };
    format!(".proctor-timeline{{{base}}}{follow}{RULES}")
}

#[cfg(test)]
mod tests;
