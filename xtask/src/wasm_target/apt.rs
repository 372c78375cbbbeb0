//! Where this system gets its packages from: apt's own source files, in both of their formats (sources.list(5)).

/// One place of packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) uri: String,
    pub(super) suites: Vec<String>,
    pub(super) components: Vec<String>,
    pub(super) signed_by: Option<String>,
}

impl Source {
    /// Whether it is the distribution's main archive: others lack the suites that are newer than this system's.
    pub(super) fn is_main_archive(&self, codename: &str) -> bool {
        let names = [codename, "stable", "testing", "unstable", "sid"];
        self.components.iter().any(|component| component == "main")
            && self.suites.iter().any(|suite| names.contains(&suite.as_str()))
    }
}

/// Sources of a `.list` file: one a line, `deb [options] uri suite components…`.
pub(super) fn one_line(text: &str) -> Vec<Source> {
    text.lines().filter_map(one_line_source).collect()
}

fn one_line_source(line: &str) -> Option<Source> {
    let line = line.split('#').next()?.trim();
    let mut rest = line.strip_prefix("deb")?.strip_prefix([' ', '\t'])?.trim_start();
    let mut signed_by = None;
    if let Some(options) = rest.strip_prefix('[') {
        let (options, after) = options.split_once(']')?;
        signed_by = options.split_whitespace().find_map(|option| option.strip_prefix("signed-by=")).map(str::to_owned);
        rest = after;
    }
    let mut words = rest.split_whitespace().map(str::to_owned);
    let (uri, suite) = (words.next()?, words.next()?);
    Some(Source { uri, suites: vec![suite], components: words.collect(), signed_by })
}

/// Sources of a `.sources` file: paragraphs of fields (deb822(5)); a key written into the file itself counts as none.
pub(super) fn paragraphs(text: &str) -> Vec<Source> {
    text.split("\n\n").filter_map(paragraph_source).collect()
}

fn paragraph_source(text: &str) -> Option<Source> {
    let field = |name: &str| {
        let mut lines = text.lines().filter(|line| !line.starts_with('#'));
        let first = lines.find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.to_owned())
        })?;
        let more = lines.take_while(|line| line.starts_with([' ', '\t']));
        Some(more.fold(first, |all, line| all + " " + line))
    };
    let words =
        |name: &str| -> Vec<String> { field(name).unwrap_or_default().split_whitespace().map(str::to_owned).collect() };
    if words("Enabled").first().is_some_and(|answer| answer.eq_ignore_ascii_case("no"))
        || !words("Types").iter().any(|kind| kind == "deb")
    {
        return None;
    }
    let signed_by = words("Signed-By").into_iter().next().filter(|path| path.starts_with('/'));
    Some(Source {
        uri: words("URIs").into_iter().next()?,
        suites: words("Suites"),
        components: words("Components"),
        signed_by,
    })
}

/// The newest version of a package whose upstream part is exactly `upstream`, from `apt-cache madison`'s table.
pub(super) fn version_of(madison: &str, upstream: &str) -> Option<String> {
    versions(madison)
        .find(|version| version.starts_with(&format!("{upstream}+")) || version.starts_with(&format!("{upstream}-")))
}

/// The first version in `apt-cache madison`'s table, which is the newest.
pub(super) fn newest(madison: &str) -> Option<String> {
    versions(madison).next()
}

fn versions(madison: &str) -> impl Iterator<Item = String> {
    madison.lines().filter_map(|line| line.split('|').nth(1)).map(|version| version.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(uri: &str, suites: &[&str], signed_by: Option<&str>) -> Source {
        Source {
            uri: uri.into(),
            suites: suites.iter().map(|suite| (*suite).into()).collect(),
            components: vec!["main".into(), "contrib".into()],
            signed_by: signed_by.map(Into::into),
        }
    }

    #[test]
    fn one_line_format() {
        let text = "# a comment\ndeb http://a.example/debian trixie main contrib\n\
                    deb-src http://a.example/debian trixie main\n\
                    deb [arch=amd64 signed-by=/k.gpg] http://b.example/d trixie-security main contrib # end\ndebris\n";
        let found = one_line(text);
        assert_eq!(
            found,
            [
                source("http://a.example/debian", &["trixie"], None),
                source("http://b.example/d", &["trixie-security"], Some("/k.gpg")),
            ]
        );
        assert!(found[0].is_main_archive("trixie"));
        assert!(!found[1].is_main_archive("trixie"));
    }

    #[test]
    fn paragraph_format() {
        let text = "Types: deb deb-src\nURIs: http://a.example/debian\nSuites: trixie\n trixie-updates\n\
                    # a comment\nComponents: main contrib\nSigned-By: /k.pgp\n\n\
                    Enabled: no\nTypes: deb\nURIs: http://off.example\nSuites: x\n\n\
                    Types: deb-src\nURIs: http://src.example\nSuites: x\n\n\
                    types: deb\nuris: http://c.example\nsuites: sid\ncomponents: main contrib\nSigned-By:\n -----BEGIN\n";
        assert_eq!(
            paragraphs(text),
            [
                source("http://a.example/debian", &["trixie", "trixie-updates"], Some("/k.pgp")),
                source("http://c.example", &["sid"], None),
            ]
        );
    }

    #[test]
    fn versions_of_exactly_this_compiler() {
        let madison =
            " rust-src | 1.95.1+dfsg1-1 | u sid\n rust-src | 1.95.0+dfsg1-2~bpo13+1 | u b\n rust-src | 1.9-1 | u s\n";
        assert_eq!(version_of(madison, "1.95.0").as_deref(), Some("1.95.0+dfsg1-2~bpo13+1"));
        assert_eq!(version_of(madison, "1.9").as_deref(), Some("1.9-1"));
        assert_eq!(version_of(madison, "1.94.0"), None);
        assert_eq!(newest(madison).as_deref(), Some("1.95.1+dfsg1-1"));
    }
}
