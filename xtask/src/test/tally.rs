//! What passed, failed and was skipped, over all runs.

use anyhow::{Result, bail};

/// A line that a test prints, anywhere in its output, when it cannot run here: `skipped: NAME: REASON`.
const SKIPPED: &str = "skipped: ";

#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(super) passed: u64,
    failed: Vec<String>,
    skipped: Vec<(String, String)>,
}

impl Tally {
    pub(super) fn fail(&mut self, name: impl Into<String>) {
        self.failed.push(name.into());
    }

    pub(super) fn skip(&mut self, name: &str, reason: &str) {
        let row = (name.to_owned(), reason.to_owned());
        if !self.skipped.contains(&row) {
            self.skipped.push(row);
        }
    }

    /// Takes the skips that tests have printed; each is listed once, beside the test that printed it.
    pub(super) fn collect_skips(&mut self, run: &str, output: &str) {
        for line in output.lines().filter_map(|line| line.trim_start().strip_prefix(SKIPPED)) {
            let (name, reason) = line.split_once(": ").unwrap_or((line, "no reason given"));
            self.skip(&format!("{run}{name}"), reason);
        }
    }

    pub(super) fn failures(&self) -> usize {
        self.failed.len()
    }

    /// Takes a JUnit report: test cases, those with a failure in them, and the skips in their output.
    pub(super) fn collect_junit(&mut self, xml: &str) {
        for case in xml.split("<testcase ").skip(1) {
            let attribute = |name: &str| {
                let (_, rest) = case.split_once(&format!("{name}=\""))?;
                rest.split('"').next()
            };
            let name = format!("{} {}", attribute(" classname").unwrap_or("?"), attribute("name").unwrap_or("?"));
            if case.contains("<failure") || case.contains("<error") {
                self.fail(unescape(&name));
            } else {
                self.passed += 1;
            }
            let output = case.replace("<system-out>", "\n").replace("<system-err>", "\n").replace("</system-", "\n");
            self.collect_skips("", &unescape(&output));
        }
    }

    /// Takes libtest's own lines: how many passed, which failed, which are ignored.
    pub(super) fn collect_libtest(&mut self, run: &str, output: &str) {
        for line in output.lines() {
            let Some((name, outcome)) = line.strip_prefix("test ").and_then(|line| line.rsplit_once(" ... ")) else {
                continue;
            };
            match outcome.split_once(", ").unwrap_or((outcome, "")) {
                ("ok", _) => self.passed += 1,
                ("ignored", reason) => {
                    self.skip(&format!("{run}{name}"), if reason.is_empty() { "ignored" } else { reason })
                }
                ("FAILED", _) => self.fail(format!("{run}{name}")),
                _ => {}
            }
        }
        self.collect_skips(run, output);
    }

    /// Prints failures and skips by name and the closing line.
    ///
    /// # Errors
    /// Something failed, or nothing ran at all.
    pub(super) fn report(self) -> Result<()> {
        for (name, reason) in &self.skipped {
            println!("skipped  {name}: {reason}");
        }
        for name in &self.failed {
            println!("failed   {name}");
        }
        println!("{} passed, {} failed, {} skipped", self.passed, self.failed.len(), self.skipped.len());
        if !self.failed.is_empty() {
            bail!("{} failed", self.failed.len());
        }
        if self.passed == 0 {
            bail!("no test ran");
        }
        Ok(())
    }
}

fn unescape(xml: &str) -> String {
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#10;", "\n"), ("&amp;", "&")];
    pairs.iter().fold(xml.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_a_junit_report_says() {
        let xml = "<testsuite name=\"s\"><testcase name=\"a::b\" classname=\"s\" time=\"1\">\
                   <system-out>running\nskipped: row 7: no &lt;layer&gt;</system-out><system-err>skipped: row 8: x</system-err>\
                   </testcase><testcase name=\"c\" classname=\"s\"><failure type=\"t\">m</failure></testcase></testsuite>";
        let mut tally = Tally::default();
        tally.collect_junit(xml);
        assert_eq!((tally.passed, tally.failed.as_slice()), (1, ["s c".to_owned()].as_slice()));
        let skipped: Vec<_> = tally.skipped.iter().map(|(name, why)| format!("{name}={why}")).collect();
        assert_eq!(skipped, ["row 7=no <layer>", "row 8=x"]);
    }

    #[test]
    fn counts_what_libtest_prints() {
        let mut tally = Tally::default();
        let output = "running 4 tests\ntest a::b ... ok\ntest a::c ... FAILED\ntest d ... ignored, needs a disk\n\
                      test e - should panic ... ok\n---- stdout\n  skipped: row 12: no such layer\nskipped: x\n";
        tally.collect_libtest("p ", output);
        tally.collect_libtest("p ", "skipped: row 12: no such layer\n");
        assert_eq!(tally.passed, 2);
        assert_eq!(tally.failed, ["p a::c"]);
        let skipped: Vec<_> = tally.skipped.iter().map(|(name, why)| format!("{name}={why}")).collect();
        assert_eq!(skipped, ["p d=needs a disk", "p row 12=no such layer", "p x=no reason given"]);
        assert!(tally.report().is_err());
        assert!(Tally::default().report().is_err());
        assert!(Tally { passed: 1, ..Tally::default() }.report().is_ok());
    }
}
