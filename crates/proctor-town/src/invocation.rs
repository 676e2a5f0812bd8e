//! A command being run: its caller, its understood arguments, its standard input.

use std::io::Read;

use serde::Serialize;

use crate::args::{Asked, Parsed, Program};
use crate::caller::Caller;
use crate::error::{Result, TownError, refused};
use crate::town::Town;
use crate::{Call, Output};

/// What a verb is given.
pub(crate) struct Invocation {
    /// Who calls.
    pub(crate) caller: Caller,
    /// What for.
    pub(crate) args: Parsed,
    stdin: Box<dyn Read + Send>,
}

impl Invocation {
    /// Opens the caller's town.
    pub(crate) fn town(&self) -> Result<Town> {
        Town::open(&self.caller)
    }

    /// All of standard input.
    pub(crate) fn read_stdin(&mut self) -> Result<String> {
        let mut text = String::new();
        let path = std::path::Path::new("standard input");
        self.stdin.read_to_string(&mut text).map_err(TownError::io(path))?;
        Ok(text)
    }

    /// The `n`th word, or an error that says what is missing.
    pub(crate) fn need(&self, n: usize, what: &str) -> Result<String> {
        match self.args.word(n) {
            Some(word) => Ok(word.to_string()),
            None => refused(format!("missing argument: {what}")),
        }
    }

    /// Text given as a flag or, with `--stdin`, on standard input.
    pub(crate) fn text(&mut self, flag: &str) -> Result<Option<String>> {
        if self.args.has("stdin") {
            return Ok(Some(self.read_stdin()?.trim_end_matches('\n').to_string()));
        }
        Ok(self.args.value(flag).map(str::to_string))
    }
}

/// Understands a call and runs it.
pub(crate) fn run(program: &Program, call: Call) -> Output {
    run_named(program, call).0
}

/// [`run`], with the path of the verb that ran.
pub(crate) fn run_named(program: &Program, call: Call) -> (Output, Option<&'static str>) {
    let (verb, args) = match program.understand(&call.args) {
        Ok(Asked::Verb(verb, parsed)) => (verb, parsed),
        Ok(Asked::Help(text)) => return (say(text), None),
        Err(error) => return (failure(&error), None),
    };
    let wants_json = args.has("json") && program.name == "bd";
    let output = match (verb.run)(&mut Invocation { caller: call.caller(), args, stdin: call.stdin }) {
        Ok(output) => output,
        Err(error) if wants_json => json_failure(&error),
        Err(error) => failure(&error),
    };
    (output, Some(verb.path))
}

/// Text for standard output.
pub(crate) fn say(text: impl Into<String>) -> Output {
    let mut stdout = text.into();
    if !stdout.is_empty() && !stdout.ends_with('\n') {
        stdout.push('\n');
    }
    Output { stdout, ..Output::default() }
}

/// A JSON document for standard output, indented by two.
pub(crate) fn say_json(value: &impl Serialize) -> Result<Output> {
    Ok(say(serde_json::to_string_pretty(value).map_err(TownError::json("output"))?))
}

/// Text for standard error, exit code 1.
pub(crate) fn failure(error: &TownError) -> Output {
    let mut stderr = format!("Error: {error}\n");
    if let TownError::Usage { usage, .. } = error {
        stderr.push_str(usage);
        stderr.push('\n');
    }
    if let Some(hint) = error.hint() {
        stderr.push_str(&format!("Hint: {hint}\n"));
    }
    Output { stderr, code: 1, ..Output::default() }
}

fn json_failure(error: &TownError) -> Output {
    let mut body = serde_json::json!({ "error": error.to_string() });
    if let Some(hint) = error.hint() {
        body["hint"] = hint.into();
    }
    body["schema_version"] = 1.into();
    let mut output = say_json(&body).unwrap_or_default();
    output.code = 1;
    output
}
