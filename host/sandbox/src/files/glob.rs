//! `glob`: the files whose path fits a pattern.

use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};
use stigmer_policy::JailPath;

use super::fault::{PathFault, verb_error};
use super::ls::LinkLeads;
use super::node::Kind;
use super::resolve::{Last, Place, Want, resolve};
use super::roots::Roots;
use super::stop::Stop;
use super::walk::{Cut, Found, MAX_DEPTH, Next, Walk, Warning};

/// Paths that one search gives.
pub const GLOB_MATCHES: usize = 10_000;

/// Longest pattern, in bytes.
pub(super) const PATTERN_BYTES: usize = 4_096;

/// How to look for files.
#[derive(Debug, Clone, Copy)]
pub struct GlobOptions<'a> {
    /// Let a pattern without `/` fit the name in any folder below; with it, `*.py` finds `src/a.py`.
    pub any_depth: bool,
    /// Leave out what `.gitignore` files name, and `.git` itself.
    pub ignore: bool,
    /// Whether names that begin with a dot count.
    pub hidden: bool,
    /// Paths to give; at most [`GLOB_MATCHES`].
    pub limit: usize,
    /// When to give up; without a deadline after [`super::SEARCH_TIME`].
    pub stop: Stop<'a>,
}

impl Default for GlobOptions<'_> {
    fn default() -> Self {
        GlobOptions { any_depth: false, ignore: false, hidden: true, limit: GLOB_MATCHES, stop: Stop::default() }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Globbed {
    /// Files and in-root links to files, sorted by bytes.
    pub paths: Vec<JailPath>,
    /// Why these are not all; `None` when they are.
    pub truncated: Option<Cut>,
    /// What could not be looked into, the first hundred.
    pub warnings: Vec<Warning>,
    /// How many places could not be looked into.
    pub warned: usize,
}

/// Why nothing was looked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GlobError {
    /// The folder to start in could not be reached.
    #[error(transparent)]
    Path(#[from] PathFault),
    /// The pattern is none.
    #[error("`{pattern}` is no pattern of paths below the folder: {reason}")]
    BadPattern {
        /// The pattern, cut to 200 characters.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
}

verb_error!(GlobError,
    case { Self::BadPattern { .. } => "bad-pattern", }
    hint {
        Self::BadPattern { .. } => {
            Some("`*` fits within one name, `**/` any number of folders, `{a,b}` either".to_owned())
        },
    }
);

impl Roots {
    /// Finds the files below the folder `base` whose path, relative to it, fits `pattern`. Links to folders are not
    /// entered.
    ///
    /// # Errors
    /// [`GlobError`]; a folder on the way that cannot be read is a warning.
    pub fn glob(&self, base: &JailPath, pattern: &str, options: GlobOptions<'_>) -> Result<Globbed, GlobError> {
        let fits = matcher(pattern, options.any_depth)
            .map_err(|reason| GlobError::BadPattern { pattern: pattern.chars().take(200).collect(), reason })?;
        let (base, dir) = match resolve(self, base, Want::Read, Last::Follow)? {
            Place::Spot(spot) => (spot.path.clone(), spot.folder()?),
            Place::Listed { path, .. } => return Err(PathFault::NotADirectory { path }.into()),
        };
        let limit = options.limit.min(GLOB_MATCHES);
        let mut walk = Walk::new(self, options.stop, options.ignore, options.hidden);
        let shape = Shape::of(pattern, options.any_depth);
        walk.max_depth = shape.max_depth;
        let mut paths = Vec::new();
        walk.run(&dir, &base, &mut |_, found| {
            if !shape.leads(found) {
                return Next::Past;
            }
            if fits.is_match(found.below) && self.is_file(found) {
                if paths.len() == limit {
                    return Next::Enough;
                }
                paths.push(found.path.clone());
            }
            Next::On
        })?;
        paths.sort_unstable_by(|a, b| a.as_path().as_os_str().cmp(b.as_path().as_os_str()));
        Ok(Globbed { paths, truncated: walk.cut, warned: walk.warnings.count, warnings: walk.warnings.rows })
    }

    fn is_file(&self, found: &Found<'_>) -> bool {
        match (found.kind, found.path.parent()) {
            (Kind::File, _) => true,
            (Kind::Link, Some(at)) => self.leads(&at, found.name) == LinkLeads::Inside(Kind::File),
            _ => false,
        }
    }
}

/// The compiled pattern: `*` and `?` stop at `/`, a leading dot is like any other character.
pub(super) fn matcher(pattern: &str, any_depth: bool) -> Result<GlobMatcher, String> {
    if pattern.len() > PATTERN_BYTES {
        return Err(format!("longer than {PATTERN_BYTES} bytes"));
    }
    if pattern.is_empty() {
        return Err("it is empty".to_owned());
    }
    if pattern.starts_with('/') {
        return Err("it begins with `/`".to_owned());
    }
    if pattern.split('/').any(|part| part == "..") {
        return Err("it climbs with `..`".to_owned());
    }
    let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
    let whole = if any_depth && !pattern.contains('/') { format!("**/{pattern}") } else { pattern.to_owned() };
    let glob = GlobBuilder::new(&whole).literal_separator(true).build().map_err(|error| error.kind().to_string())?;
    Ok(glob.compile_matcher())
}

/// What a pattern says about where its matches can lie, so that the walk need not go everywhere.
struct Shape {
    /// Leading folders without any wildcard.
    folders: Vec<String>,
    max_depth: usize,
}

impl Shape {
    fn of(pattern: &str, any_depth: bool) -> Self {
        let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
        let parts: Vec<&str> = pattern.split('/').collect();
        let (_, folders) = parts.split_last().unwrap_or((&"", &[]));
        let plain = |part: &&&str| !part.is_empty() && !part.contains(['*', '?', '[', ']', '{', '}', '\\', ',', '!']);
        let leading: Vec<String> = folders.iter().take_while(plain).map(|part| (*part).to_owned()).collect();
        // A brace may hold a `/`, and `**` any number of them.
        let deep = pattern.contains("**") || pattern.contains('{') || (any_depth && folders.is_empty());
        Shape { folders: leading, max_depth: if deep { MAX_DEPTH } else { folders.len() } }
    }

    /// Whether a match can be at `found` or below it.
    fn leads(&self, found: &Found<'_>) -> bool {
        self.folders.get(found.depth).is_none_or(|folder| Path::new(found.name) == Path::new(folder))
    }
}
