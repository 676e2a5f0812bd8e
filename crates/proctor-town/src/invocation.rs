//! A command being run: its caller, its understood arguments, its standard input.

use std::io::Read;

use serde::Serialize;

use crate::args::{Asked, Parsed, Program};
use crate::caller::Caller;
use crate::error::{Result, TownError, refused};
use crate::front;
use crate::gt::{HandIn, Work};
use crate::town::Town;
use crate::{Call, Output};

/// What a verb is given.
pub(crate) struct Invocation {
    /// Who calls.
    pub(crate) caller: Caller,
    /// What for.
    pub(crate) args: Parsed,
    /// What a worker hands in, once its own git has pushed it.
    pub(crate) hand_in: Option<HandIn>,
    /// What a worker is to hand in; filled in by `gt done` for the process that asked.
    pub(crate) work: Option<Work>,
    stdin: Box<dyn Read + Send>,
    file: Option<String>,
}

impl Invocation {
    /// A command with its standard input, and the text of its `--body-file` when that was read where it was typed.
    pub(crate) fn new(caller: Caller, args: Parsed, stdin: Box<dyn Read + Send>, file: Option<String>) -> Self {
        Self { caller, args, hand_in: None, work: None, stdin, file }
    }

    /// Another standard input.
    pub(crate) fn set_stdin(&mut self, stdin: Box<dyn Read + Send>) {
        self.stdin = stdin;
    }

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

    /// The text of `--body-file`; `-` is standard input.
    pub(crate) fn body_file(&mut self) -> Result<Option<String>> {
        if self.file.is_some() {
            return Ok(self.file.clone());
        }
        self.file = match self.args.value("body-file") {
            Some("-") => Some(self.read_stdin()?),
            Some(name) => {
                let path = self.caller.cwd.join(name);
                Some(std::fs::read_to_string(&path).map_err(TownError::io(&path))?)
            }
            None => None,
        };
        Ok(self.file.clone())
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

/// Understands a call and runs it; gives the path of the verb that ran, too.
pub(crate) fn run(program: &Program, call: Call) -> (Output, Option<&'static str>) {
    let (verb, args) = match program.understand(&call.args) {
        Ok(Asked::Verb(verb, parsed)) => (verb, parsed),
        Ok(Asked::Help(text)) => return (say(text), None),
        Err(error) => return (failure(&error), None),
    };
    let wants_json = args.has("json") && program.name == "bd";
    let mut invocation = Invocation::new(call.caller(), args, call.stdin, None);
    let result = front::run(program.name, verb, &call.args, &mut invocation);
    (output(result, wants_json), Some(verb.path))
}

/// What is printed of a result.
pub(crate) fn output(result: Result<Output>, wants_json: bool) -> Output {
    match result {
        Ok(output) => output,
        Err(error) if wants_json => json_failure(&error),
        Err(error) => failure(&error),
    }
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
