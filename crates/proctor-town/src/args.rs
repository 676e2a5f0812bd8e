//! Command tables and their parsing, with cobra's rules and texts.
//!
//! A verb states its flags as lines `s|long=META  what it does` (`s|` and `=META` optional); the same lines make its help.
//! Unknown commands and flags name the nearest known one and exit with 1.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::Output;
use crate::error::{Result, TownError};
use crate::invocation::Invocation;

/// One command of a program.
pub(crate) struct Verb {
    /// Words that name it: `convoy create`.
    pub(crate) path: &'static str,
    /// What follows the words: `<name> [issue...]`.
    pub(crate) usage: &'static str,
    /// What it does.
    pub(crate) about: &'static str,
    /// Its flags.
    pub(crate) flags: &'static [&'static str],
    /// What runs it.
    pub(crate) run: fn(&mut Invocation) -> Result<Output>,
}

/// A program with its commands.
pub(crate) struct Program {
    /// `gt`.
    pub(crate) name: &'static str,
    /// What it is.
    pub(crate) about: &'static str,
    /// Its commands.
    pub(crate) verbs: &'static [&'static [Verb]],
    /// Other names of first words.
    pub(crate) aliases: &'static [(&'static str, &'static str)],
    /// Flags of every command.
    pub(crate) flags: &'static [&'static str],
}

/// A command line as understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parsed {
    /// Words that are no flags.
    pub(crate) words: Vec<String>,
    flags: BTreeMap<&'static str, Vec<String>>,
}

impl Parsed {
    /// Whether a flag without value was given (and not as `=false`).
    pub(crate) fn has(&self, name: &str) -> bool {
        self.flags.get(name).and_then(|values| values.last()).is_some_and(|value| value != "false")
    }

    /// The last value of a flag.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.flags.get(name).and_then(|values| values.last()).map(String::as_str)
    }

    /// All values of a flag, commas splitting them.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let given = self.flags.get(name).map(Vec::as_slice).unwrap_or_default();
        given.iter().flat_map(|value| value.split(',')).filter(|v| !v.is_empty()).map(str::to_string).collect()
    }

    /// The `n`th word.
    pub(crate) fn word(&self, n: usize) -> Option<&str> {
        self.words.get(n).map(String::as_str)
    }
}

/// What a command line asks for.
pub(crate) enum Asked {
    /// Run this verb.
    Verb(&'static Verb, Parsed),
    /// Print this text and exit 0.
    Help(String),
}

struct Flag {
    short: Option<char>,
    long: &'static str,
    meta: Option<&'static str>,
    about: &'static str,
}

fn flag(line: &'static str) -> Flag {
    let (spec, about) = line.split_once("  ").unwrap_or((line, ""));
    let (name, meta) = match spec.split_once('=') {
        Some((name, meta)) => (name, Some(meta)),
        None => (spec, None),
    };
    match name.split_once('|') {
        Some((short, long)) => Flag { short: short.chars().next(), long, meta, about },
        None => Flag { short: None, long: name, meta, about },
    }
}

impl Program {
    /// Understands a command line.
    pub(crate) fn understand(&self, args: &[String]) -> Result<Asked> {
        let (early, rest) = self.early_flags(args);
        if rest.is_empty() || matches!(rest[0].as_str(), "--help" | "-h") || (rest[0] == "help" && rest.len() == 1) {
            return Ok(Asked::Help(self.help()));
        }
        let rest = if rest[0] == "help" { rest[1..].iter().cloned().chain(["--help".into()]).collect() } else { rest };
        let (path, used) = self.walk(&rest);
        let remaining: Vec<String> = rest[used..].iter().chain(&early).cloned().collect();
        let Some(verb) = self.verb(&path) else { return self.no_verb(&path, &rest[used..]) };
        if remaining.iter().take_while(|arg| *arg != "--").any(|arg| arg == "--help" || arg == "-h") {
            return Ok(Asked::Help(self.verb_help(verb)));
        }
        Ok(Asked::Verb(verb, self.parse(verb, &remaining)?))
    }

    fn early_flags(&self, args: &[String]) -> (Vec<String>, Vec<String>) {
        let mut early = Vec::new();
        let mut rest = args.iter().peekable();
        while let Some(arg) = rest.peek() {
            let known = self.flags.iter().map(|line| flag(line)).find(|f| {
                **arg == format!("--{}", f.long)
                    || arg.starts_with(&format!("--{}=", f.long))
                    || f.short.is_some_and(|short| **arg == format!("-{short}"))
            });
            let Some(known) = known else { break };
            let has_value = arg.contains('=');
            early.extend(rest.next().cloned());
            if known.meta.is_some() && !has_value {
                early.extend(rest.next().cloned());
            }
        }
        (early, rest.cloned().collect())
    }

    fn all(&self) -> impl Iterator<Item = &'static Verb> + use<> {
        self.verbs.iter().flat_map(|part| part.iter())
    }

    fn verb(&self, path: &str) -> Option<&'static Verb> {
        self.all().find(|verb| verb.path == path)
    }

    /// Follows words down the tree of commands; gives the path and how many words it took.
    fn walk(&self, args: &[String]) -> (String, usize) {
        let mut path = String::new();
        let mut used = 0;
        for arg in args {
            let Some(next) = self.child(&path, arg) else { break };
            path = if path.is_empty() { next } else { format!("{path} {next}") };
            used += 1;
        }
        (path, used)
    }

    fn child(&self, path: &str, word: &str) -> Option<String> {
        let children = self.children(path);
        let alias = self.aliases.iter().find(|(from, _)| *from == format!("{path} {word}").trim_start());
        if let Some((_, to)) = alias {
            return to.rsplit(' ').next().map(str::to_string);
        }
        if children.iter().any(|child| child == word) {
            return Some(word.to_string());
        }
        // A word that may be an argument of the verb itself is never taken for the beginning of a sub-command.
        if self.verb(path).is_some() || word.starts_with('-') {
            return None;
        }
        let mut matching = children.into_iter().filter(|child| child.starts_with(word));
        match (matching.next(), matching.next()) {
            (Some(only), None) => Some(only),
            _ => None,
        }
    }

    fn children(&self, path: &str) -> Vec<String> {
        let lead = if path.is_empty() { String::new() } else { format!("{path} ") };
        let words = self.all().filter_map(|verb| verb.path.strip_prefix(lead.as_str()));
        let mut words: Vec<String> = words.filter_map(|rest| rest.split(' ').next()).map(str::to_string).collect();
        words.dedup();
        words
    }

    fn no_verb(&self, path: &str, rest: &[String]) -> Result<Asked> {
        let full = format!("{} {path}", self.name).trim_end().to_string();
        if rest.iter().any(|arg| arg == "--help" || arg == "-h") {
            return Ok(Asked::Help(self.group_help(path)));
        }
        let usage = format!("Run '{full} --help' for usage.");
        let Some(word) = rest.first().filter(|word| !word.starts_with('-')) else {
            let message = match rest.first() {
                Some(flag) => format!("unknown flag: {flag}"),
                None => format!("requires a subcommand: {}", self.children(path).join(", ")),
            };
            return Err(TownError::Usage { message, usage });
        };
        let mut message = format!("unknown command \"{word}\" for \"{full}\"");
        let near = nearest(word, self.children(path));
        if let Some(near) = near {
            let _ = write!(message, "\n\nDid you mean this?\n\t{near}");
        }
        Err(TownError::Usage { message, usage: format!("\n{usage}") })
    }

    fn flags_of(&self, verb: &Verb) -> Vec<Flag> {
        verb.flags.iter().chain(self.flags).map(|line| flag(line)).collect()
    }

    fn parse(&self, verb: &'static Verb, args: &[String]) -> Result<Parsed> {
        let flags = self.flags_of(verb);
        let mut parsed = Parsed::default();
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            if arg == "--" {
                parsed.words.extend(rest.by_ref().cloned());
            } else if let Some(long) = arg.strip_prefix("--") {
                self.long_flag(verb, &flags, long, &mut rest, &mut parsed)?;
            } else if arg.len() > 1 && arg.starts_with('-') {
                self.short_flags(verb, &flags, &arg[1..], &mut rest, &mut parsed)?;
            } else {
                parsed.words.push(arg.clone());
            }
        }
        Ok(parsed)
    }

    fn long_flag<'a>(
        &self,
        verb: &Verb,
        flags: &[Flag],
        text: &str,
        rest: &mut impl Iterator<Item = &'a String>,
        parsed: &mut Parsed,
    ) -> Result<()> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_string())),
            None => (text, None),
        };
        let Some(known) = flags.iter().find(|flag| flag.long == name) else {
            let near = nearest(name, flags.iter().map(|flag| flag.long.to_string()).collect());
            return Err(self.flag_error(verb, format!("unknown flag: --{name}"), near));
        };
        let value = match (value, known.meta) {
            (Some(value), _) => value,
            (None, None) => "true".to_string(),
            (None, Some(_)) => match rest.next() {
                Some(value) => value.clone(),
                None => return Err(self.flag_error(verb, format!("flag needs an argument: --{name}"), None)),
            },
        };
        parsed.flags.entry(known.long).or_default().push(value);
        Ok(())
    }

    fn short_flags<'a>(
        &self,
        verb: &Verb,
        flags: &[Flag],
        letters: &str,
        rest: &mut impl Iterator<Item = &'a String>,
        parsed: &mut Parsed,
    ) -> Result<()> {
        for (at, letter) in letters.char_indices() {
            let Some(known) = flags.iter().find(|flag| flag.short == Some(letter)) else {
                return Err(self.flag_error(verb, format!("unknown shorthand flag: '{letter}' in -{letters}"), None));
            };
            let tail = &letters[at + letter.len_utf8()..];
            if known.meta.is_none() {
                parsed.flags.entry(known.long).or_default().push("true".to_string());
                continue;
            }
            let given = if tail.is_empty() { rest.next().cloned() } else { Some(tail.trim_start_matches('=').to_string()) };
            let Some(value) = given else {
                return Err(self.flag_error(verb, format!("flag needs an argument: '{letter}' in -{letters}"), None));
            };
            parsed.flags.entry(known.long).or_default().push(value);
            break;
        }
        Ok(())
    }

    fn flag_error(&self, verb: &Verb, mut message: String, near: Option<String>) -> TownError {
        if let Some(near) = near {
            let _ = write!(message, "\n\nDid you mean this?\n\t--{near}");
        }
        TownError::Usage { message, usage: format!("\n{}", self.usage(verb)) }
    }

    fn usage(&self, verb: &Verb) -> String {
        let mut text = format!("Usage:\n  {} {} {} [flags]\n\nFlags:\n", self.name, verb.path, verb.usage);
        text = text.replace("  [flags]", " [flags]");
        for flag in self.flags_of(verb) {
            let short = flag.short.map_or_else(|| "    ".to_string(), |short| format!("-{short}, "));
            let long = flag.meta.map_or_else(|| flag.long.to_string(), |meta| format!("{} {meta}", flag.long));
            let _ = writeln!(text, "  {short}--{long:<22} {}", flag.about);
        }
        let _ = write!(text, "  -h, --{:<22} help for {}", "help", verb.path);
        text
    }

    fn verb_help(&self, verb: &Verb) -> String {
        let children = self.children(verb.path);
        let mut text = format!("{}\n\n{}\n", verb.about, self.usage(verb));
        if !children.is_empty() {
            let _ = write!(text, "\n{}", self.listing(verb.path));
        }
        text
    }

    fn group_help(&self, path: &str) -> String {
        let full = format!("{} {path}", self.name);
        format!("Usage:\n  {full} [command]\n\n{}\nUse \"{full} [command] --help\" for more.\n", self.listing(path))
    }

    fn listing(&self, path: &str) -> String {
        let mut text = "Available Commands:\n".to_string();
        for child in self.children(path) {
            let full = format!("{path} {child}").trim_start().to_string();
            let about = self.verb(&full).map_or("see its own help", |verb| verb.about);
            let _ = writeln!(text, "  {child:<12} {about}");
        }
        text
    }

    fn help(&self) -> String {
        let name = self.name;
        let mut children = self.children("");
        children.sort();
        children.dedup();
        let mut text = format!("{}\n\nUsage:\n  {name} [command]\n\nAvailable Commands:\n", self.about);
        for child in children {
            let about = self.verb(&child).map_or("see its own help", |verb| verb.about);
            let _ = writeln!(text, "  {child:<12} {about}");
        }
        let _ = writeln!(text, "\nUse \"{name} [command] --help\" for more information about a command.");
        text
    }
}

/// The known word nearest to `word`, if any is near.
pub(crate) fn nearest(word: &str, known: Vec<String>) -> Option<String> {
    let scored = known.into_iter().map(|candidate| (strsim::damerau_levenshtein(word, &candidate), candidate));
    let (distance, candidate) = scored.min()?;
    (distance <= 2.max(word.chars().count() / 3)).then_some(candidate)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing parse fails the test")]
    use super::*;

    fn nothing(_: &mut Invocation) -> Result<Output> {
        Ok(Output::default())
    }

    const VERBS: &[Verb] = &[
        Verb { path: "hook", usage: "[bead]", about: "Shows the hook", flags: &["json  Print JSON"], run: nothing },
        Verb { path: "hook show", usage: "", about: "Shows a hook", flags: &["json  Print JSON"], run: nothing },
        Verb {
            path: "mail send",
            usage: "<address>",
            about: "Sends",
            flags: &["s|subject=TEXT  Subject", "m|message=TEXT  Body", "urgent  Urgent"],
            run: nothing,
        },
        Verb { path: "mail inbox", usage: "", about: "Lists", flags: &[], run: nothing },
    ];
    const PROGRAM: Program =
        Program { name: "gt", about: "A town", verbs: &[VERBS], aliases: &[("work", "hook")], flags: &["q|quiet  Quiet"] };

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_string).collect()
    }

    fn verb(line: &str) -> (&'static str, Parsed) {
        match PROGRAM.understand(&words(line)).unwrap() {
            Asked::Verb(verb, parsed) => (verb.path, parsed),
            Asked::Help(text) => panic!("help: {text}"),
        }
    }

    fn error(line: &str) -> String {
        PROGRAM.understand(&words(line)).err().unwrap().to_string()
    }

    #[test]
    fn flags_come_in_every_form_cobra_takes() {
        for line in ["mail send bob -s hi --urgent", "mail send --subject=hi bob --urgent", "mail send -shi --urgent bob"] {
            let (path, parsed) = verb(line);
            assert_eq!((path, parsed.value("subject"), parsed.has("urgent")), ("mail send", Some("hi"), true), "{line}");
            assert_eq!(parsed.words, ["bob"], "{line}");
        }
    }

    #[test]
    fn a_flag_may_be_switched_off() {
        assert!(!verb("mail send bob --urgent=false").1.has("urgent"));
    }

    #[test]
    fn global_flags_may_stand_first() {
        let (path, parsed) = verb("-q mail inbox");
        assert_eq!((path, parsed.has("quiet")), ("mail inbox", true));
    }

    #[test]
    fn two_dashes_end_the_flags() {
        assert_eq!(verb("mail send -- --subject").1.words, ["--subject"]);
    }

    #[test]
    fn unique_beginnings_and_aliases_name_commands() {
        assert_eq!(verb("mail se bob").0, "mail send");
        assert_eq!(verb("work").0, "hook");
    }

    #[test]
    fn a_verb_takes_words_that_begin_like_its_children() {
        let (path, parsed) = verb("hook sh");
        assert_eq!((path, parsed.words), ("hook", vec!["sh".to_string()]));
    }

    #[test]
    fn unknown_words_name_the_nearest() {
        assert_eq!(error("hok"), "unknown command \"hok\" for \"gt\"\n\nDid you mean this?\n\thook");
        assert_eq!(error("mail sendd"), "unknown command \"sendd\" for \"gt mail\"\n\nDid you mean this?\n\tsend");
        assert_eq!(error("mail send --subjet x"), "unknown flag: --subjet\n\nDid you mean this?\n\t--subject");
        assert_eq!(error("mail send -x"), "unknown shorthand flag: 'x' in -x");
        assert_eq!(error("mail send -s"), "flag needs an argument: 's' in -s");
        assert_eq!(error("mail"), "requires a subcommand: send, inbox");
    }

    #[test]
    fn help_is_there_at_every_level() {
        for line in ["--help", "mail --help", "mail send --help", "help mail send"] {
            assert!(matches!(PROGRAM.understand(&words(line)), Ok(Asked::Help(_))), "{line}");
        }
    }
}
