//! One script file: TOML to [`Script`], with every problem at its place.
//!
//! The table is walked by hand, not deserialized, because a deserializer stops at its first error.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use regex::{Regex, RegexBuilder};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::world::Condition;
use super::{Merge, Script, ScriptProblem, Step, Town, Turn, World, template};
use crate::shell;

/// Values that every script has without capturing them.
pub(crate) const OWN_VALUES: [&str; 6] = ["agent", "rig", "name", "town", "merge", "daemon"];

/// A script with what only checks need.
pub(super) struct Draft {
    pub(super) script: Script,
    /// Whether it is played in the world it was read for.
    pub(super) present: bool,
    /// Where the role stands, as a problem without message.
    pub(super) role_place: ScriptProblem,
}

/// A turn with the places of its names.
struct TurnDraft {
    turn: Turn,
    present: bool,
    /// Values that its `on` captures.
    groups: Vec<String>,
    /// For each step: the names it uses, with the place of their text.
    uses: Vec<Vec<(String, Range<usize>)>>,
}

/// A step with what can be checked only among the steps that are present.
struct StepDraft {
    step: Step,
    present: bool,
    /// Whether it has a result.
    runs: bool,
    span: Range<usize>,
    uses: Vec<(String, Range<usize>)>,
}

/// Reads one file. The draft is there when role and turns could be read, whatever else is wrong.
pub(super) fn read_script(file: &str, files: &BTreeMap<String, Vec<u8>>, world: World) -> (Option<Draft>, Vec<ScriptProblem>) {
    let content = files.get(file).map(Vec::as_slice).unwrap_or_default();
    let Ok(text) = std::str::from_utf8(content) else {
        return (None, vec![ScriptProblem::whole(file, "is not UTF-8 text".to_owned())]);
    };
    let mut reader = Reader { file, text, files, world, problems: Vec::new() };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        reader.problem(error.span().unwrap_or(0..0), error.message().to_owned());
    }
    // What was recovered from broken TOML would only repeat its errors in other words.
    let draft = if errors.is_empty() { reader.script(&table) } else { None };
    (draft, reader.problems)
}

struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    files: &'a BTreeMap<String, Vec<u8>>,
    world: World,
    problems: Vec<ScriptProblem>,
}

impl Reader<'_> {
    fn script(&mut self, table: &Spanned<DeTable<'_>>) -> Option<Draft> {
        let root = table.get_ref();
        self.known_keys(root, &["schema", "role", "rig", "only", "turn"], "a script");
        self.schema(root);
        let present = self.present(root);
        let role = self.string(root, "role");
        if role.is_none() && !root.contains_key("role") {
            self.problem(0..0, "`role` is missing: it says whom this script plays".to_owned());
        }
        let rig = self.string(root, "rig").map(|(rig, _)| rig);
        let turns = self.turns(root, present);
        let (role, place) = role?;
        Some(Draft {
            script: Script { file: self.file.to_owned(), role, rig, turns },
            present,
            role_place: ScriptProblem::at(self.file, self.text, place, String::new()),
        })
    }

    /// The turns that are present; `asked` is whether anybody is played by them.
    fn turns(&mut self, root: &DeTable<'_>, asked: bool) -> Vec<Turn> {
        let written = self.tables(root, "turn");
        if written.is_empty() && !root.contains_key("turn") {
            self.problem(0..0, "a script needs at least one [[turn]]".to_owned());
        }
        let numbered = written.iter().enumerate();
        let drafts: Vec<TurnDraft> = numbered.map(|(index, turn)| self.turn(turn, index + 1, asked)).collect();
        let present: Vec<TurnDraft> = drafts.into_iter().filter(|draft| draft.present).collect();
        if asked {
            if present.is_empty() && !written.is_empty() {
                let message = format!("no [[turn]] is for {}", self.place());
                self.problem(0..0, message);
            }
            self.check_names(&present);
        }
        present.into_iter().map(|draft| draft.turn).collect()
    }

    fn schema(&mut self, root: &DeTable<'_>) {
        match self.integer(root, "schema") {
            Some((1, _)) => {}
            Some((other, span)) => self.problem(span, format!("schema {other} is not known; this proctor reads schema 1")),
            None if root.contains_key("schema") => {}
            None => self.problem(0..0, "`schema = 1` is missing".to_owned()),
        }
    }

    fn turn(&mut self, value: &Spanned<DeValue<'_>>, number: usize, asked: bool) -> TurnDraft {
        let turn = Turn { number, on: None, steps: Vec::new() };
        let mut draft = TurnDraft { turn, present: true, groups: Vec::new(), uses: Vec::new() };
        let Some(table) = value.get_ref().as_table() else {
            return draft;
        };
        self.known_keys(table, &["on", "only", "step"], "a turn");
        draft.present = self.present(table);
        draft.turn.on = self.regex_of(table, "on");
        let groups = draft.turn.on.iter().flat_map(|on| on.capture_names().flatten());
        draft.groups = groups.map(str::to_owned).collect();
        let written = self.tables(table, "step");
        if written.is_empty() && !table.contains_key("step") {
            self.problem(value.span(), "a turn needs at least one [[turn.step]]".to_owned());
        }
        let numbered = written.iter().enumerate();
        let steps: Vec<StepDraft> = numbered.filter_map(|(index, step)| self.step(step, index + 1)).collect();
        let some = !steps.is_empty();
        let steps: Vec<StepDraft> = steps.into_iter().filter(|draft| draft.present).collect();
        if asked && draft.present {
            if some && steps.is_empty() {
                let message = format!("no [[turn.step]] of this turn is for {}", self.place());
                self.problem(value.span(), message);
            }
            self.check_order(&steps);
        }
        (draft.turn.steps, draft.uses) = steps.into_iter().map(|draft| (draft.step, draft.uses)).unzip();
        draft
    }

    fn step(&mut self, value: &Spanned<DeValue<'_>>, number: usize) -> Option<StepDraft> {
        let table = value.get_ref().as_table()?;
        self.known_keys(table, &["say", "run", "timeout_s", "capture", "write", "need", "only"], "a step");
        let present = self.present(table);
        let say = self.string(table, "say");
        let run = self.string(table, "run");
        let uses = [&say, &run].into_iter().flatten().flat_map(names_used).collect();
        let written = self.written(table);
        let step = Step {
            number,
            say: say.map(|(say, _)| say),
            command: shell::command(&written, run.as_ref().map(|(run, _)| run.as_str())),
            timeout_s: self.timeout(table),
            captures: self.captures(table),
            need: self.regex_of(table, "need"),
        };
        self.check_step(value.span(), table);
        let runs = table.contains_key("run") || table.contains_key("write");
        Some(StepDraft { step, present, runs, span: value.span(), uses })
    }

    /// Whether `only` holds here. One that cannot be read is taken to hold.
    fn present(&mut self, table: &DeTable<'_>) -> bool {
        let mut condition = Condition::default();
        for (key, value) in self.entries(table, "only") {
            match key.get_ref().as_ref() {
                "town" => condition.town = self.one_of(value, "town", &Town::ALL, Town::name),
                "merge" => condition.merge = self.one_of(value, "merge", &Merge::ALL, Merge::name),
                "daemon" => condition.daemon = self.truth(value, "daemon"),
                other => {
                    let problem = ScriptProblem::at(self.file, self.text, key.span(), format!("unknown key `{other}` in `only`"));
                    self.problems.push(problem.or_nearest(other, ["town", "merge", "daemon"]));
                }
            }
        }
        condition.holds(self.world)
    }

    fn one_of<T: Copy>(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        key: &str,
        all: &[T],
        name: impl Fn(T) -> &'static str,
    ) -> Option<T> {
        let text = self.text_of(value, key)?;
        let found = all.iter().copied().find(|known| name(*known) == text);
        if found.is_none() {
            let known: Vec<&str> = all.iter().map(|known| name(*known)).collect();
            let message = format!("unknown {key} `{text}`; known: {}", known.join(", "));
            let problem = ScriptProblem::at(self.file, self.text, value.span(), message);
            self.problems.push(problem.or_nearest(&text, known));
        }
        found
    }

    /// The world, for messages.
    fn place(&self) -> String {
        let daemon = if self.world.daemon { " and its daemon" } else { "" };
        format!("town `{}` with merge `{}`{daemon}", self.world.town.name(), self.world.merge.name())
    }

    /// What the steps that are present say about each other.
    fn check_order(&mut self, steps: &[StepDraft]) {
        let before_the_last = steps.split_last().map_or(&[][..], |(_, before)| before);
        for draft in before_the_last.iter().filter(|draft| !draft.runs) {
            self.problem(
                draft.span.clone(),
                "a step without `run` and `write` ends its turn: the steps after it are never reached".to_owned(),
            );
        }
        if let Some(first) = steps.first().filter(|first| first.step.need.is_some()) {
            let message = "`need` is about the previous step's result, and this is the first step".to_owned();
            self.problem(first.span.clone(), message);
        }
    }

    /// What a step's keys say about each other.
    fn check_step(&mut self, span: Range<usize>, table: &DeTable<'_>) {
        let has = |key: &str| table.contains_key(key);
        let runs = has("run") || has("write");
        if !runs && !has("say") {
            self.problem(span.clone(), "a step needs `say`, `run` or `write`".to_owned());
        }
        for key in ["timeout_s", "capture"].into_iter().filter(|key| has(key) && !runs) {
            self.problem(span.clone(), format!("`{key}` needs `run` or `write`: there is no result without them"));
        }
    }

    fn timeout(&mut self, table: &DeTable<'_>) -> Option<u64> {
        let (seconds, span) = self.integer(table, "timeout_s")?;
        match u64::try_from(seconds) {
            Ok(seconds) if seconds > 0 => Some(seconds),
            _ => {
                self.problem(span, format!("`timeout_s` must be a number of seconds above 0, not {seconds}"));
                None
            }
        }
    }

    fn captures(&mut self, table: &DeTable<'_>) -> Vec<(String, Regex)> {
        let mut captures = Vec::new();
        for (name, value) in self.entries(table, "capture") {
            if OWN_VALUES.contains(&name.get_ref().as_ref()) {
                self.problem(name.span(), format!("`{}` is the agent's own value and cannot be captured", name.get_ref()));
            } else if !template::is_name(name.get_ref()) {
                self.problem(name.span(), format!("`{}` is no name: letters, digits and `_`", name.get_ref()));
            }
            if let Some(regex) = self.regex(value) {
                captures.push((name.get_ref().to_string(), regex));
            }
        }
        captures
    }

    /// Target path and content of each file that a step writes.
    fn written(&mut self, table: &DeTable<'_>) -> Vec<(String, String)> {
        let mut written = Vec::new();
        for (target, source) in self.entries(table, "write") {
            let Some(path) = self.text_of(source, "write") else {
                continue;
            };
            match self.files.get(&path).map(|content| std::str::from_utf8(content)) {
                Some(Ok(content)) if !content.contains('\0') => written.push((target.get_ref().to_string(), content.to_owned())),
                Some(_) => self.problem(source.span(), format!("`{path}` is not text: only text can be written")),
                None => {
                    let known = self.files.keys().map(String::as_str);
                    let problem =
                        ScriptProblem::at(self.file, self.text, source.span(), format!("`{path}` is not in the script folder"));
                    self.problems.push(problem.or_nearest(&path, known));
                }
            }
        }
        written
    }

    /// Every `{{name}}` must be an own value or captured before: by an earlier step of the turn, its `on`, or another turn.
    fn check_names(&mut self, turns: &[TurnDraft]) {
        for (at, turn) in turns.iter().enumerate() {
            let others = turns.iter().enumerate().filter(|(other, _)| *other != at).flat_map(|(_, turn)| turn.captured());
            let mut known: BTreeSet<&str> = OWN_VALUES.into_iter().chain(others).collect();
            known.extend(turn.groups.iter().map(String::as_str));
            for (step, uses) in turn.turn.steps.iter().zip(&turn.uses) {
                for (name, span) in uses.iter().filter(|(name, _)| !known.contains(name.as_str())) {
                    let message =
                        format!("`{{{{{name}}}}}` is neither captured before this step nor one of the agent's own values");
                    let problem = ScriptProblem::at(self.file, self.text, span.clone(), message);
                    self.problems.push(problem.or_nearest(name, known.iter().copied()));
                }
                known.extend(step.captures.iter().map(|(name, _)| name.as_str()));
            }
        }
    }
}

impl TurnDraft {
    /// Every value that the turn can have captured when it is over.
    fn captured(&self) -> impl Iterator<Item = &str> {
        let steps = self.turn.steps.iter().flat_map(|step| &step.captures);
        self.groups.iter().map(String::as_str).chain(steps.map(|(name, _)| name.as_str()))
    }
}

fn names_used((text, span): &(String, Range<usize>)) -> Vec<(String, Range<usize>)> {
    template::names(text).into_iter().map(|name| (name.to_owned(), span.clone())).collect()
}

/// Reading values of the expected kind; another kind is a problem.
impl Reader<'_> {
    fn problem(&mut self, span: Range<usize>, message: String) {
        self.problems.push(ScriptProblem::at(self.file, self.text, span, message));
    }

    fn known_keys(&mut self, table: &DeTable<'_>, known: &[&str], place: &str) {
        for (key, _) in table {
            let name = key.get_ref().as_ref();
            if !known.contains(&name) {
                let problem = ScriptProblem::at(self.file, self.text, key.span(), format!("unknown key `{name}` in {place}"));
                self.problems.push(problem.or_nearest(name, known.iter().copied()));
            }
        }
    }

    fn wrong_kind(&mut self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) {
        self.problem(value.span(), format!("`{key}` must be {wanted}, not {}", value.get_ref().type_str()));
    }

    fn string(&mut self, table: &DeTable<'_>, key: &str) -> Option<(String, Range<usize>)> {
        let value = table.get(key)?;
        Some((self.text_of(value, key)?, value.span()))
    }

    fn text_of(&mut self, value: &Spanned<DeValue<'_>>, key: &str) -> Option<String> {
        let text = value.get_ref().as_str().map(str::to_owned);
        if text.is_none() {
            self.wrong_kind(key, value, "a string");
        }
        text
    }

    fn truth(&mut self, value: &Spanned<DeValue<'_>>, key: &str) -> Option<bool> {
        let truth = value.get_ref().as_bool();
        if truth.is_none() {
            self.wrong_kind(key, value, "true or false");
        }
        truth
    }

    fn integer(&mut self, table: &DeTable<'_>, key: &str) -> Option<(i64, Range<usize>)> {
        let value = table.get(key)?;
        let number = value.get_ref().as_integer().and_then(|n| i64::from_str_radix(n.as_str(), n.radix()).ok());
        if number.is_none() {
            self.wrong_kind(key, value, "an integer");
        }
        Some((number?, value.span()))
    }

    fn regex_of(&mut self, table: &DeTable<'_>, key: &str) -> Option<Regex> {
        self.regex(table.get(key)?)
    }

    /// A regular expression in which `.` matches newlines too.
    fn regex(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Regex> {
        let pattern = self.text_of(value, "a pattern")?;
        match RegexBuilder::new(&pattern).dot_matches_new_line(true).build() {
            Ok(regex) => Some(regex),
            Err(error) => {
                let reason = error.to_string();
                let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
                self.problem(value.span(), format!("not a regular expression: {reason}"));
                None
            }
        }
    }

    fn tables<'t, 'i>(&mut self, table: &'t DeTable<'i>, key: &str) -> Vec<&'t Spanned<DeValue<'i>>> {
        let Some(value) = table.get(key) else {
            return Vec::new();
        };
        let items: Vec<_> = value.get_ref().as_array().map(|array| array.iter().collect()).unwrap_or_default();
        if items.is_empty() || !items.iter().all(|item| item.get_ref().is_table()) {
            self.wrong_kind(key, value, "a list of tables with at least one");
        }
        items
    }

    fn entries<'t, 'i>(
        &mut self,
        table: &'t DeTable<'i>,
        key: &str,
    ) -> Vec<(&'t Spanned<toml::de::DeString<'i>>, &'t Spanned<DeValue<'i>>)> {
        let Some(value) = table.get(key) else {
            return Vec::new();
        };
        match value.get_ref().as_table() {
            Some(entries) => entries.iter().collect(),
            None => {
                self.wrong_kind(key, value, "a table");
                Vec::new()
            }
        }
    }
}
