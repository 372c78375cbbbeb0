//! Who may speak on the unix socket: the person whose daemon this is.

use futures::{Stream, StreamExt};
use tokio::net::{UnixListener, UnixStream};

/// Connections of the person; those of other users are closed before a byte of them is read.
///
/// The folder is 0700, so that another user does not get here; root does, and is let in only when it is root's daemon.
/// The uid is the kernel's word (`SO_PEERCRED`, unix(7)).
pub(crate) fn of_this_user(listener: UnixListener) -> impl Stream<Item = std::io::Result<UnixStream>> {
    let ours = rustix::process::geteuid().as_raw();
    let accepted = tokio_stream::wrappers::UnixListenerStream::new(listener);
    accepted.filter_map(move |stream| {
        let allowed = stream.and_then(|stream| {
            let theirs = stream.peer_cred()?.uid();
            if theirs == ours {
                return Ok(Some(stream));
            }
            tracing::warn!(uid = theirs, "refused a connection of another user");
            Ok(None)
        });
        std::future::ready(allowed.transpose())
    })
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests build their own fixtures")]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    use super::*;

    const SOCKET: &str = "STIGMER_TEST_SOCKET";

    /// Connects and waits until the other side closes. Part of the test below.
    #[test]
    #[ignore = "the child of another_user_is_refused"]
    fn child_that_connects() {
        let mut stream = std::os::unix::net::UnixStream::connect(std::env::var(SOCKET).unwrap()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.is_empty());
    }

    #[tokio::test]
    async fn the_same_user_is_let_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let mut accepted = Box::pin(of_this_user(UnixListener::bind(&path).unwrap()));
        let _client = UnixStream::connect(&path).await.unwrap();
        accepted.next().await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn another_user_is_refused() {
        if !rustix::process::geteuid().is_root() {
            // Without root there is nobody else to connect as; the twin above runs for everybody.
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let mut accepted = Box::pin(of_this_user(UnixListener::bind(&path).unwrap()));
        for path in [folder.path(), &path] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
        }
        // A copy that everybody may execute: the build's folder can lie under a closed home.
        let executable = folder.path().join("child");
        std::fs::copy(std::env::current_exe().unwrap(), &executable).unwrap();
        std::fs::set_permissions(&executable, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut child = Command::new(&executable)
            .args(["--exact", "api::peer::tests::child_that_connects", "--ignored"])
            .env(SOCKET, &path)
            .current_dir("/")
            .uid(65534)
            .gid(65534)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // The child ends well only when its connection was closed; nothing was let in by then.
        let status = tokio::task::spawn_blocking(move || child.wait());
        tokio::select! {
            status = status => assert!(status.unwrap().unwrap().success()),
            stream = accepted.next() => panic!("let in: {stream:?}"),
        }
    }
}
