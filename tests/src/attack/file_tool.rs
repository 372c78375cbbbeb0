//! What a file tool does in a scenario: the verbs themselves, in this process.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::fs::{CWD, RenameFlags};
use stigmer_policy::{JailPath, Policy};
use stigmer_sandbox::files::{GrepOptions, PutOptions, ReadOptions, Roots};

use super::{CANARY, Step};
use crate::chance::rounds;

/// Rounds of a race.
const ROUNDS: usize = 1_000;
/// Rounds of a race when there is time.
const LONG_ROUNDS: usize = 10_000;

/// A busy machine may let only one of the two be met for long: then as many times the rounds are taken at most.
const MOST_TIMES: usize = 20;

/// Longest pause between two exchanges, in steps of [`PAUSE_STEP`] turns: some shorter than a verb takes, some longer.
const PAUSES: usize = 61;
const PAUSE_STEP: usize = 400;

/// What a verb answered.
pub(super) type Outcome = Result<String, Refusal>;

/// Why a verb did nothing.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The rule, where it was the policy that refused.
    pub(super) rule: Option<String>,
    pub(super) case: String,
    /// The message, and the advice beside it.
    pub(super) words: String,
}

/// Every verb's error has these; no trait of the product names them.
macro_rules! refusal {
    ($error:expr) => {{
        let error = $error;
        Refusal {
            rule: error.denial().map(|denial| denial.rule.name().to_owned()),
            case: error.case().to_owned(),
            words: format!("{error}\n{}", error.hint().unwrap_or_default()),
        }
    }};
}

/// The verbs over one policy's roots, and the step that says what is asked of them.
pub(super) struct FileTool<'a> {
    pub(super) step: &'a Step,
    pub(super) policy: &'a Policy,
    pub(super) fill: &'a dyn Fn(&str) -> String,
}

impl FileTool<'_> {
    /// Does the step's verb once.
    pub(super) fn act(&self) -> Outcome {
        self.verb(&Roots::open(self.policy).expect("the roots are there"))
    }

    fn verb(&self, roots: &Roots) -> Outcome {
        let path = match JailPath::from_base(&self.workspace(), self.path()) {
            Ok(path) => path,
            Err(error) => return Err(Refusal { rule: None, case: error.to_string(), words: error.to_string() }),
        };
        let content = (self.fill)(&self.step.content);
        match self.step.verb.as_deref().expect("a file-tool step names a verb") {
            "read" => match roots.read(&path, ReadOptions::default()) {
                Ok(read) => Ok(String::from_utf8_lossy(&read.bytes).into_owned()),
                Err(error) => Err(refusal!(error)),
            },
            "put" => match roots.put(&path, &mut content.as_bytes(), PutOptions::default()) {
                Ok(change) => Ok(format!("{change:?}")),
                Err(error) => Err(refusal!(error)),
            },
            "delete" => match roots.delete(&path, true) {
                Ok(removal) => Ok(format!("{removal:?}")),
                Err(error) => Err(refusal!(error)),
            },
            "ls" => match roots.ls(&path, 100) {
                Ok(listing) => Ok(format!("{listing:?}")),
                Err(error) => Err(refusal!(error)),
            },
            "grep" => match roots.grep(&path, &content, GrepOptions { regex: true, ..GrepOptions::default() }) {
                Ok(grepped) => Ok(format!("{} matches: {grepped:?}", grepped.matches.len())),
                Err(error) => Err(refusal!(error)),
            },
            other => panic!("no verb `{other}`"),
        }
    }

    fn workspace(&self) -> JailPath {
        self.policy.workspace_root().expect("a policy has a workspace").path.clone()
    }

    fn path(&self) -> PathBuf {
        if let Some(digits) = &self.step.path_hex {
            let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("two hexadecimal digits");
            return OsString::from_vec((0..digits.len()).step_by(2).map(byte).collect()).into();
        }
        (self.fill)(self.step.path.as_deref().expect("a file-tool step names a path")).into()
    }

    /// Does the verb over and over while another thread exchanges the two names of `swap`.
    ///
    /// # Panics
    /// When a secret came out, a refusal had another case than the listed ones, or only one of the two was ever met.
    pub(super) fn race(&self) {
        let [one, other] = self.step.swap.as_slice() else { panic!("`swap` takes two names") };
        let at = |name: &str| self.workspace().as_path().join((self.fill)(name));
        let (one, other) = (at(one), at(other));
        let roots = Roots::open(self.policy).expect("the roots are there");
        let (done, swaps) = (AtomicBool::new(false), AtomicUsize::new(0));
        let (mut worked, mut refused) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| exchange(&one, &other, &done, &swaps));
            let _end = EndAtDrop(&done);
            let rounds = rounds(ROUNDS, LONG_ROUNDS);
            for round in 0..rounds * MOST_TIMES {
                if round >= rounds && worked > 0 && refused > 0 {
                    break;
                }
                let before = swaps.load(Ordering::Relaxed);
                match self.verb(&roots) {
                    Ok(text) => {
                        assert!(!text.contains(CANARY), "round {round}: a secret came out: {text}");
                        worked += 1;
                    }
                    Err(Refusal { case, words, .. }) => {
                        assert!(self.step.cases.contains(&case), "round {round}: case `{case}`: {words}");
                        refused += 1;
                    }
                }
                // Each round meets at least one swap.
                while swaps.load(Ordering::Relaxed) == before {
                    std::thread::yield_now();
                }
            }
        });
        if swaps.load(Ordering::Relaxed) % 2 == 1 {
            // The next step finds the names as they were.
            rustix::fs::renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).expect("both names are there");
        }
        assert!(worked > 0 && refused > 0, "nothing was raced: {worked} worked, {refused} refused");
    }
}

fn exchange(one: &Path, other: &Path, done: &AtomicBool, swaps: &AtomicUsize) {
    while !done.load(Ordering::Relaxed) {
        // A verb may have taken one of the names away for a moment.
        if rustix::fs::renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).is_ok() {
            let count = swaps.fetch_add(1, Ordering::Relaxed);
            for _ in 0..count % PAUSES * PAUSE_STEP {
                std::hint::spin_loop();
            }
        }
    }
}

/// Ends the exchange also when an assertion fails, which would else wait for it for ever.
struct EndAtDrop<'a>(&'a AtomicBool);

impl Drop for EndAtDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
