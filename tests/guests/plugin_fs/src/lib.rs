//! Does to files what it is told, and says what came of it.

use std::ffi::{CString, c_char};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::time::{Duration, SystemTime};

use exports::test::files::guest::Guest;

wit_bindgen::generate!({ path: "wit" });

struct Guest_;

// Not in the standard library of this target yet.
unsafe extern "C" {
    fn symlink(target: *const c_char, path: *const c_char) -> i32;
}

fn text<T>(result: std::io::Result<T>) -> Result<T, String> {
    result.map_err(|error| format!("{:?}: {error}", error.kind()))
}

impl Guest for Guest_ {
    fn read(path: String) -> Result<String, String> {
        text(fs::read_to_string(path))
    }

    fn write(path: String, content: String) -> Result<(), String> {
        text(fs::write(path, content))
    }

    fn append(path: String, content: String) -> Result<(), String> {
        text(OpenOptions::new().append(true).open(path).and_then(|mut file| file.write_all(content.as_bytes())))
    }

    fn list(path: String) -> Result<Vec<String>, String> {
        let mut names = Vec::new();
        for entry in text(fs::read_dir(path))? {
            names.push(text(entry)?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    fn size(path: String) -> Result<u64, String> {
        text(fs::metadata(path).map(|stat| stat.len()))
    }

    fn make_dir(path: String) -> Result<(), String> {
        text(fs::create_dir(path))
    }

    fn remove_file(path: String) -> Result<(), String> {
        text(fs::remove_file(path))
    }

    fn remove_dir(path: String) -> Result<(), String> {
        text(fs::remove_dir(path))
    }

    fn rename(from: String, to: String) -> Result<(), String> {
        text(fs::rename(from, to))
    }

    fn link(old: String, new: String) -> Result<(), String> {
        text(fs::hard_link(old, new))
    }

    fn symlink(target: String, path: String) -> Result<(), String> {
        let (target, path) = (CString::new(target), CString::new(path));
        let (target, path) = (target.map_err(|_| "NUL")?, path.map_err(|_| "NUL")?);
        // SAFETY: both are NUL-terminated and live through the call (symlink(2)).
        if unsafe { symlink(target.as_ptr(), path.as_ptr()) } == 0 {
            return Ok(());
        }
        text(Err(std::io::Error::last_os_error()))
    }

    fn touch(path: String, seconds: u64) -> Result<(), String> {
        let file = text(OpenOptions::new().write(true).open(path))?;
        text(file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)))
    }

    fn touch_open(path: String, seconds: u64) -> Result<(), String> {
        let file = text(File::open(path))?;
        text(file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)))
    }

    fn set_size(path: String, size: u64) -> Result<(), String> {
        text(OpenOptions::new().write(true).open(path).and_then(|file| file.set_len(size)))
    }

    fn append_renamed(from: String, to: String, content: String) -> Result<(), String> {
        let mut file = text(OpenOptions::new().append(true).open(&from))?;
        text(fs::rename(from, to))?;
        text(file.write_all(content.as_bytes()))
    }

    fn make_files(path: String, count: u32) -> Result<(), String> {
        (0..count).try_for_each(|number| text(File::create(format!("{path}/{number}")).map(drop)))
    }

    fn count(path: String) -> Result<u64, String> {
        let mut file = text(File::open(path))?;
        let (mut total, mut buffer) = (0, vec![0; 64 << 10]);
        loop {
            match text(file.read(&mut buffer))? {
                0 => return Ok(total),
                read => total += read as u64,
            }
        }
    }
}

export!(Guest_);
