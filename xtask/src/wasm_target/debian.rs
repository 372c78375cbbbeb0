//! Builds a target's standard library from Debian's `rust-src` and puts it into the toolchain's sysroot.
//!
//! Debian's own package of it belongs to Debian's compiler; libraries of another compiler, even of the same version,
//! cannot be linked. So the source is compiled once, by the compiler that will use it; the C library is taken as it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::apt::{self, Source};
use crate::place::{TempFolder, copy_folder};
use crate::process;

/// Used where the sources name no key of their own.
const ARCHIVE_KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// What the C library's package has besides headers that a component needs.
const C_FILES: [&str; 3] = ["crt1-command.o", "crt1-reactor.o", "libc.a"];

/// Installs `target`; about a minute.
pub(super) fn install(target: &str) -> Result<()> {
    if !Path::new("/etc/debian_version").exists() {
        bail!("this is not Debian");
    }
    if !process::is_root() {
        bail!("needs root, to write to the toolchain");
    }
    let version = compiler_version()?;
    let work = TempFolder::new("wasm-target")?;
    eprintln!("building the standard library of {target} from Debian's rust-src {version}; this takes about a minute");

    let apt = Apt::new(work.path())?;
    // Suites that the mirror lacks make this fail although the needed one was read; what counts is the version below.
    let updated = process::text(&mut apt.command("apt-get", &["-qq", "update"]));
    let source = apt::version_of(&apt.madison("rust-src")?, &version);
    let libc = apt::newest(&apt.madison("wasi-libc")?);
    let (Some(source), Some(libc)) = (source, libc) else {
        updated.context("could not read Debian's package lists")?;
        bail!("Debian has no rust-src of exactly {version}, or no wasi-libc");
    };
    apt.unpack(&[format!("rust-src={source}"), format!("wasi-libc={libc}")])?;

    let sysroot = PathBuf::from(process::text(process::rustc().args(["--print", "sysroot"]))?.trim());
    let unpacked = work.path().join("root");
    let _link = SourceLink::place(&sysroot, &unpacked.join(format!("usr/src/rustc-{version}")))?;
    let built = build(work.path(), target)?;

    let staged = work.path().join("staged");
    fs::create_dir_all(staged.join("lib/self-contained"))?;
    for library in built {
        fs::copy(&library, staged.join("lib").join(library.file_name().expect("listed from a folder")))?;
    }
    for name in C_FILES {
        let from = unpacked.join("usr/lib").join(target).join(name);
        fs::copy(&from, staged.join("lib/self-contained").join(name))
            .with_context(|| format!("could not copy `{}`", from.display()))?;
    }
    try_out(work.path(), &sysroot, &staged, target)
}

/// Puts the staged libraries in place, compiles a program with them, and takes them out again if that fails.
fn try_out(work: &Path, sysroot: &Path, staged: &Path, target: &str) -> Result<()> {
    let place = sysroot.join("lib/rustlib").join(target);
    if place.exists() {
        fs::remove_dir_all(&place).with_context(|| format!("could not replace `{}`", place.display()))?;
    }
    copy_folder(staged, &place)?;
    let program = work.join("hello.rs");
    fs::write(&program, "fn main() { println!(\"hello\"); }")?;
    let tried = process::text(
        process::rustc()
            .args(["--edition", "2024", "--target", target, "-o"])
            .args([&work.join("hello.wasm"), &program])
            .current_dir(work),
    );
    if let Err(error) = tried {
        fs::remove_dir_all(&place)?;
        return Err(error.context("the new standard library does not work"));
    }
    Ok(())
}

fn compiler_version() -> Result<String> {
    let text = process::text(process::rustc().arg("--version"))?;
    text.split_whitespace().nth(1).map(str::to_owned).context("`rustc --version` has no version")
}

/// Compiles the standard library as the dependency of an empty crate; returns its rlibs.
fn build(work: &Path, target: &str) -> Result<Vec<PathBuf>> {
    let seed = work.join("seed");
    fs::create_dir_all(seed.join("src"))?;
    fs::write(seed.join("src/lib.rs"), "")?;
    fs::write(
        seed.join("Cargo.toml"),
        "[package]\nname = \"seed\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n",
    )?;
    let out = work.join("out");
    process::text(
        process::cargo()
            .args(["build", "--quiet", "--release", "-Zbuild-std=std,panic_abort", "--target", target])
            .env("CARGO_TARGET_DIR", &out)
            .env("RUSTC_BOOTSTRAP", "1") // `build-std` is unstable; the compiler's own build does the same
            .env("RUSTFLAGS", "-C embed-bitcode=yes") // as the official library, so that LTO works
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .current_dir(&seed),
    )
    .context("could not build the standard library")?;
    let deps = out.join(target).join("release/deps");
    let mut found = Vec::new();
    for entry in fs::read_dir(&deps).with_context(|| format!("could not list `{}`", deps.display()))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.ends_with(".rlib") && !name.starts_with("libseed-") {
            found.push(path);
        }
    }
    Ok(found)
}

/// apt with a state of its own, so that the system's is not touched.
struct Apt {
    work: PathBuf,
}

impl Apt {
    fn new(work: &Path) -> Result<Self> {
        for folder in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(work.join("apt").join(folder))?;
        }
        let codename = codename(&fs::read_to_string("/etc/os-release").context("could not read `/etc/os-release`")?)
            .context("`/etc/os-release` names no release")?;
        let mirror = mirror(&codename)?;
        let keys = mirror.signed_by.as_deref().unwrap_or(ARCHIVE_KEYS);
        // The compiler is often newer than the system, so its source is looked for in newer suites too.
        let own = [codename.clone(), format!("{codename}-backports")];
        let newer = ["stable", "stable-backports", "testing", "unstable"].map(str::to_owned);
        let line = |suite| format!("deb [signed-by={keys}] {} {suite} main\n", mirror.uri);
        let list: String = own.into_iter().chain(newer).map(line).collect();
        fs::write(work.join("apt/sources.list"), list)?;
        Ok(Apt { work: work.to_owned() })
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let apt = self.work.join("apt");
        let mut command = Command::new(program);
        for (key, value) in [
            ("Dir::Etc::sourcelist", apt.join("sources.list")),
            ("Dir::Etc::sourceparts", PathBuf::from("/dev/null")),
            ("Dir::State::lists", apt.join("lists")),
            ("Dir::Cache", apt.join("cache")),
            ("APT::Sandbox::User", PathBuf::from("root")), // `_apt` may not enter a temporary folder of root
        ] {
            command.arg("-o").arg(format!("{key}={}", value.display()));
        }
        command.args(args).current_dir(&self.work);
        command
    }

    fn madison(&self, package: &str) -> Result<String> {
        process::text(&mut self.command("apt-cache", &["madison", package]))
    }

    /// Downloads packages and unpacks them into `root`, without installing them.
    fn unpack(&self, packages: &[String]) -> Result<()> {
        let args: Vec<_> = ["-qq", "download"].into_iter().chain(packages.iter().map(String::as_str)).collect();
        process::text(&mut self.command("apt-get", &args)).context("could not download from Debian")?;
        for entry in fs::read_dir(&self.work)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "deb") {
                process::text(Command::new("dpkg").arg("-x").arg(&path).arg(self.work.join("root")))?;
            }
        }
        Ok(())
    }
}

/// The main archive as this system's own configuration names it.
fn mirror(codename: &str) -> Result<Source> {
    let mut sources = apt::one_line(&fs::read_to_string("/etc/apt/sources.list").unwrap_or_default());
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort();
        for file in files {
            let read = || fs::read_to_string(&file).with_context(|| format!("could not read `{}`", file.display()));
            match file.extension().and_then(|extension| extension.to_str()) {
                Some("sources") => sources.extend(apt::paragraphs(&read()?)),
                Some("list") => sources.extend(apt::one_line(&read()?)),
                _ => {}
            }
        }
    }
    sources.into_iter().find(|source| source.is_main_archive(codename)).context("apt's sources name no main archive")
}

fn codename(os_release: &str) -> Option<String> {
    let line = os_release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="))?;
    Some(line.trim_matches('"').to_owned())
}

/// The library's source where cargo looks for it; taken away again when we placed it.
struct SourceLink(Option<PathBuf>);

impl SourceLink {
    fn place(sysroot: &Path, source: &Path) -> Result<Self> {
        let link = sysroot.join("lib/rustlib/src/rust");
        if link.join("library/std").exists() {
            return Ok(SourceLink(None));
        }
        if link.is_symlink() {
            fs::remove_file(&link)?; // left behind by a run that was killed
        }
        fs::create_dir_all(link.parent().expect("joined above"))?;
        std::os::unix::fs::symlink(source, &link).with_context(|| format!("could not link `{}`", link.display()))?;
        Ok(SourceLink(Some(link)))
    }
}

impl Drop for SourceLink {
    fn drop(&mut self) {
        if let Some(link) = &self.0
            && let Err(error) = fs::remove_file(link)
        {
            eprintln!("could not remove `{}`: {error}", link.display());
        }
    }
}
