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
    /// that stands there, the innermost first, as stacks have it.
    pub fn expand(&self, stacks: impl BufRead, out: &mut impl Write) -> io::Result<()> {
        let mut innermost = true;
        for line in stacks.lines() {
            let line = line?;
            // A stack begins after a line that is not indented.
            if !line.starts_with([' ', '\t']) {
                innermost = true;
                writeln!(out, "{line}")?;
                continue;
            }
            let names = self.names(&line, innermost);
            innermost = false;
            if names.is_empty() {
                writeln!(out, "{line}")?;
            }
            for name in names {
                writeln!(out, "\t{:>16} {name} {}", "1", self.place)?;
            }
        }
        Ok(())
    }

    /// The functions at one line of a stack; none if it is of another program or not known.
    fn names(&self, line: &str, innermost: bool) -> Vec<String> {
        let frame = line.trim();
        let Some(offset) = frame
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
        let mut names = Vec::new();
        if let Ok(mut frames) = self.loader.find_frames(address) {
            while let Ok(Some(frame)) = frames.next() {
                let Some(function) = frame.function else {
                    continue;
                };
                let Ok(name) = function.demangle() else {
                    continue;
                };
                names.push(in_its_file(&name, frame.location.and_then(|place| place.file)));
            }
        }
        names
    }
}

fn address_of(segments: &[Segment], offset: u64) -> Option<u64> {
    segments
        .iter()
        .find(|segment| {
            (segment.file_offset..segment.file_offset + segment.file_bytes).contains(&offset)
        })
        .map(|segment| offset - segment.file_offset + segment.address)
}

/// Line tables give inlined functions without their module; the file's name stands in for it.
fn in_its_file(name: &str, file: Option<&str>) -> String {
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
    fn bare_names_get_their_file() {
        assert_eq!(in_its_file("a::b", Some("/x/y.rs")), "a::b");
        assert_eq!(in_its_file("b", Some("/x/y.rs")), "y::b");
        assert_eq!(in_its_file("b", Some("/x/y/mod.rs")), "y::b");
        assert_eq!(in_its_file("b", None), "b");
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
