//! Gives functions that the compiler inlined their places in recorded stacks. An optimised node is a few large
//! functions; `perf script` (as Debian builds it) names only those. The debug information of the release
//! profile, line tables, knows what was inlined where, and that is read here.

use std::fs;
use std::io::{self, BufRead, Write};
use std::path::Path;

use addr2line::Loader;
use object::{Object, ObjectSegment};

use crate::error::Failure;

/// The debug information of one program.
pub struct Inlined {
    loader: Loader,
    /// The program's path as it ends a line of a stack, in brackets.
    place: String,
    segments: Vec<Segment>,
}

/// Where a piece of the file is mapped. `perf script` prints offsets in the file.
struct Segment {
    file_offset: u64,
    file_bytes: u64,
    address: u64,
}

impl Inlined {
    pub fn open(program: &Path) -> Result<Inlined, Failure> {
        let unreadable = |error: String| Failure::Setup(format!("{}: {error}", program.display()));
        let program = program.canonicalize().map_err(Failure::path("finding", program))?;
        let bytes = fs::read(&program).map_err(Failure::path("reading", &program))?;
        let file = object::File::parse(&*bytes).map_err(|error| unreadable(error.to_string()))?;
        let segments = file
            .segments()
            .map(|segment| {
                let (file_offset, file_bytes) = segment.file_range();
                Segment { file_offset, file_bytes, address: segment.address() }
            })
            .collect();
        let loader = Loader::new(&program).map_err(|error| unreadable(error.to_string()))?;
        Ok(Inlined { loader, place: format!("({})", program.display()), segments })
    }

    /// Copies the output of `perf script`, every line of this program replaced by one line for each function
    /// that stands there, the innermost first, as stacks have it. What a stack has below the outermost
    /// function of our own (thread start, executor: the same two dozen frames in each) is left out.
    pub fn expand(&self, recorded: impl BufRead, out: &mut impl Write) -> io::Result<()> {
        let mut stack: Vec<Frame> = Vec::new();
        for line in recorded.lines() {
            let line = line?;
            if line.starts_with([' ', '\t']) {
                let innermost = stack.is_empty();
                let frames = self.frames(&line, innermost);
                if frames.is_empty() {
                    stack.push(Frame { line, is_ours: false });
                } else {
                    stack.extend(frames);
                }
            } else {
                write_stack(&mut stack, out)?;
                writeln!(out, "{line}")?;
            }
        }
        write_stack(&mut stack, out)
    }

    /// The functions at one line of a stack; none if it is of another program or not known.
    fn frames(&self, line: &str, innermost: bool) -> Vec<Frame> {
        let Some(offset) = line
            .trim()
            .strip_suffix(self.place.as_str())
            .and_then(|rest| rest.split_whitespace().next())
            .and_then(|text| u64::from_str_radix(text, 16).ok())
        else {
            return Vec::new();
        };
        // All but the innermost are return addresses: the call is just before them.
        let offset = if innermost { offset } else { offset.saturating_sub(1) };
        let Some(address) = address_of(&self.segments, offset) else {
            return Vec::new();
        };
        let mut frames = Vec::new();
        if let Ok(mut found) = self.loader.find_frames(address) {
            while let Ok(Some(frame)) = found.next() {
                let Some(Ok(name)) = frame.function.as_ref().map(|function| function.demangle())
                else {
                    continue;
                };
                let file = frame.location.and_then(|place| place.file);
                frames.push(Frame {
                    line: format!("\t1 {} {}", short_name(&name, file), self.place),
                    is_ours: file.is_some_and(is_our_source),
                });
            }
        }
        frames
    }
}

/// One function of a stack, as a line of `perf script`.
struct Frame {
    line: String,
    is_ours: bool,
}

fn write_stack(stack: &mut Vec<Frame>, out: &mut impl Write) -> io::Result<()> {
    if let Some(outermost) = stack.iter().rposition(|frame| frame.is_ours) {
        stack.truncate(outermost + 1);
    }
    for frame in stack.drain(..) {
        writeln!(out, "{}", frame.line)?;
    }
    Ok(())
}

/// Neither the standard library's nor a dependency's.
fn is_our_source(file: &str) -> bool {
    !["/rustc/", "/library/", "/registry/", "/rustlib/"].iter().any(|part| file.contains(part))
}

fn address_of(segments: &[Segment], offset: u64) -> Option<u64> {
    segments
        .iter()
        .find(|segment| {
            (segment.file_offset..segment.file_offset + segment.file_bytes).contains(&offset)
        })
        .map(|segment| offset - segment.file_offset + segment.address)
}

/// Without what it is generic over, which can fill a screen. Line tables give inlined functions without their
/// module; the file's name stands in for it.
fn short_name(name: &str, file: Option<&str>) -> String {
    let name = match name.find('<') {
        None | Some(0) => name,
        Some(at) => &name[..at],
    };
    if name.contains("::") {
        return name.to_owned();
    }
    let path = file.map(Path::new);
    let stem = path.and_then(|path| path.file_stem()).map(|stem| stem.to_string_lossy());
    match stem.as_deref() {
        None => name.to_owned(),
        // `mod.rs` and `lib.rs` are named by their folder.
        Some(stem @ ("mod" | "lib")) => {
            let folder = path.and_then(Path::parent).and_then(|folder| folder.file_name());
            let folder = folder.map_or(stem.into(), |folder| folder.to_string_lossy());
            format!("{folder}::{name}")
        }
        Some(stem) => format!("{stem}::{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_turned_into_addresses() {
        let segments = [
            Segment { file_offset: 0, file_bytes: 0x100, address: 0 },
            Segment { file_offset: 0x100, file_bytes: 0x100, address: 0x1100 },
        ];
        assert_eq!(address_of(&segments, 0x150), Some(0x1150));
        assert_eq!(address_of(&segments, 0x50), Some(0x50));
        assert_eq!(address_of(&segments, 0x200), None);
    }

    #[test]
    fn names_are_short_and_say_their_file() {
        for (name, file, expected) in [
            ("a::b", Some("/x/y.rs"), "a::b"),
            ("b", Some("/x/y.rs"), "y::b"),
            ("b", Some("/x/y/mod.rs"), "y::b"),
            ("b", None, "b"),
            ("b<c::d, e>", Some("/x/y.rs"), "y::b"),
            ("<a::b as c>::d", Some("/x/y.rs"), "<a::b as c>::d"),
        ] {
            assert_eq!(short_name(name, file), expected);
        }
    }

    #[test]
    fn stacks_begin_with_our_outermost_function() {
        let frame = |line: &str, is_ours| Frame { line: line.to_owned(), is_ours };
        let mut stack = vec![
            frame("memmove", false),
            frame("ours", true),
            frame("poll", false),
            frame("ours too", true),
            frame("executor", false),
            frame("thread", false),
        ];
        let mut out = Vec::new();
        write_stack(&mut stack, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "memmove\nours\npoll\nours too\n");
        assert!(stack.is_empty());
    }

    #[test]
    fn lines_of_other_programs_and_headers_are_kept() {
        let inlined = Inlined::open(&std::env::current_exe().unwrap()).unwrap();
        let stacks = "x 1/1 2.0: cycles:\n\tffff f ([kernel.kallsyms])\n\t zz g (/other)\n\n";
        let mut out = Vec::new();
        inlined.expand(stacks.as_bytes(), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), stacks);
    }
}
