//! Limits: processes, memory, disk. All of it small, since the jail that they are tried in has small limits.

#![expect(clippy::disallowed_methods, reason = "an act names files of the jail")]

use std::os::unix::fs::FileExt;

use stigmer_policy::Promise::{ProcessCount, Space};

use crate::probe::act::{Act, Attempt, How};
use crate::probe::crowd::Crowd;
use crate::probe::scene::Scene;

pub(super) const ACTS: &[Act] = &[
    Act {
        promise: ProcessCount,
        name: "processes",
        sentence: "have more processes at once than the limit",
        how: How::Bounded(processes),
        effect: None,
    },
    Act {
        promise: Space,
        name: "file",
        sentence: "write a file larger than the limit",
        how: How::Bounded(large_file),
        effect: None,
    },
    Act {
        promise: Space,
        name: "scratch",
        sentence: "put more into scratch than the limit",
        how: How::Bounded(|scene| fill(&scene.scratch, scene)),
        effect: None,
    },
    Act {
        promise: Space,
        name: "disk",
        sentence: "put more into the workspace than any limit",
        how: How::Bounded(|scene| fill(&scene.workspace, scene)),
        effect: None,
    },
    Act {
        promise: Space,
        name: "memory",
        sentence: "take more memory than any limit",
        how: How::Bounded(memory),
        effect: None,
    },
];

/// Starts processes that wait, until one is refused or there are too many; ends and reaps all of them.
fn processes(scene: &Scene) -> Attempt {
    let most = scene.most_processes as usize;
    let mut crowd = Crowd::new(most)?;
    while crowd.len() < most {
        crowd.grow()?;
    }
    Ok(())
}

fn large_file(scene: &Scene) -> Attempt {
    // SAFETY: SIG_IGN is a valid action; the write then fails with EFBIG instead of ending the process (setrlimit(2)).
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    let file = std::fs::File::create(scene.workspace.join("large"))?;
    Ok(file.write_all_at(b"x", scene.file_bytes)?)
}

/// Writes files, each within the limit of one file, that together exceed the limit of scratch.
fn fill(folder: &std::path::Path, scene: &Scene) -> Attempt {
    let content = vec![1u8; usize::try_from(scene.file_bytes).unwrap_or(0)];
    let files = scene.scratch_bytes / scene.file_bytes + 1;
    let path = |index| folder.join(format!("fill-{index}"));
    let outcome = (0..files).try_for_each(|index| std::fs::write(path(index), &content));
    for index in 0..files {
        // Those after the one that was refused were never made.
        let _ = std::fs::remove_file(path(index));
    }
    Ok(outcome?)
}

fn memory(scene: &Scene) -> Attempt {
    // Touched, so that it is taken and not only reserved.
    let taken = vec![1u8; usize::try_from(scene.scratch_bytes * 2).unwrap_or(0)];
    std::hint::black_box(&taken);
    Ok(())
}
