//! Errors as a person sees them: what is wrong, what to do, and the exit code. Every command ends in one of these or in
//! an exit code of its own.

use std::fmt;

/// Exit codes of commands; a verdict's own code comes from the judge. `docs/exit-codes.md` is the public table.
pub(crate) mod code {
    use proctor_judge::Outcome;

    /// The command did what was asked.
    pub(crate) const OK: u8 = 0;
    /// The command worked and its answer is no: a selftest case that was not caught, a leftover that would not end.
    pub(crate) const NO: u8 = 1;
    /// The command line, a scenario or a name is wrong.
    pub(crate) const USAGE: u8 = proctor_judge::outcome::USAGE_EXIT_CODE;

    /// The machine lacks something.
    pub(crate) fn environment() -> u8 {
        Outcome::EnvironmentError.exit_code()
    }

    /// Proctor or a script of the scenario is at fault.
    pub(crate) fn harness() -> u8 {
        Outcome::HarnessError.exit_code()
    }

    /// A person or a signal ended the command.
    pub(crate) fn cancelled() -> u8 {
        Outcome::Cancelled.exit_code()
    }
}

/// Something went wrong: one sentence, perhaps a hint, an exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    /// One sentence, lower-case, naming the file, key or flag.
    pub(crate) message: String,
    /// What the person can do.
    pub(crate) hint: Option<String>,
    /// One of [`code`].
    pub(crate) code: u8,
    /// Text that already tells everything (scenario problems drawn with their source); shown instead of `message`.
    pub(crate) drawn: Option<String>,
}

impl Failure {
    /// A mistake in what was typed or written.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::with_code(message, code::USAGE)
    }

    /// Something that the machine lacks.
    pub(crate) fn environment(message: impl Into<String>) -> Self {
        Self::with_code(message, code::environment())
    }

    /// An error of Proctor or of what it was given to run.
    pub(crate) fn harness(message: impl Into<String>) -> Self {
        Self::with_code(message, code::harness())
    }

    fn with_code(message: impl Into<String>, code: u8) -> Self {
        Self { message: message.into(), hint: None, code, drawn: None }
    }

    /// Adds what the person can do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what the person can do, where something is known.
    pub(crate) fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = self.hint.or(hint);
        self
    }

    /// Replaces the `error:` line by text that is drawn already.
    pub(crate) fn drawn(mut self, text: String) -> Self {
        self.drawn = Some(text);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.drawn {
            Some(drawn) => write!(out, "{}", drawn.trim_end())?,
            None => write!(out, "error: {}", self.message)?,
        }
        if let Some(hint) = &self.hint {
            write!(out, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// For files: names the path in the message, and tells a full or read-only disk from other errors by its code.
pub(crate) fn file_error(doing: &str, path: &std::path::Path, error: &std::io::Error) -> Failure {
    Failure::environment(format!("{doing} {}: {error}", path.display()))
}

impl From<proctor_judge::JudgeError> for Failure {
    fn from(error: proctor_judge::JudgeError) -> Self {
        use proctor_judge::JudgeError;
        let hint = error.hint();
        let message = error.to_string();
        match error {
            JudgeError::NotARun { .. } => Self::usage(message),
            JudgeError::Read { .. } | JudgeError::Write { .. } => Self::environment(message),
            _ => Self::harness(message),
        }
        .hint(hint)
    }
}

impl From<proctor_harness::Halt> for Failure {
    fn from(halt: proctor_harness::Halt) -> Self {
        use proctor_judge::evidence::StopKind;
        let failure = match halt.kind {
            StopKind::Environment => Self::environment(halt.message),
            StopKind::Cancelled => Self::with_code(halt.message, code::cancelled()),
            _ => Self::harness(halt.message),
        };
        failure.maybe_hint(halt.hint)
    }
}
