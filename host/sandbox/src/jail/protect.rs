//! Protected paths of the person's folders: found at the start, held by [`anchors`](super::anchors) where the level has
//! mounts, else compared after each command and put back. What appears is looked at after the command that made it.
//!
//! Init does this with the person's rights in a folder that hostile code writes to, so no path is followed by name: every
//! step opens one component below a root's own descriptor and refuses links.

mod appeared;
mod git;
mod place;
mod snapshot;
mod walk;

use stigmer_policy::protected::{Matcher, Present, Protected};
use stigmer_policy::{Access, JailPath, Layer, RootKind};

use self::place::Place;
use self::snapshot::Snapshot;
use self::walk::Tree;
use crate::jail::anchors::Anchors;
use crate::jail::layers::Layers;
use crate::jail::mounts;
use crate::jail::plan::Plan;
use crate::message::{RestoreAction, Restored, SetupFailure};

/// Everything that protects the writable folders of one execution.
pub(crate) struct Protect<'a> {
    plan: &'a Plan,
    matcher: Matcher<'a>,
    trees: Vec<Tree>,
    anchors: Option<Anchors>,
    held: Vec<Held>,
}

/// One protected path.
struct Held {
    path: JailPath,
    tree: usize,
    /// What it held, where nothing keeps it from being changed.
    watched: Option<Snapshot>,
}

impl<'a> Protect<'a> {
    /// Finds every protected path and holds it.
    ///
    /// # Errors
    /// When a path cannot be held: a start without it would break a promise silently.
    pub(crate) fn start(plan: &'a Plan, layers: &Layers) -> Result<Protect<'a>, SetupFailure> {
        let mut protect = Protect {
            plan,
            matcher: Matcher::new(&plan.policy),
            trees: Vec::new(),
            anchors: layers.has(Layer::Anchors).then(Anchors::default),
            held: Vec::new(),
        };
        let roots = plan.policy.roots.iter().filter(|root| {
            root.access == Access::ReadWrite && matches!(root.kind, RootKind::Workspace | RootKind::Extra)
        });
        for root in roots {
            let tree = Tree::open(&root.path).map_err(|error| unreadable(&root.path, &error))?;
            if let Some(identity) = plan.identity(&root.path) {
                mounts::check_identity(tree.fd(), identity, root.path.as_path())?;
            }
            protect.trees.push(tree);
        }
        for index in 0..protect.trees.len() {
            for found in protect.trees[index].look(&protect.matcher, &plan.policy) {
                protect.hold(found.path, index, found.present)?;
            }
        }
        Ok(protect)
    }

    /// The paths that are held, as text.
    pub(crate) fn names(&self) -> Vec<String> {
        self.held.iter().map(|held| held.path.to_string()).collect()
    }

    /// How many binds stand.
    pub(crate) fn anchors(&self) -> usize {
        self.anchors.as_ref().map_or(0, Anchors::count)
    }

    /// Whether a search stopped at its bound.
    pub(crate) fn partial(&self) -> bool {
        self.trees.iter().any(Tree::is_partial)
    }

    /// Undoes what a command did to protected paths, and looks at those that it made.
    pub(crate) fn after_command(&mut self) -> Vec<Restored> {
        let mut restored = Vec::new();
        for held in &mut self.held {
            if let Some(snapshot) = &mut held.watched {
                let place = Place::new(self.trees[held.tree].root(), self.trees[held.tree].fd());
                snapshot.restore(&place, &mut restored);
            }
        }
        for index in 0..self.trees.len() {
            let was_partial = self.trees[index].is_partial();
            for found in self.trees[index].look(&self.matcher, &self.plan.policy) {
                if self.held.iter().any(|held| found.path.is_within(&held.path)) {
                    continue;
                }
                let place = Place::new(self.trees[index].root(), self.trees[index].fd());
                if appeared::examine(&place, &found, &mut restored) {
                    self.watch_appeared(index, found, &mut restored);
                }
            }
            if self.trees[index].is_partial() && !was_partial {
                let reason = "it holds too many folders to be searched whole for protected paths".to_owned();
                let action = RestoreAction::Failed(reason);
                restored.push(Restored { path: self.trees[index].root().to_string(), action });
            }
        }
        restored
    }

    /// Holds what appeared and may stay. Not by an anchor: a command that runs already has its own mounts and would write
    /// past one. What is remembered is judged, not what was looked at a moment before.
    fn watch_appeared(&mut self, tree: usize, found: Protected, restored: &mut Vec<Restored>) {
        let place = Place::new(self.trees[tree].root(), self.trees[tree].fd());
        match Snapshot::take(&place, &found.path) {
            Ok(watched) if watched.holds_only(|path, content| appeared::keeps(&place, &found, path, content)) => {
                self.held.push(Held { path: found.path, tree, watched: Some(watched) });
            }
            // Changed since, or holding more than can be watched.
            _ => appeared::set_aside(&place, &found.path, restored),
        }
    }

    fn hold(&mut self, path: JailPath, tree: usize, present: Present) -> Result<(), SetupFailure> {
        let watched = match (&mut self.anchors, present) {
            (Some(anchors), Present::Anchor) => {
                anchors.hold(&self.plan.policy, &path)?;
                None
            }
            _ => {
                let place = Place::new(self.trees[tree].root(), self.trees[tree].fd());
                Some(Snapshot::take(&place, &path).map_err(|error| unreadable(&path, &error))?)
            }
        };
        self.held.push(Held { path, tree, watched });
        Ok(())
    }
}

fn unreadable(path: &JailPath, error: &std::io::Error) -> SetupFailure {
    SetupFailure {
        step: format!("watch a protected path ({error})"),
        subject: Some(path.to_string()),
        errno: error.raw_os_error().unwrap_or(0),
        layer: Some(Layer::Anchors),
    }
}
