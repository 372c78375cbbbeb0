//! What is in effect, in a few lines.

use stigmer_policy::Level;

use crate::begin::Begun;
use crate::context::Context;
use crate::printer::Printer;
use crate::settings::Key;

/// Prints what a daemon was started with. What was not proved is not printed as held.
pub(crate) fn print(context: &Context, begun: &Begun, printer: &Printer) {
    let settings = &context.settings;
    let shown = |key: Key| {
        let valued = settings.get(key);
        valued.map(|valued| format!("{} ({})", valued.value, valued.origin))
    };
    let line = |name: &str, value: &str| printer.line(format_args!("  {name:<10} {value}"));
    printer.line(format_args!("stigmer {} is running (pid {})", env!("CARGO_PKG_VERSION"), begun.pid));
    line("mode", &shown(Key::Mode).unwrap_or_default());
    line("endpoint", &shown(Key::Endpoint).unwrap_or_default());
    line("sandbox", &walls(begun.kind, begun.proved.level.name()));
    if !begun.proved.layers.is_empty() {
        let layers: Vec<_> = begun.proved.layers.iter().map(|layer| layer.name()).collect();
        line("proved", &layers.join(", "));
    }
    if !begun.proved.not_prevented.is_empty() {
        line("not held", &begun.proved.not_prevented.join(", "));
    }
    line("provider", &shown(Key::Provider).unwrap_or_else(|| "none".to_owned()));
    line("model", &shown(Key::Model).unwrap_or_else(|| "none".to_owned()));
    line("key", begun.key_origin.as_deref().unwrap_or("none"));
    let workspace = settings.get(Key::Workspace);
    let workspace = workspace.map(|valued| {
        let path = std::path::absolute(&valued.value).unwrap_or_else(|_| valued.value.clone().into());
        format!("{} ({})", path.display(), valued.origin)
    });
    line("workspace", &workspace.unwrap_or_default());
    line("home", &context.person.stigmer_home.display().to_string());
    if let Some(hint) = &begun.no_provider {
        printer.note(format_args!("no model can be asked yet"));
        printer.hint(format_args!("{hint}"));
    }
}

/// Sandbox and level, as every verb says them.
pub(crate) fn walls(sandbox: &str, level: &str) -> String {
    if level == Level::Filesystem.name() {
        format!("{level}, confined: no")
    } else {
        format!("{sandbox}, level {level}")
    }
}

/// Says which promises are not held as `prevented`.
pub(crate) fn open_promises(open: &[String], printer: &Printer) {
    if !open.is_empty() {
        printer.note(format_args!("not prevented here: {}", open.join(", ")));
    }
}
