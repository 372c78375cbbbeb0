//! Skills as one file: tar inside gzip, as in the registries that carry skills
//! (`application/vnd.agentskills.skill.content.v1.tar+gzip`).
//!
//! Reading takes the whole archive into checked entries or refuses it; nothing is written anywhere by it.

use std::io::{self, BufReader, Read, Write};

use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use tar::{Archive, Builder, EntryType, Header};

use crate::entry::{Collector, Entry, EntryError, EntryPath, FREE_BYTES, Limits, shown};
use crate::skill::{Skill, SkillError};

/// Why an archive is refused, as a whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// A name, kind or amount that a skill may not have.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// The files are no skill.
    #[error(transparent)]
    Skill(#[from] SkillError),
    /// The folder in the archive and the skill in it have different names.
    #[error("the archive's folder is called `{folder}`, the skill in it `{name}`")]
    OtherName {
        /// The folder.
        folder: String,
        /// The skill.
        name: String,
    },
    /// Something comes after the end of the archive, which another reader might see as its content.
    #[error("there is something after the end of the archive")]
    Trailing,
    /// Not tar inside gzip, cut off, or unreadable.
    #[error("the archive could not be read (tar inside gzip is expected)")]
    Read(#[source] io::Error),
}

/// Writes `skill` as an archive: one folder with the skill's name, entries in order of their paths, no times and no
/// owners, so that the same skill gives the same bytes.
///
/// # Errors
/// What `out` says.
pub fn pack<W: Write>(skill: &Skill, out: W) -> io::Result<()> {
    let mut archive = Builder::new(GzEncoder::new(out, Compression::default()));
    for entry in skill.entries() {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(if entry.executable { 0o755 } else { 0o644 });
        header.set_size(entry.content.len() as u64);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        let path = format!("{}/{}", skill.name(), entry.path.as_str());
        archive.append_data(&mut header, path, entry.content.as_slice())?;
    }
    archive.into_inner()?.finish()?.flush()
}

/// Reads an archive: the skill's files in one folder that has its name, or without a folder around them.
///
/// # Errors
/// [`UnpackError`]; the first offending entry refuses the whole.
pub fn unpack<R: Read>(archive: R, limits: &Limits) -> Result<Skill, UnpackError> {
    // Headers and padding come on top of the files: three blocks an entry, and as much again for long names.
    let overhead = (limits.entries as u64 + 2) * 4096;
    let bounded = Bounded {
        inner: GzDecoder::new(BufReader::new(Counted { inner: archive, bytes: 0 })),
        bytes: 0,
        most: limits.bytes + overhead,
        ratio: limits.ratio,
        reached: None,
    };
    let mut archive = Archive::new(bounded);
    match collect(&mut archive, limits) {
        Ok(entries) => {
            let mut rest = archive.into_inner();
            let end = only_zeros(&mut rest);
            rest.checked(end)?;
            skill_of(entries)
        }
        // A bound of the stream reaches us as a failed read; what it was about is the better answer.
        Err(UnpackError::Read(error)) => Err(archive.into_inner().reached.map_or(UnpackError::Read(error), Into::into)),
        Err(error) => Err(error),
    }
}

fn collect<R: Read>(archive: &mut Archive<R>, limits: &Limits) -> Result<Vec<Entry>, UnpackError> {
    let mut collector = Collector::new(limits.clone());
    for entry in archive.entries().map_err(UnpackError::Read)? {
        let mut entry = entry.map_err(UnpackError::Read)?;
        let name = entry.path_bytes().into_owned();
        let kind = entry.header().entry_type();
        let refuse = |kind| EntryError::Kind { name: shown(&name), kind };
        match kind {
            EntryType::Regular => {}
            EntryType::Directory => {
                // tar itself writes `name/`, and `./` for the top.
                let bare = name.strip_suffix(b"/").unwrap_or(&name);
                let bare = bare.strip_prefix(b"./").unwrap_or(bare);
                if bare != b"." && !bare.is_empty() {
                    collector.folder(&EntryPath::new(bare)?)?;
                }
                continue;
            }
            EntryType::Symlink => return Err(refuse("symbolic link").into()),
            EntryType::Link => return Err(refuse("hard link").into()),
            EntryType::Char | EntryType::Block => return Err(refuse("device").into()),
            EntryType::Fifo => return Err(refuse("pipe").into()),
            // A global head changes the meaning of all that follow; git writes one, with a comment only.
            EntryType::XGlobalHeader => continue,
            _ => return Err(refuse("special entry").into()),
        }
        let path = EntryPath::new(name.strip_prefix(b"./").unwrap_or(&name))?;
        if entry.size() > collector.room() {
            return Err(collector.too_many_bytes().into());
        }
        let executable = entry.header().mode().map_err(UnpackError::Read)? & 0o100 != 0;
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(UnpackError::Read)?;
        collector.file(Entry { path, executable, content })?;
    }
    Ok(collector.finish())
}

/// Takes the outer folder off, where there is one, and reads the rest as a skill.
fn skill_of(mut entries: Vec<Entry>) -> Result<Skill, UnpackError> {
    let top = |entry: &Entry| entry.path.as_str().split_once('/').map(|(top, _)| top.to_owned());
    let folder = entries.first().and_then(top);
    let Some(folder) = folder.filter(|folder| entries.iter().all(|entry| top(entry).as_ref() == Some(folder))) else {
        return Ok(Skill::from_entries(entries, None)?);
    };
    for entry in &mut entries {
        entry.path = EntryPath::new(&entry.path.as_str().as_bytes()[folder.len() + 1..])?;
    }
    let skill = Skill::from_entries(entries, Some(&folder))?;
    if skill.name().as_str() != folder {
        return Err(UnpackError::OtherName { folder: shown(folder.as_bytes()), name: skill.name().to_string() });
    }
    Ok(skill)
}

/// Reads to the end; true when only the zeros that pad an archive were left.
fn only_zeros(reader: &mut impl Read) -> io::Result<bool> {
    let mut buffer = [0; 4096];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(true),
            count if buffer[..count].iter().any(|byte| *byte != 0) => return Ok(false),
            _ => {}
        }
    }
}

/// Counts what went through.
struct Counted<R> {
    inner: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bytes += count as u64;
        Ok(count)
    }
}

/// The unpacked stream, up to a size and up to a ratio to what was read of the packed one.
struct Bounded<R> {
    inner: GzDecoder<BufReader<Counted<R>>>,
    bytes: u64,
    most: u64,
    ratio: u64,
    reached: Option<EntryError>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bytes += count as u64;
        let packed = self.inner.get_ref().get_ref().bytes;
        if self.bytes > self.most {
            self.reached = Some(EntryError::Limit { what: "bytes", value: self.most });
        } else if self.bytes > FREE_BYTES && self.bytes / self.ratio > packed {
            self.reached = Some(EntryError::Limit { what: "times the packed size", value: self.ratio });
        }
        if self.reached.is_some() { Err(io::Error::other("the archive grows too large")) } else { Ok(count) }
    }
}

impl<R: Read> Bounded<R> {
    /// Judges the end of the archive: `ended` says whether only padding was left of the unpacked stream.
    fn checked(mut self, ended: io::Result<bool>) -> Result<(), UnpackError> {
        match (ended, self.reached.take()) {
            (_, Some(reached)) => return Err(reached.into()),
            (Err(error), None) => return Err(UnpackError::Read(error)),
            (Ok(false), None) => return Err(UnpackError::Trailing),
            (Ok(true), None) => {}
        }
        // A second gzip member, or anything else, after the first.
        let mut rest = [0];
        match self.inner.into_inner().read(&mut rest) {
            Ok(0) => Ok(()),
            Ok(_) => Err(UnpackError::Trailing),
            Err(error) => Err(UnpackError::Read(error)),
        }
    }
}

#[cfg(test)]
mod tests;
