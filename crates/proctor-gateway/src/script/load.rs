//! Script folders: which files there are, which of them are scripts, and what only all of them together can have wrong.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::read::{Draft, read_script};
use super::{Script, ScriptProblem, World};

/// Path relative to the script folder, with `/`, to content.
type Files = BTreeMap<String, Vec<u8>>;

/// Every file below a folder.
pub(super) fn read_folder(dir: &Path) -> Result<Files, ScriptProblem> {
    let mut files = Files::new();
    add_folder(dir, "", &mut files)?;
    Ok(files)
}

fn add_folder(dir: &Path, prefix: &str, files: &mut Files) -> Result<(), ScriptProblem> {
    let failed = |path: &Path, error: &std::io::Error| {
        ScriptProblem::whole(&path.display().to_string(), format!("cannot be read: {error}"))
    };
    for entry in fs::read_dir(dir).map_err(|e| failed(dir, &e))? {
        let path = entry.map_err(|e| failed(dir, &e))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let relative = format!("{prefix}{name}");
        if path.is_dir() {
            add_folder(&path, &format!("{relative}/"), files)?;
        } else {
            files.insert(relative, fs::read(&path).map_err(|e| failed(&path, &e))?);
        }
    }
    Ok(())
}

/// The scripts of this world among the files, or every problem of all of them.
pub(super) fn scripts(files: &Files, world: World) -> Result<Vec<Script>, Vec<ScriptProblem>> {
    let mut problems = Vec::new();
    let mut drafts = Vec::new();
    for name in files.keys().filter(|name| is_script(name)) {
        let (draft, found) = read_script(name, files, world);
        drafts.extend(draft.filter(|draft| draft.present));
        problems.extend(found);
    }
    if !files.keys().any(|name| is_script(name)) {
        problems.push(ScriptProblem::whole(".", "the script folder has no script (`*.toml`)".to_owned()));
    }
    problems.extend(doubles(&drafts));
    problems.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
    if problems.is_empty() { Ok(drafts.into_iter().map(|draft| draft.script).collect()) } else { Err(problems) }
}

fn is_script(name: &str) -> bool {
    name.ends_with(".toml") && !name.contains('/')
}

/// Scripts for the same role and rig: nothing could choose between them.
fn doubles(drafts: &[Draft]) -> Vec<ScriptProblem> {
    let mut problems = Vec::new();
    for (index, draft) in drafts.iter().enumerate() {
        let script = &draft.script;
        let same = |other: &&Draft| other.script.role == script.role && other.script.rig == script.rig;
        if let Some(first) = drafts[..index].iter().find(same) {
            let rig = script.rig.as_ref().map_or_else(String::new, |rig| format!(" in rig `{rig}`"));
            let message = format!("role `{}`{rig} is played by `{}` already", script.role, first.script.file);
            problems.push(ScriptProblem { message, ..draft.role_place.clone() });
        }
    }
    problems
}
