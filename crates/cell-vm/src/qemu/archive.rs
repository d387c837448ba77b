//! The guest's first files, as the kernel unpacks them: a `cpio` archive in the format `newc`
//! (`Documentation/driver-api/early-userspace/buffer-format.rst`).

/// An archive under construction.
#[derive(Debug, Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    number: u32,
}

const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

// === impl Archive ===

impl Archive {
    pub(super) fn dir(&mut self, path: &str) {
        self.entry(path, DIRECTORY | 0o755, b"");
    }

    pub(super) fn file(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.entry(path, REGULAR | mode, content);
    }

    pub(super) fn link(&mut self, path: &str, content: &str) {
        self.entry(path, LINK | 0o777, content.as_bytes());
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, b"");
        self.bytes
    }

    /// Thirteen numbers of eight hexadecimal digits, the name, the content; both padded to four bytes.
    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.number += 1;
        let size = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let name_size = u32::try_from(name.len() + 1).unwrap_or(u32::MAX);
        let links = 1;
        let fields = [self.number, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name_size, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::Archive;

    #[test]
    fn the_system_s_own_cpio_reads_it() {
        let mut archive = Archive::default();
        archive.dir("a");
        archive.file("a/f", 0o644, b"hello");
        archive.link("a/l", "f");
        let bytes = archive.finish();
        assert_eq!((bytes.len() % 4, &bytes[..6]), (0, &b"070701"[..]));
        // 110 bytes of header, `a` and its NUL, already a multiple of four.
        assert_eq!(&bytes[110..112], b"a\0");
        assert_eq!(&bytes[112..118], b"070701");
    }
}
