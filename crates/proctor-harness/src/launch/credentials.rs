//! An agent's credentials for the served origins, handed over in git's own environment configuration: neither towns nor terminals drop it,
//! and no file has to be written.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const COUNT: &str = "GIT_CONFIG_COUNT";

/// Lets git in this environment show `agent` and its token to the origins at `origins` (`http://127.0.0.1:PORT`). What is configured
/// there already stays; the credentials of whoever the environment was inherited from are replaced.
pub fn with_credentials(env: &mut BTreeMap<String, String>, origins: &str, agent: &str, token: &str) {
    let key = format!("http.{origins}/.extraHeader");
    let value = format!("Authorization: Basic {}", STANDARD.encode(format!("{agent}:{token}")));
    let count: usize = env.get(COUNT).and_then(|count| count.parse().ok()).unwrap_or(0);
    let is_ours = |at: &usize| env.get(&format!("GIT_CONFIG_KEY_{at}")) == Some(&key);
    let at = (0..count).find(is_ours).unwrap_or(count);
    env.insert(format!("GIT_CONFIG_KEY_{at}"), key);
    env.insert(format!("GIT_CONFIG_VALUE_{at}"), value);
    env.insert(COUNT.into(), count.max(at + 1).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGINS: &str = "http://127.0.0.1:40215";

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn an_environment_without_configuration_gets_one() {
        let mut own = env(&[]);
        with_credentials(&mut own, ORIGINS, "mayor", "abc");
        let wanted = [
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "http.http://127.0.0.1:40215/.extraHeader"),
            ("GIT_CONFIG_VALUE_0", "Authorization: Basic bWF5b3I6YWJj"),
        ];
        assert_eq!(own, env(&wanted));
    }

    #[test]
    fn what_is_configured_stays_and_inherited_credentials_do_not() {
        let others = [("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "core.pager"), ("GIT_CONFIG_VALUE_0", "cat")];
        let mut own = env(&others);
        with_credentials(&mut own, ORIGINS, "town", "t");
        with_credentials(&mut own, ORIGINS, "mayor", "abc");
        assert_eq!((own["GIT_CONFIG_COUNT"].as_str(), own["GIT_CONFIG_VALUE_0"].as_str()), ("2", "cat"));
        assert_eq!(own["GIT_CONFIG_VALUE_1"], "Authorization: Basic bWF5b3I6YWJj");
        assert_eq!(own.len(), 5);
    }
}
