//! `wasi:filesystem` for one call: every operation that takes a path is ours; those on an open file are wasmtime's.

use std::time::{Duration, SystemTime};

use rustix::fs::{Stat, Timespec, Timestamps};
use rustix::io::Errno;
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::{Descriptor, Dir, File, FsPerms, OpenMode};
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, HostDescriptor, HostDirectoryEntryStream,
    NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

use super::ops::{self, How, Opened};
use super::wall::{Ask, Base, Refusal, Wall};
use super::{FilesView, nothing};

impl FilesView<'_> {
    fn base(&self, fd: &Resource<Descriptor>) -> FsResult<Base> {
        self.files.held.get(&fd.rep()).cloned().ok_or_else(|| ErrorCode::NotDirectory.into())
    }

    /// Does file work off this thread, so that a slow disk cannot hold up a deadline.
    async fn work<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&Wall) -> Result<T, Refusal> + Send + 'static,
    ) -> FsResult<T> {
        let wall = self.files.wall.clone();
        match tokio::task::spawn_blocking(move || work(&wall)).await.map_err(FsError::trap)? {
            Ok(value) => Ok(value),
            // wasmtime's own table lacks it and would make it an I/O error.
            Err(Refusal::Os(Errno::XDEV)) => Err(ErrorCode::CrossDevice.into()),
            Err(Refusal::Os(errno)) => Err(std::io::Error::from(errno).into()),
            Err(Refusal::Denied(denial)) => {
                self.denials.push(*denial);
                Err(ErrorCode::NotPermitted.into())
            }
        }
    }

    /// Notes that the guest changes an open file, or asked for a stream to do so. The trusted half's record compares
    /// content, so a stream that nothing goes through adds nothing to it.
    fn changes(&self, fd: &Resource<Descriptor>) {
        if let Some(path) = self.files.written.get(&fd.rep()) {
            self.files.wall.changes.note(path);
        }
    }

    fn hold(&mut self, base: Base) -> FsResult<Resource<Descriptor>> {
        let dir = match &base {
            Base::Top => nothing()?,
            Base::Folder(folder) => folder.dir.try_clone()?,
        };
        let writes = matches!(&base, Base::Folder(folder) if folder.access == stigmer_policy::Access::ReadWrite);
        let mode = if writes { OpenMode::READ | OpenMode::WRITE } else { OpenMode::READ };
        // Read-only for wasmtime's own methods: whatever changes a folder goes through `ops`.
        let fd = self.table.push(Descriptor::Dir(Dir::new(dir, FsPerms::ReadOnly, mode, false)))?;
        self.files.held.insert(fd.rep(), base);
        Ok(fd)
    }
}

impl preopens::Host for FilesView<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let mut out = vec![(self.hold(Base::Top).map_err(trap)?, "/".to_owned())];
        for folder in self.files.wall.grants.clone().iter() {
            let name = folder.path.to_string();
            out.push((self.hold(Base::Folder(folder.clone())).map_err(trap)?, name));
        }
        Ok(out)
    }
}

fn trap(error: FsError) -> wasmtime::Error {
    match error.downcast() {
        Ok(code) => wasmtime::Error::msg(format!("could not hand over a granted folder: {code:?}")),
        Err(error) => error,
    }
}

impl types::Host for FilesView<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn filesystem_error_code(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        types::Host::filesystem_error_code(&mut self.plain(), error)
    }
}

type Fd = Resource<Descriptor>;

impl HostDescriptor for FilesView<'_> {
    async fn open_at(
        &mut self,
        fd: Fd,
        path_flags: PathFlags,
        path: String,
        open: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Fd> {
        let synchronous = DescriptorFlags::FILE_INTEGRITY_SYNC
            | DescriptorFlags::DATA_INTEGRITY_SYNC
            | DescriptorFlags::REQUESTED_WRITE_SYNC;
        if flags.intersects(synchronous) {
            return Err(ErrorCode::Unsupported.into());
        }
        let how = How {
            follow: path_flags.contains(PathFlags::SYMLINK_FOLLOW),
            create: open.contains(OpenFlags::CREATE),
            exclusive: open.contains(OpenFlags::EXCLUSIVE),
            truncate: open.contains(OpenFlags::TRUNCATE),
            directory: open.contains(OpenFlags::DIRECTORY),
            read: flags.contains(DescriptorFlags::READ),
            write: flags.contains(DescriptorFlags::WRITE),
        };
        if how.directory && (how.create || how.exclusive || how.truncate) {
            return Err(ErrorCode::Invalid.into());
        }
        let base = self.base(&fd)?;
        match self.work(move |wall| ops::open(wall, &base, &path, how)).await? {
            Opened::Top => self.hold(Base::Top),
            Opened::Folder(folder) => self.hold(Base::Folder(folder)),
            Opened::File { file, path, writable } => {
                let (perms, mode) = match (writable, how.read) {
                    (false, _) => (FsPerms::ReadOnly, OpenMode::READ),
                    (true, false) => (FsPerms::ReadWrite, OpenMode::WRITE),
                    (true, true) => (FsPerms::ReadWrite, OpenMode::READ | OpenMode::WRITE),
                };
                let fd = self.table.push(Descriptor::File(File::new(file, perms, mode, false)))?;
                if writable {
                    self.files.written.insert(fd.rep(), path);
                }
                Ok(fd)
            }
        }
    }

    async fn create_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let base = self.base(&fd)?;
        self.work(move |wall| ops::make_dir(wall, &base, &path)).await
    }

    async fn remove_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let base = self.base(&fd)?;
        self.work(move |wall| ops::remove(wall, &base, &path, true)).await
    }

    async fn unlink_file_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let base = self.base(&fd)?;
        self.work(move |wall| ops::remove(wall, &base, &path, false)).await
    }

    async fn rename_at(&mut self, fd: Fd, from: String, new_fd: Fd, to: String) -> FsResult<()> {
        let (base, new_base) = (self.base(&fd)?, self.base(&new_fd)?);
        let renamed = self.work(move |wall| ops::rename(wall, (&base, &from), (&new_base, &to))).await?;
        self.files.renamed(&renamed.0, &renamed.1);
        Ok(())
    }

    async fn symlink_at(&mut self, fd: Fd, target: String, path: String) -> FsResult<()> {
        let base = self.base(&fd)?;
        self.work(move |wall| ops::symlink(wall, &base, &target, &path)).await
    }

    async fn link_at(&mut self, fd: Fd, old_flags: PathFlags, old: String, new_fd: Fd, new: String) -> FsResult<()> {
        if old_flags.contains(PathFlags::SYMLINK_FOLLOW) {
            return Err(ErrorCode::Invalid.into());
        }
        let (base, new_base) = (self.base(&fd)?, self.base(&new_fd)?);
        self.work(move |wall| ops::link(wall, (&base, &old), (&new_base, &new))).await
    }

    async fn set_times_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        let base = self.base(&fd)?;
        let times = timestamps(accessed, modified)?;
        let follow = flags.contains(PathFlags::SYMLINK_FOLLOW);
        self.work(move |wall| ops::set_times(wall, &base, &path, follow, &times)).await
    }

    async fn set_times(&mut self, fd: Fd, accessed: NewTimestamp, modified: NewTimestamp) -> FsResult<()> {
        match self.files.held.get(&fd.rep()).cloned() {
            None => {
                self.changes(&fd);
                HostDescriptor::set_times(&mut self.plain(), fd, accessed, modified).await
            }
            Some(Base::Top) => Err(ErrorCode::NotPermitted.into()),
            Some(Base::Folder(folder)) => {
                let times = timestamps(accessed, modified)?;
                self.work(move |wall| ops::set_folder_times(wall, &folder, &times)).await
            }
        }
    }

    async fn stat_at(&mut self, fd: Fd, flags: PathFlags, path: String) -> FsResult<DescriptorStat> {
        let base = self.base(&fd)?;
        let follow = flags.contains(PathFlags::SYMLINK_FOLLOW);
        Ok(described(&self.work(move |wall| ops::stat(wall, &base, &path, follow)).await?))
    }

    async fn stat(&mut self, fd: Fd) -> FsResult<DescriptorStat> {
        if matches!(self.files.held.get(&fd.rep()), Some(Base::Top)) {
            return Ok(DescriptorStat {
                type_: DescriptorType::Directory,
                link_count: 1,
                size: 0,
                data_access_timestamp: None,
                data_modification_timestamp: None,
                status_change_timestamp: None,
            });
        }
        HostDescriptor::stat(&mut self.plain(), fd).await
    }

    async fn readlink_at(&mut self, fd: Fd, path: String) -> FsResult<String> {
        let base = self.base(&fd)?;
        self.work(move |wall| ops::read_link(wall, &base, &path)).await
    }

    async fn metadata_hash_at(&mut self, fd: Fd, flags: PathFlags, path: String) -> FsResult<types::MetadataHashValue> {
        let base = self.base(&fd)?;
        let follow = flags.contains(PathFlags::SYMLINK_FOLLOW);
        Ok(identity(&self.work(move |wall| ops::stat(wall, &base, &path, follow)).await?))
    }

    async fn metadata_hash(&mut self, fd: Fd) -> FsResult<types::MetadataHashValue> {
        let file = match self.table.get(&fd)? {
            Descriptor::File(file) => file.file.clone(),
            Descriptor::Dir(dir) => dir.dir.clone(),
        };
        Ok(identity(&self.work(move |_| Ok(rustix::fs::fstat(&*file)?)).await?))
    }

    async fn read_directory(&mut self, fd: Fd) -> FsResult<Resource<types::DirectoryEntryStream>> {
        match self.base(&fd)? {
            // wasmtime keeps the whole listing in memory, so its size is bounded first.
            Base::Folder(folder) => self.work(move |_| ops::may_list(&folder)).await?,
            // Not a place: refused by rule, as any other path outside the grants.
            Base::Top => self.work(|wall| wall.find(&Base::Top, ".", false, Ask::Read).map(drop)).await?,
        }
        HostDescriptor::read_directory(&mut self.plain(), fd).await
    }

    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        self.files.held.remove(&fd.rep());
        self.files.written.remove(&fd.rep());
        HostDescriptor::drop(&mut self.plain(), fd)
    }

    async fn advise(&mut self, fd: Fd, offset: u64, len: u64, advice: types::Advice) -> FsResult<()> {
        HostDescriptor::advise(&mut self.plain(), fd, offset, len, advice).await
    }

    async fn sync_data(&mut self, fd: Fd) -> FsResult<()> {
        HostDescriptor::sync_data(&mut self.plain(), fd).await
    }

    async fn sync(&mut self, fd: Fd) -> FsResult<()> {
        HostDescriptor::sync(&mut self.plain(), fd).await
    }

    async fn get_flags(&mut self, fd: Fd) -> FsResult<DescriptorFlags> {
        HostDescriptor::get_flags(&mut self.plain(), fd).await
    }

    async fn get_type(&mut self, fd: Fd) -> FsResult<DescriptorType> {
        HostDescriptor::get_type(&mut self.plain(), fd).await
    }

    async fn set_size(&mut self, fd: Fd, size: u64) -> FsResult<()> {
        self.changes(&fd);
        HostDescriptor::set_size(&mut self.plain(), fd, size).await
    }

    async fn read(&mut self, fd: Fd, len: u64, offset: u64) -> FsResult<(Vec<u8>, bool)> {
        HostDescriptor::read(&mut self.plain(), fd, len, offset).await
    }

    async fn write(&mut self, fd: Fd, bytes: Vec<u8>, offset: u64) -> FsResult<u64> {
        self.changes(&fd);
        HostDescriptor::write(&mut self.plain(), fd, bytes, offset).await
    }

    fn read_via_stream(&mut self, fd: Fd, offset: u64) -> FsResult<Resource<DynInputStream>> {
        HostDescriptor::read_via_stream(&mut self.plain(), fd, offset)
    }

    fn write_via_stream(&mut self, fd: Fd, offset: u64) -> FsResult<Resource<DynOutputStream>> {
        self.changes(&fd);
        HostDescriptor::write_via_stream(&mut self.plain(), fd, offset)
    }

    fn append_via_stream(&mut self, fd: Fd) -> FsResult<Resource<DynOutputStream>> {
        self.changes(&fd);
        HostDescriptor::append_via_stream(&mut self.plain(), fd)
    }

    async fn is_same_object(&mut self, a: Fd, b: Fd) -> wasmtime::Result<bool> {
        HostDescriptor::is_same_object(&mut self.plain(), a, b).await
    }
}

impl HostDirectoryEntryStream for FilesView<'_> {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<types::DirectoryEntryStream>,
    ) -> FsResult<Option<types::DirectoryEntry>> {
        HostDirectoryEntryStream::read_directory_entry(&mut self.plain(), stream).await
    }

    fn drop(&mut self, stream: Resource<types::DirectoryEntryStream>) -> wasmtime::Result<()> {
        HostDirectoryEntryStream::drop(&mut self.plain(), stream)
    }
}

fn kind_of(kind: rustix::fs::FileType) -> DescriptorType {
    use rustix::fs::FileType;
    match kind {
        FileType::RegularFile => DescriptorType::RegularFile,
        FileType::Directory => DescriptorType::Directory,
        FileType::Symlink => DescriptorType::SymbolicLink,
        FileType::CharacterDevice => DescriptorType::CharacterDevice,
        FileType::BlockDevice => DescriptorType::BlockDevice,
        FileType::Fifo => DescriptorType::Fifo,
        FileType::Socket => DescriptorType::Socket,
        FileType::Unknown => DescriptorType::Unknown,
    }
}

fn described(stat: &Stat) -> DescriptorStat {
    // Times before 1970 have no value in WASI 0.2; they are left out rather than failing the call.
    let time = |seconds: i64, nanoseconds: u64| {
        let nanoseconds = u32::try_from(nanoseconds).ok()?;
        Some(Datetime { seconds: u64::try_from(seconds).ok()?, nanoseconds })
    };
    DescriptorStat {
        type_: kind_of(rustix::fs::FileType::from_raw_mode(stat.st_mode)),
        link_count: stat.st_nlink,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        data_access_timestamp: time(stat.st_atime, stat.st_atime_nsec),
        data_modification_timestamp: time(stat.st_mtime, stat.st_mtime_nsec),
        status_change_timestamp: time(stat.st_ctime, stat.st_ctime_nsec),
    }
}

/// Two handles have the same value exactly when they are the same file: device and inode say that by themselves.
fn identity(stat: &Stat) -> types::MetadataHashValue {
    types::MetadataHashValue { lower: stat.st_ino, upper: stat.st_dev }
}

fn timestamps(accessed: NewTimestamp, modified: NewTimestamp) -> Result<Timestamps, ErrorCode> {
    Ok(Timestamps { last_access: timespec(accessed)?, last_modification: timespec(modified)? })
}

fn timespec(time: NewTimestamp) -> Result<Timespec, ErrorCode> {
    let since = match time {
        NewTimestamp::NoChange => return Ok(Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT }),
        NewTimestamp::Now => SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO),
        NewTimestamp::Timestamp(time) => {
            let carried = time.seconds.checked_add(u64::from(time.nanoseconds / 1_000_000_000));
            Duration::new(carried.ok_or(ErrorCode::Overflow)?, time.nanoseconds % 1_000_000_000)
        }
    };
    let seconds = i64::try_from(since.as_secs()).map_err(|_| ErrorCode::Overflow)?;
    Ok(Timespec { tv_sec: seconds, tv_nsec: i64::from(since.subsec_nanos()) })
}
