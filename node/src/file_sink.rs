//! A file that is written while its bytes come: to a temporary name, with direct IO where the file system takes it.
//!
//! A glommio task of its core writes; the core's loop only hands over pieces ([`FileSink::write`]) and is told what has
//! been written. The file becomes visible under its own name once it is whole and on the disk.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Poll, Waker};

use bytes::Bytes;
use futures_util::future::poll_fn;
use futures_util::io::AsyncWrite;
use glommio::io::{
    BufferedFile, DmaFile, DmaStreamWriter, DmaStreamWriterBuilder, StreamWriter,
    StreamWriterBuilder,
};

use crate::core::Core;
use crate::tasks::next_round;

#[derive(Default)]
struct State {
    queue: VecDeque<Bytes>,
    queued_bytes: usize,
    ended: Option<Ending>,
    writer: Option<Waker>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Keep,
    Discard,
}

/// What became of a file, for who waits for it.
pub type Done = Result<u64, String>;

/// The handle of who gives the bytes. Dropping it without [`FileSink::finish`] removes the file.
pub struct FileSink(Rc<RefCell<State>>);

impl FileSink {
    /// Begins a file that will be `path`. `progress` is called on the core with the bytes that have just been written,
    /// `done` once at the end.
    pub fn create(
        core: &mut Core,
        path: PathBuf,
        progress: impl Fn(&mut Core, usize) + 'static,
        done: impl FnOnce(&mut Core, Done) + 'static,
    ) -> FileSink {
        let state = Rc::<RefCell<State>>::default();
        let handle = core.handle.clone();
        let waker = core.mailbox.waker().clone();
        core.file_tasks += 1;
        let shared = Rc::clone(&state);
        glommio::spawn_local(async move {
            // Glommio runs a new task at once, but here the core is borrowed: a file that cannot be created would be
            // told of too early.
            next_round().await;
            let temporary = temporary_name(&path);
            let with_core = |work: &dyn Fn(&mut Core)| {
                if let Some(core) = handle.upgrade() {
                    work(&mut core.borrow_mut());
                    waker.wake();
                }
            };
            let result = write(&shared, &temporary, &path, |bytes| {
                with_core(&|core| progress(core, bytes));
            })
            .await;
            let result = result.map_err(|error| crate::config::os_error_text(&error));
            if result.is_err() {
                let _ = std::fs::remove_file(&temporary);
            }
            if let Some(core) = handle.upgrade() {
                let mut core = core.borrow_mut();
                core.file_tasks -= 1;
                done(&mut core, result);
                waker.wake();
            }
        })
        .detach();
        FileSink(state)
    }

    pub fn write(&self, pieces: impl IntoIterator<Item = Bytes>) {
        let mut state = self.0.borrow_mut();
        for piece in pieces {
            state.queued_bytes += piece.len();
            state.queue.push_back(piece);
        }
        if let Some(writer) = state.writer.take() {
            writer.wake();
        }
    }

    /// Bytes given and not taken yet by the task that writes.
    pub fn queued_bytes(&self) -> usize {
        self.0.borrow().queued_bytes
    }

    /// All bytes were given.
    pub fn finish(self) {
        self.end(Ending::Keep);
    }

    fn end(&self, ending: Ending) {
        let mut state = self.0.borrow_mut();
        state.ended.get_or_insert(ending);
        if let Some(writer) = state.writer.take() {
            writer.wake();
        }
    }
}

impl Drop for FileSink {
    fn drop(&mut self) {
        self.end(Ending::Discard);
    }
}

/// A name beside `path` that no other process uses.
fn temporary_name(path: &Path) -> PathBuf {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Relaxed);
    path.with_file_name(format!("temp-{}-{number}.rdb", std::process::id()))
}

/// Writes what comes until the end, syncs, and renames. Returns the bytes written.
async fn write(
    state: &RefCell<State>,
    temporary: &Path,
    path: &Path,
    progress: impl Fn(usize),
) -> io::Result<u64> {
    let mut output = Output::create(temporary).await?;
    let mut written = 0;
    while let Some(piece) = next_piece(state).await {
        output.write_all(&piece).await?;
        written += piece.len() as u64;
        progress(piece.len());
    }
    output.close().await?;
    if state.borrow().ended == Some(Ending::Discard) {
        return Err(io::Error::other("given up"));
    }
    rename(temporary, path)?;
    Ok(written)
}

/// Gives a file its name, for good.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    // The name is on the disk when its directory is.
    let directory = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    std::fs::File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

/// `None`: all were taken, or nobody wants the rest.
async fn next_piece(state: &RefCell<State>) -> Option<Bytes> {
    poll_fn(|context| {
        let mut state = state.borrow_mut();
        if state.ended == Some(Ending::Discard) {
            return Poll::Ready(None);
        }
        match state.queue.pop_front() {
            Some(piece) => {
                state.queued_bytes -= piece.len();
                Poll::Ready(Some(piece))
            }
            None if state.ended.is_some() => Poll::Ready(None),
            None => {
                state.writer = Some(context.waker().clone());
                Poll::Pending
            }
        }
    })
    .await
}

enum Output {
    Direct(DmaStreamWriter),
    Buffered(StreamWriter),
}

impl Output {
    /// Direct IO keeps a snapshot out of the page cache; some file systems do not know it.
    async fn create(path: &Path) -> io::Result<Output> {
        const BUFFER_BYTES: usize = 256 << 10;
        if let Ok(file) = DmaFile::create(path).await {
            let writer = DmaStreamWriterBuilder::new(file).with_buffer_size(BUFFER_BYTES).build();
            return Ok(Output::Direct(writer));
        }
        let file = BufferedFile::create(path).await?;
        let writer = StreamWriterBuilder::new(file).with_buffer_size(BUFFER_BYTES).build();
        Ok(Output::Buffered(writer))
    }

    fn writer(&mut self) -> Pin<&mut (dyn AsyncWrite + Unpin)> {
        match self {
            Output::Direct(writer) => Pin::new(writer),
            Output::Buffered(writer) => Pin::new(writer),
        }
    }

    async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match poll_fn(|context| self.writer().poll_write(context, bytes)).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => bytes = &bytes[count..],
            }
        }
        Ok(())
    }

    /// To the disk, and closed: both kinds of writer sync when they are closed.
    async fn close(&mut self) -> io::Result<()> {
        poll_fn(|context| self.writer().poll_close(context)).await
    }
}
