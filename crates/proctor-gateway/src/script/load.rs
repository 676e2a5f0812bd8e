//! Reading script folders.
use super::{Script, ScriptProblem};
use std::collections::BTreeMap;
use std::path::Path;

pub(super) fn read_folder(_dir: &Path) -> Result<BTreeMap<String, Vec<u8>>, ScriptProblem> {
    Ok(BTreeMap::new())
}

pub(super) fn scripts(
    _files: &BTreeMap<String, Vec<u8>>,
) -> Result<Vec<Script>, Vec<ScriptProblem>> {
    Ok(Vec::new())
}
