//! The answer of a script: a pure function of the agent's address, the conversation and the tools that the request offers.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::agent::Agent;
use crate::conversation::{Conversation, UserTurn};
use crate::request::Request;
use crate::script::{Script, Scripts, Step, Turn, World, fill};

/// Longest part of an unmatched text or result that a miss repeats, in characters.
const SHOWN: usize = 400;

/// What a scripted model says and does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) say: Option<String>,
    pub(crate) call: Option<Call>,
    /// What answered: `mayor.toml turn 1 step 3`.
    pub(crate) matched: String,
}

/// One call of the shell tool.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) tool: String,
    pub(crate) input: Value,
    /// The command in the input, for the journal.
    pub(crate) command: String,
}

/// Values that a script's texts can use.
type Values = BTreeMap<String, String>;

/// The answer to a request, or the reason why there is none.
pub(crate) fn answer(scripts: &Scripts, agent: &Agent, request: &Request) -> Result<Answer, String> {
    let script = scripts.for_agent(agent).ok_or_else(|| {
        let asked = shown(request.conversation.newest());
        format!("no script plays role `{}`{}; asked: {asked}", agent.role, in_rig(agent))
    })?;
    play(script, scripts.world(), agent, request).map_err(|why| format!("{}: {why}", script.file))
}

fn in_rig(agent: &Agent) -> String {
    agent.rig.as_ref().map_or_else(String::new, |rig| format!(" in rig `{rig}`"))
}

fn play(script: &Script, world: World, agent: &Agent, request: &Request) -> Result<Answer, String> {
    let conversation = &request.conversation;
    let Some((last, before)) = conversation.turns.split_last() else {
        return Err("the conversation has no user text".to_owned());
    };
    let mut values = own_values(agent, world);
    for turn in before {
        // What went wrong in an earlier turn was answered then; only its captures matter now.
        if let Some(rules) = matching(script, turn) {
            let _ = capture(rules, turn, &mut values);
        }
    }
    let rules = matching(script, last).ok_or_else(|| {
        format!("no turn matches user text {} of the conversation: {}", conversation.turns.len(), shown(&last.asked))
    })?;
    let place = format!("turn {} step {}", rules.number, place_of(rules, last.results.len()));
    capture(rules, last, &mut values)?;
    let matched = format!("{} {place}", script.file);
    match rules.steps.get(last.results.len()) {
        Some(step) => fill_step(step, last, &values, request, matched).map_err(|why| format!("{place}: {why}")),
        // The last step ran a command, so nobody said anything about its result: the turn ends with it.
        None => Ok(Answer { say: Some("Done.".to_owned()), call: None, matched }),
    }
}

fn own_values(agent: &Agent, world: World) -> Values {
    let rig = agent.rig.clone().unwrap_or_default();
    let surroundings =
        [("town", world.town.name().to_owned()), ("merge", world.merge.name().to_owned()), ("daemon", world.daemon.to_string())];
    let own = [("agent", agent.id.clone()), ("rig", rig), ("name", agent.name.clone())];
    own.into_iter().chain(surroundings).map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The number, in its file, of the step that answers after so many results.
fn place_of(rules: &Turn, results: usize) -> usize {
    let after = || rules.steps.last().map_or(1, |last| last.number + 1);
    rules.steps.get(results).map_or_else(after, |step| step.number)
}

/// The first turn of the script whose `on` matches.
fn matching<'s>(script: &'s Script, turn: &UserTurn) -> Option<&'s Turn> {
    let matches = |rules: &Turn| rules.on.as_ref().is_none_or(|on| on.is_match(&turn.text));
    script.turns.iter().find(|rules| matches(rules))
}

/// Takes every value that the turn's text and results have for its captures; `Err` says which result had none.
fn capture(rules: &Turn, turn: &UserTurn, values: &mut Values) -> Result<(), String> {
    if let Some((on, found)) = rules.on.as_ref().and_then(|on| Some((on, on.captures(&turn.text)?))) {
        for name in on.capture_names().flatten() {
            if let Some(value) = found.name(name) {
                values.insert(name.to_owned(), value.as_str().to_owned());
            }
        }
    }
    for (step, result) in rules.steps.iter().zip(&turn.results) {
        for (name, pattern) in &step.captures {
            let found = pattern.captures(result).ok_or_else(|| {
                format!("step {}: `capture.{name}` finds nothing in its result: {}", step.number, shown(result))
            })?;
            let value = found.get(1).or_else(|| found.get(0)).map_or("", |value| value.as_str());
            values.insert(name.clone(), value.to_owned());
        }
    }
    Ok(())
}

fn fill_step(step: &Step, turn: &UserTurn, values: &Values, request: &Request, matched: String) -> Result<Answer, String> {
    let previous = turn.results.last().map_or("", String::as_str);
    if step.need.as_ref().is_some_and(|need| !need.is_match(previous)) {
        return Err(format!("`need` does not match the previous result: {}", shown(previous)));
    }
    let filled = |text: &Option<String>| {
        let text = text.as_ref().map(|text| fill(text, values)).transpose();
        text.map_err(|name| format!("`{{{{{name}}}}}` was not captured in this conversation"))
    };
    let call = match filled(&step.command)? {
        Some(command) => Some(call(command, step.timeout_s, request)?),
        None => None,
    };
    Ok(Answer { say: filled(&step.say)?, call, matched })
}

fn call(command: String, timeout_s: Option<u64>, request: &Request) -> Result<Call, String> {
    let tool = request.shell_tool().ok_or_else(|| {
        let names: Vec<&str> = request.tools.iter().map(|tool| tool.name.as_str()).collect();
        format!("the request offers no shell tool (`Bash`, `bash`, `shell`), only: [{}]", names.join(", "))
    })?;
    Ok(Call { tool: tool.name.clone(), input: tool.shell_input(&command, timeout_s), command })
}

/// A text as a miss repeats it: in quotes, its end cut off when it is long.
fn shown(text: &str) -> String {
    let start: String = text.chars().take(SHOWN).collect();
    let cut = text.chars().count() - start.chars().count();
    if cut == 0 { format!("{start:?}") } else { format!("{start:?} and {cut} characters more") }
}

/// Where in the conversation a request stands, for messages.
pub(crate) fn position(conversation: &Conversation) -> String {
    let results = conversation.turns.last().map_or(0, |turn| turn.results.len());
    format!("user text {} after {results} tool results", conversation.turns.len())
}
