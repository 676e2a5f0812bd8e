//! The origins of a run: served, or folders; who may reach them, and what was pushed.

use std::collections::BTreeMap;
use std::sync::Arc;

use proctor_judge::evidence::{Push, path};

use super::run::Run;
use super::{Happening, Services, live};
use crate::base::{Base, OWN};
use crate::halt::Halt;
use crate::landed::git::Git;
use crate::launch::{token, with_credentials};
use crate::origins::{OriginsSpec, TOWN};
use crate::scenario::{Origins, RigsBy};
use crate::town::Town;

/// The run's note on how origins are reached: their address, or
const ORIGINS: &str = "origins";
/// that they are folders.
const FOLDERS: &str = "file";
/// Changes of refs that came together and are told one by one; the log has them all.
const TOLD: usize = 50;

impl<S: Services> Run<S> {
    /// Whether origins are folders: a live town goes on without whoever would serve them.
    pub(crate) fn has_folders(&self) -> bool {
        self.request.scenario.spec.origins == Origins::File || self.request.live_town.is_some()
    }

    /// Lets the server of origins listen, unless they are folders.
    pub(crate) async fn serve_origins(&mut self, base: &Base, git: &Git) -> Result<(), Halt> {
        if self.has_folders() {
            self.rec.record.notes.insert(ORIGINS.into(), FOLDERS.into());
            return self.make_folders(base, git).await;
        }
        base.note("listener", "origins, in this process", self.rec.now())?;
        let spec = OriginsSpec {
            folder: base.path("origins"),
            scratch: base.path(OWN),
            secret: self.request.secret.clone(),
            git: git.clone(),
            may_create: self.request.scenario.spec.rigs == RigsBy::ByMayor,
            clock: Arc::clone(&self.rec.clock),
        };
        self.services_begun = true;
        let origins = self.services.start_origins(spec).await?;
        self.pushes = Some(self.services.pushes());
        self.ports.extend(origins.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok()));
        self.rec.record.notes.insert(ORIGINS.into(), origins.clone());
        self.origins = Some(origins);
        Ok(())
    }

    /// Makes empty origins that the mayor pushes first commits to, as the server of origins would at the first push.
    async fn make_folders(&mut self, base: &Base, git: &Git) -> Result<(), Halt> {
        let spec = &self.request.scenario.spec;
        if spec.rigs == RigsBy::ByMayor {
            for rig in &spec.rig {
                git.init_bare(&base.path(&format!("origins/{}.git", rig.name))).await?;
            }
        }
        Ok(())
    }

    /// Lets everything in the town fetch. Who pushes has a token of its own, from `agent-launch`.
    pub(crate) fn give_town_credentials(&self, town: &dyn Town) {
        if let Some(origins) = &self.origins {
            let mut env = town.environment();
            with_credentials(&mut env, origins, TOWN, &token(&self.request.secret, TOWN));
            town.add_environment(env);
        }
    }

    /// Takes all that was pushed until now.
    pub(crate) fn take_pushes(&mut self) -> Result<(), Halt> {
        match self.pushes.as_mut().and_then(|pushes| pushes.try_recv().ok()) {
            Some(push) => self.take_push(push),
            None => Ok(()),
        }
    }

    /// Takes a push and all that came with it: each is evidence, stands in the timeline, and may be what was waited for.
    pub(crate) fn take_push(&mut self, first: Push) -> Result<(), Halt> {
        let mut next = Some(first);
        let mut told = 0;
        while let Some(push) = next {
            if told < TOLD {
                self.rec.happened(pushed(&push))?;
            }
            told += 1;
            if let Some(landed) = &mut self.landed {
                landed.pushed(push);
            }
            next = self.pushes.as_mut().and_then(|pushes| pushes.try_recv().ok());
        }
        if told > TOLD {
            let text = format!("{} more changes of refs stand in evidence/{}", told - TOLD, path::PUSHES);
            self.rec.note("pushed", text, BTreeMap::new())?;
        }
        self.write_pushes()
    }

    /// Writes the log as it is. There is one as soon as origins are served, even when nobody pushes.
    pub(crate) fn write_pushes(&self) -> Result<(), Halt> {
        match self.landed.as_ref().and_then(|landed| landed.pushes()) {
            Some(rows) => self.rec.ledger.write_rows(&self.rec.evidence.join(path::PUSHES), rows),
            None => Ok(()),
        }
    }
}

fn pushed(push: &Push) -> Happening {
    let short = |id: &Option<String>| id.as_deref().map_or("none", |id| id.get(..7).unwrap_or(id)).to_owned();
    let (from, to, kind) = (short(&push.from), short(&push.to), push.kind.word());
    let refname = push.branch().unwrap_or(&push.refname);
    let text = match &push.refused {
        Some(why) => format!("{} refused: {why}", push.rig),
        None if push.refname.is_empty() => format!("{} {kind}", push.rig),
        None => format!("{} {refname} {from} → {to} ({kind})", push.rig),
    };
    let values = serde_json::to_value(push).ok().and_then(|value| value.as_object().cloned()).unwrap_or_default();
    let values = values.into_iter().filter(|(key, _)| key != "at" && key != "agent").collect();
    Happening {
        at: push.at,
        kind: "pushed".into(),
        actor: push.agent.clone(),
        text: live::one_line(&text),
        values,
        claimed: false,
    }
}
