//! Turning a refused kernel call into words: which step, on what, of which layer.

use std::path::Path;

use stigmer_policy::Layer;

use crate::message::SetupFailure;

/// Names the step that a result belongs to.
pub(crate) trait Step<T> {
    /// The error says that `step` failed while building `layer`.
    fn step(self, layer: Layer, step: &str) -> Result<T, SetupFailure>;
    /// The error says that `step` failed on `subject` while building `layer`.
    fn step_on(self, layer: Layer, step: &str, subject: &Path) -> Result<T, SetupFailure>;
}

impl<T, E: Into<std::io::Error>> Step<T> for Result<T, E> {
    fn step(self, layer: Layer, step: &str) -> Result<T, SetupFailure> {
        self.map_err(|error| failure(layer, step, None, &error.into()))
    }

    fn step_on(self, layer: Layer, step: &str, subject: &Path) -> Result<T, SetupFailure> {
        self.map_err(|error| failure(layer, step, Some(subject), &error.into()))
    }
}

fn failure(layer: Layer, step: &str, subject: Option<&Path>, error: &std::io::Error) -> SetupFailure {
    SetupFailure {
        step: step.to_owned(),
        subject: subject.map(|path| path.display().to_string()),
        errno: error.raw_os_error().unwrap_or(0),
        layer: Some(layer),
    }
}
