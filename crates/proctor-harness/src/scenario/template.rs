//! What `proctor scenarios new DIR` writes: the smallest scenario that loads, lands and is checked.

use std::collections::BTreeMap;

use super::files::Files;

/// The files of a new scenario named `name`: one rig, one worker that delivers one file, one check.
pub fn template(name: &str) -> Files {
    let spec = include_str!("template/scenario.toml").replace("NAME", name);
    let files = [
        ("scenario.toml", spec.as_str()),
        ("prompt.md", include_str!("template/prompt.md")),
        ("script/mayor.toml", include_str!("template/mayor.toml")),
        ("script/polecat.toml", include_str!("template/polecat.toml")),
    ];
    let map: BTreeMap<String, Vec<u8>> =
        files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
    Files::new(name, map)
}
