//! What of the user's environment reaches an installation: where packages come from, and nothing that leads them elsewhere.
//!
//! pip takes every option from a variable `PIP_…` and from its configuration files. `PIP_TARGET`, `PIP_PREFIX`, `PIP_USER` or
//! `[install] target` put packages into another folder, so that an environment stays empty though pip ends well.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::Wanted;
use super::interpreter::run;
use crate::halt::Halt;

/// Options of pip that say where packages come from and how they are reached, as in `PIP_INDEX_URL`.
const SOURCES: [&str; 16] = [
    "CACHE_DIR",
    "CERT",
    "CLIENT_CERT",
    "DEFAULT_TIMEOUT",
    "EXTRA_INDEX_URL",
    "FIND_LINKS",
    "INDEX_URL",
    "KEYRING_PROVIDER",
    "NO_CACHE_DIR",
    "NO_INDEX",
    "PROXY",
    "RETRIES",
    "TIMEOUT",
    "TRUSTED_HOST",
    "USE_DEPRECATED",
    "USE_FEATURE",
];
/// Names pip's configuration file, which may hold both kinds of options.
const CONFIG_FILE: &str = "PIP_CONFIG_FILE";
/// How long pip may take to say how it is configured.
const ASK_LIMIT: Duration = Duration::from_secs(60);

fn is_source(option: &str) -> bool {
    SOURCES.contains(&option)
}

/// The environment without `PYTHON…` and without those of `PIP_…` that do not say where packages come from.
pub(super) fn only(environment: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let stays = |key: &str| match key.strip_prefix("PIP_") {
        Some(option) => is_source(option) || key == CONFIG_FILE,
        None => !key.starts_with("PYTHON") && key != "__PYVENV_LAUNCHER__",
    };
    environment.iter().filter(|(key, _)| stays(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// The same wishes with pip's configuration files read once: what they say of sources stands in the environment, and pip reads none.
pub(super) async fn settled(python: &Path, wanted: &Wanted) -> Result<Wanted, Halt> {
    let args = ["-m", "pip", "--disable-pip-version-check", "config", "list"];
    let ended = run(python, &args, wanted, ASK_LIMIT).await?;
    if !ended.ok() {
        let message = format!("pip does not say how it is configured ({}): {}", ended.how(), ended.said());
        return Err(Halt::environment(message).hint("mend pip's configuration: `pip config debug` shows its files"));
    }
    let mut wanted = wanted.clone();
    for (option, value) in configured(&ended.out()) {
        // A variable goes before a file.
        wanted.environment.entry(format!("PIP_{option}")).or_insert(value);
    }
    // With this name pip reads no file at all.
    wanted.environment.insert(CONFIG_FILE.into(), "/dev/null".into());
    Ok(wanted)
}

/// The options of sources in what `pip config list` prints: `global.index-url='https://…'`. Those of `install` go before `global`.
fn configured(listed: &str) -> BTreeMap<String, String> {
    let mut options = BTreeMap::new();
    for section in ["global.", "install."] {
        for (key, value) in listed.lines().filter_map(|line| line.trim().strip_prefix(section)?.split_once('=')) {
            let option = key.to_uppercase().replace('-', "_");
            if is_source(&option) {
                options.insert(option, plain(value));
            }
        }
    }
    options
}

/// A text as Python writes it, without its quotes and escapes. A list has one value a line; in a variable blanks part them.
fn plain(quoted: &str) -> String {
    let quote = quoted.chars().next().filter(|first| matches!(first, '\'' | '"'));
    let inner = quote.and_then(|quote| quoted.strip_prefix(quote)?.strip_suffix(quote)).unwrap_or(quoted);
    let mut text = String::new();
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        match (letter, letter == '\\') {
            (_, true) => match letters.next() {
                Some('n' | 't' | 'r') => text.push(' '),
                Some(escaped) => text.push(escaped),
                None => {}
            },
            (letter, false) => text.push(letter),
        }
    }
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_packages_come_from_stays_and_where_they_go_does_not() {
        let away = [
            "PIP_TARGET",
            "PIP_PREFIX",
            "PIP_USER",
            "PIP_ROOT",
            "PIP_REQUIRE_VIRTUALENV",
            "PIP_REQUIREMENT",
            "PIP_CONSTRAINT",
            "PIP_NO_DEPS",
            "PIP_PYTHON",
            "PIP_DRY_RUN",
            "PYTHONUSERBASE",
            "PYTHONHOME",
            "PYTHONPATH",
            "PYTHONSTARTUP",
        ];
        let stays = [
            "PIP_INDEX_URL",
            "PIP_EXTRA_INDEX_URL",
            "PIP_CERT",
            "PIP_FIND_LINKS",
            "PIP_TRUSTED_HOST",
            "PIP_CONFIG_FILE",
            "HTTPS_PROXY",
            "SSL_CERT_FILE",
            "HOME",
            "PATH",
        ];
        let environment = away.iter().chain(&stays).map(|key| ((*key).to_owned(), "/x".to_owned())).collect();
        let mut expected = stays.map(str::to_owned);
        expected.sort();
        assert_eq!(only(&environment).into_keys().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn of_the_configuration_only_the_sources_are_taken() {
        let listed = "global.index-url='https://a/simple'\nglobal.target='/x'\ninstall.index-url=\"https://b/it's\"\n\
            global.extra-index-url='\\nhttps://c\\nhttps://d'\n:env:.cert='/e'\nglobal.no-deps='true'\n";
        let found = configured(listed);
        let found: Vec<(&str, &str)> = found.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(found, [("EXTRA_INDEX_URL", "https://c https://d"), ("INDEX_URL", "https://b/it's")]);
    }
}
