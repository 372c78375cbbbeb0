//! The commands that a runner waits for a person about. They are held here alone: what is stored of them is a digest, so
//! that a secret in a command, which a runner can have by no right, lies in no database.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use crate::api::runner::{Question, Refusal};
use crate::store::Approval;

/// Most commands of one runner that wait at once; an honest one asks about as many as it may run.
pub const MAX_WAITING: usize = 128;

/// What one runner waits for, by call. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Waiting(Arc<Mutex<BTreeMap<String, Question>>>);

impl Waiting {
    /// Holds a command until it is answered. The first one of a call stays: a person was asked about that one.
    ///
    /// # Errors
    /// [`Refusal::TooMuch`] above [`MAX_WAITING`]; [`Refusal::Invalid`] when the call waits with another command.
    pub(super) fn hold(&self, question: &Question) -> Result<(), Refusal> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match held.get(&question.call) {
            Some(first) if digest(first) == digest(question) => Ok(()),
            Some(_) => Err(Refusal::Invalid(format!("call `{}` waits with another command", question.call))),
            None if held.len() >= MAX_WAITING => {
                Err(Refusal::TooMuch(format!("{MAX_WAITING} commands wait for an answer already")))
            }
            None => {
                held.insert(question.call.clone(), question.clone());
                Ok(())
            }
        }
    }

    /// Holds a command no longer.
    pub(super) fn forget(&self, call: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(call);
    }

    /// The command that `approval` answers, which is held no longer; `None` when it is not held, or is not the one that the
    /// person was asked about.
    pub(super) fn answered(&self, approval: &Approval) -> Option<Question> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&approval.question.call);
        held.filter(|question| digest(question) == approval.question.command)
    }
}

/// Of all that makes one command different from another. The number is left out: it is each runner's own.
pub(super) fn digest(question: &Question) -> Vec<u8> {
    let list = |items: &[bytes::Bytes]| items.iter().map(|item| crate::hex(item)).collect::<Vec<_>>();
    let value = serde_json::json!({
        "tool": question.tool,
        "argv": list(&question.argv),
        "env": list(&question.env),
        "cwd": crate::hex(&question.cwd),
        "timeout_ms": question.timeout_ms,
    });
    Sha256::digest(value.to_string()).to_vec()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::store::{ApprovalState, NewApproval};

    fn question(call: &str, command: &str) -> Question {
        Question {
            call: call.to_owned(),
            number: 1,
            tool: "execute".to_owned(),
            argv: vec![Bytes::from(command.to_owned())],
            env: vec![],
            cwd: Bytes::from_static(b"/w"),
            timeout_ms: 1,
        }
    }

    fn approval(call: &str, command: Vec<u8>) -> Approval {
        let (call, tool, summary) = (call.to_owned(), String::new(), String::new());
        let question = NewApproval { call, number: 1, tool, summary, command };
        Approval { question, state: ApprovalState::Approved, asked_ms: 0, released: false }
    }

    #[test]
    fn only_the_command_that_was_asked_about_is_given_back_and_once() {
        let waiting = Waiting::default();
        let (ls, rm) = (question("c1", "ls"), question("c1", "rm"));
        waiting.hold(&ls).unwrap();
        waiting.hold(&Question { number: 7, ..ls.clone() }).unwrap();
        assert!(matches!(waiting.hold(&rm), Err(Refusal::Invalid(_))));
        let answered = waiting.answered(&approval("c1", digest(&ls))).unwrap();
        assert_eq!(answered.argv, ls.argv);
        assert!(waiting.answered(&approval("c1", digest(&ls))).is_none());
        // A runner that came later holds another command under the same call: the answer was not about that.
        waiting.hold(&rm).unwrap();
        assert!(waiting.answered(&approval("c1", digest(&ls))).is_none());
    }

    #[test]
    fn so_many_wait_and_not_one_more() {
        let waiting = Waiting::default();
        for number in 0..MAX_WAITING {
            waiting.hold(&question(&number.to_string(), "ls")).unwrap();
        }
        assert!(matches!(waiting.hold(&question("more", "ls")), Err(Refusal::TooMuch(_))));
        waiting.forget("0");
        waiting.hold(&question("more", "ls")).unwrap();
    }
}
