//! Files outside the roots: reading, writing, metadata.

#![expect(clippy::disallowed_methods, reason = "an act names host paths: reaching them is what it tries")]

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use stigmer_policy::Promise::{MetadataOutside, ReadOutside, WriteOutside};

use super::same;
use crate::probe::act::{Act, Attempt, Effect, How};
use crate::probe::scene::Scene;
use crate::probe::set::Set;

pub(super) const ACTS: &[Act] = &[
    Act {
        promise: ReadOutside,
        name: "read-file",
        sentence: "read a file outside",
        how: How::Plain(read_file),
        effect: None,
    },
    Act {
        promise: ReadOutside,
        name: "list-folder",
        sentence: "list a folder outside",
        how: How::Plain(list_folder),
        effect: None,
    },
    Act {
        promise: WriteOutside,
        name: "create-file",
        sentence: "make a file in a folder outside",
        how: How::Plain(create_file),
        effect: Some(|set| Effect::seen(set.scene.outside.join("new").exists())),
    },
    Act {
        promise: WriteOutside,
        name: "change-file",
        sentence: "overwrite a file outside",
        how: How::Plain(change_file),
        effect: Some(|set| Effect::seen(std::fs::read(set.scene.outside.join("change")).is_ok_and(|it| it == EVIL))),
    },
    Act {
        promise: WriteOutside,
        name: "remove-file",
        sentence: "remove a file outside",
        how: How::Plain(remove_file),
        effect: Some(|set| Effect::seen(!set.scene.outside.join("remove").exists())),
    },
    Act {
        promise: WriteOutside,
        name: "shared-memory-file",
        sentence: "make a file in the host's /dev/shm",
        how: How::Plain(shared_memory_file),
        effect: Some(|set| Effect::seen(set.scene.shm_file.exists())),
    },
    Act {
        promise: MetadataOutside,
        name: "mode",
        sentence: "change the mode of a file outside",
        how: How::Plain(mode),
        effect: Some(|set| Effect::seen(metadata(set).is_some_and(|it| it.permissions().mode() & 0o777 == 0o666))),
    },
    Act {
        promise: MetadataOutside,
        name: "times",
        sentence: "change the times of a file outside",
        how: How::Plain(times),
        effect: Some(|set| Effect::seen(metadata(set).is_some_and(|it| it.mtime() == 1))),
    },
    Act {
        promise: MetadataOutside,
        name: "attribute",
        sentence: "set an extended attribute of a file outside",
        how: How::Plain(attribute),
        effect: None,
    },
];

const EVIL: &[u8] = b"changed";

fn metadata(set: &Set) -> Option<std::fs::Metadata> {
    std::fs::metadata(set.scene.outside.join("metadata")).ok()
}

fn read_file(scene: &Scene) -> Attempt {
    same(&std::fs::read(scene.outside.join("secret"))?, &scene.canary)
}

fn list_folder(scene: &Scene) -> Attempt {
    let mut names = std::fs::read_dir(&scene.outside)?.filter_map(|entry| Some(entry.ok()?.file_name()));
    if names.any(|name| name == "secret") { Ok(()) } else { super::elsewhere("another folder was listed") }
}

fn create_file(scene: &Scene) -> Attempt {
    Ok(std::fs::write(scene.outside.join("new"), EVIL)?)
}

fn change_file(scene: &Scene) -> Attempt {
    let mut file = std::fs::OpenOptions::new().write(true).truncate(true).open(scene.outside.join("change"))?;
    Ok(std::io::Write::write_all(&mut file, EVIL)?)
}

fn remove_file(scene: &Scene) -> Attempt {
    Ok(std::fs::remove_file(scene.outside.join("remove"))?)
}

fn shared_memory_file(scene: &Scene) -> Attempt {
    if !std::path::Path::new("/dev/shm").exists() {
        return super::absent("no /dev/shm");
    }
    Ok(std::fs::write(&scene.shm_file, EVIL)?)
}

fn mode(scene: &Scene) -> Attempt {
    Ok(std::fs::set_permissions(scene.outside.join("metadata"), std::fs::Permissions::from_mode(0o666))?)
}

fn times(scene: &Scene) -> Attempt {
    let second = rustix::fs::Timespec { tv_sec: 1, tv_nsec: 0 };
    let times = rustix::fs::Timestamps { last_access: second, last_modification: second };
    let path = scene.outside.join("metadata");
    Ok(rustix::fs::utimensat(rustix::fs::CWD, path, &times, rustix::fs::AtFlags::empty())?)
}

fn attribute(scene: &Scene) -> Attempt {
    let path = scene.outside.join("metadata");
    match rustix::fs::setxattr(path, "user.stigmer", b"1", rustix::fs::XattrFlags::empty()) {
        Err(rustix::io::Errno::OPNOTSUPP) => super::absent("the file system has no attributes"),
        other => Ok(other?),
    }
}
