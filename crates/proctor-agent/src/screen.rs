//! What the agent shows in its terminal: what it was told, what it said and did, and whether it waits.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use crate::message::Usage;

/// Shown when the agent waits for input. Towns look for it, so nothing else printed here begins with it.
const PROMPT: &str = "❯ ";

/// Lines of a text or output that are shown; the rest is counted.
const LINES: usize = 24;

/// A terminal, or a file in its place. Clones share it. What cannot be written is not: the terminal may be gone.
#[derive(Clone)]
pub(crate) struct Screen(Arc<Mutex<Box<dyn Write + Send>>>);

impl Screen {
    pub(crate) fn new(output: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Box::new(output))))
    }

    fn write(&self, text: &str) {
        let mut output = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
    }

    pub(crate) fn line(&self, line: &str) {
        self.write(&format!("{line}\n"));
    }

    pub(crate) fn prompt(&self) {
        self.write(PROMPT);
    }

    /// A text that came during a turn and is played after it.
    pub(crate) fn will_hear(&self, text: &str) {
        self.line(&format!("… {}", text.lines().next().unwrap_or_default()));
    }

    pub(crate) fn told(&self, text: &str) {
        self.block("» ", "  ", text);
    }

    pub(crate) fn said(&self, text: &str) {
        self.block("● ", "  ", text);
    }

    pub(crate) fn runs(&self, command: &str) {
        self.block("$ ", "  ", command);
    }

    pub(crate) fn result(&self, text: &str) {
        self.block("  │ ", "  │ ", text);
    }

    pub(crate) fn trouble(&self, text: &str) {
        self.block("✗ ", "  ", text);
    }

    pub(crate) fn turn_over(&self, requests: u32, usage: Usage, cost_usd: Option<f64>) {
        let cost = cost_usd.map_or_else(|| "cost not known".to_owned(), |cost| format!("${cost:.4}"));
        let input = usage.input + usage.cache_read + usage.cache_creation;
        self.line(&format!("  {requests} requests · {input} tokens in, {} out · {cost}\n", usage.output));
    }

    fn block(&self, first: &str, further: &str, text: &str) {
        let lines: Vec<&str> = text.trim_end().lines().collect();
        let mut shown = String::new();
        for (index, line) in lines.iter().take(LINES).enumerate() {
            shown.push_str(&format!("{}{line}\n", if index == 0 { first } else { further }));
        }
        if lines.len() > LINES {
            shown.push_str(&format!("{further}… and {} lines more\n", lines.len() - LINES));
        }
        self.write(&shown);
    }
}
