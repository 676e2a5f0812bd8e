//! Credentials for git in its environment: `GIT_CONFIG_COUNT`, `GIT_CONFIG_KEY_<n>`, `GIT_CONFIG_VALUE_<n>`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::caller::Caller;

/// The variable with the daemon's own token, given to the call that starts the daemon and to nobody else.
pub(crate) const MERGE_TOKEN: &str = "PROCTOR_MERGE_TOKEN";

/// Who merges, as the origins' server knows it.
const MERGER: &str = "daemon";

/// Most settings that are taken over; a token is one.
const MOST: usize = 64;

/// Settings by key.
pub(crate) type Settings = Vec<(String, String)>;

/// The settings that the caller's environment has for git. The daemon's token takes the place of whatever an address had:
/// the key says which address may see it.
pub(crate) fn of(caller: &Caller) -> Settings {
    let count = caller.var("GIT_CONFIG_COUNT").and_then(|count| count.parse().ok()).unwrap_or(0_usize);
    let setting = |n: usize| {
        let key = caller.var(&format!("GIT_CONFIG_KEY_{n}"))?.to_string();
        let value = caller.env.get(&format!("GIT_CONFIG_VALUE_{n}"))?.clone();
        match &caller.merge_token {
            Some(token) if is_header(&key) => Some((key, header(token))),
            _ => Some((key, value)),
        }
    };
    (0..count.min(MOST)).filter_map(setting).collect()
}

/// Leaves only credentials.
pub(crate) fn retain_headers(settings: &mut Settings) {
    settings.retain(|(key, _)| is_header(key));
}

fn is_header(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key.starts_with("http.http") && key.ends_with(".extraheader")
}

fn header(token: &str) -> String {
    format!("Authorization: Basic {}", STANDARD.encode(format!("{MERGER}:{token}")))
}

/// Settings as the variables that git reads.
pub(crate) fn variables(settings: &[(String, String)]) -> Vec<(String, String)> {
    let mut variables = vec![("GIT_CONFIG_COUNT".to_string(), settings.len().to_string())];
    for (n, (key, value)) in settings.iter().enumerate() {
        variables.push((format!("GIT_CONFIG_KEY_{n}"), key.clone()));
        variables.push((format!("GIT_CONFIG_VALUE_{n}"), value.clone()));
    }
    variables
}
