//! The promise table as Markdown, and the blocks of pages that hold it.

use stigmer_policy::promise::{PROMISES, PromiseRow, strength};
use stigmer_policy::{Layer, Level};

/// The levels in the order of the pages: the strongest first.
const LEVELS: [Level; 3] = [Level::Full, Level::Base, Level::Filesystem];

/// How strongly each promise is held at each level.
pub(crate) fn strengths() -> String {
    let mut out = String::from("| promise | a command cannot … | full | base | filesystem |\n|---|---|---|---|---|\n");
    for row in PROMISES {
        let cells = LEVELS.map(|level| {
            let [user, root] = [false, true].map(|root| strength(row.promise, level, root));
            if user == root { user.name().to_owned() } else { format!("{}; root: {}", user.name(), root.name()) }
        });
        out.push_str(&format!("| `{}` | {} | {} |\n", row.promise.name(), row.sentence, cells.join(" | ")));
    }
    out
}

/// The layers that hold each promise.
pub(crate) fn layers() -> String {
    let mut out = String::from("| promise | full | base | filesystem |\n|---|---|---|---|\n");
    for row in PROMISES {
        let cells = LEVELS.map(|level| {
            let [user, root] = [false, true].map(|root| ways(row, level, root));
            if user == root { user } else { format!("{user}; root: {root}") }
        });
        out.push_str(&format!("| `{}` | {} |\n", row.promise.name(), cells.join(" | ")));
    }
    out
}

fn ways(row: &PromiseRow, level: Level, root: bool) -> String {
    let ways = row.held(level, root).iter().map(|way| {
        let layers: Vec<_> = way.by.iter().copied().map(Layer::name).collect();
        match (layers.is_empty(), way.how.is_empty()) {
            (false, true) => layers.join(" + "),
            (false, false) => format!("{} ({}: {})", layers.join(" + "), way.strength.name(), way.how),
            (true, _) => format!("{} ({})", way.how, way.strength.name()),
        }
    });
    let ways: Vec<_> = ways.collect();
    if ways.is_empty() { "–".to_owned() } else { ways.join(", or ") }
}

/// The text between `<!-- NAME -->` and `<!-- /NAME -->`.
pub(crate) fn block<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<!-- {name} -->\n"))?;
    rest.split_once(&format!("<!-- /{name} -->")).map(|(block, _)| block)
}

/// Fails, showing what should stand there, unless the page's block is `wanted`.
pub(crate) fn compare(page: &str, name: &str, wanted: &str) {
    let text = super::repository::read(page);
    let found = block(&text, name).unwrap_or_else(|| panic!("{page} has no block `{name}`"));
    assert!(found == wanted, "the block `{name}` of {page} should be\n\n{wanted}");
}
