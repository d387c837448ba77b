//! Where the paths of an order lead, so that a shell that shows what was there before is not taken for one that shows what
//! is there now.
//!
//! A mount keeps hold of what it shows, so the number of what was there cannot have become another's. A path that is hidden
//! is not held; for it the time of birth is compared as well.

use std::{fs, io, os::unix::fs::MetadataExt, path::PathBuf, time::SystemTime};

use super::{
    driver::LAUNCH_TIMEOUT,
    order::{Order, SourceKind},
};

/// What each path of an order leads to; `None` where that cannot be known, which is equal to nothing.
#[derive(Debug)]
pub(crate) struct Sights(Option<Vec<Sight>>);

/// Device, number and birth, or why there are none.
type Sight = Result<(u64, u64, Option<SystemTime>), io::ErrorKind>;

impl Sights {
    /// Looks.
    pub(crate) async fn of(order: &Order) -> Self {
        // Devices have no content that could be another's.
        let sources = order.sources.iter().filter(|source| source.kind != SourceKind::Device);
        let paths: Vec<PathBuf> = sources.map(|source| source.path.clone()).collect();
        let looking = tokio::task::spawn_blocking(move || paths.iter().map(look).collect());
        let looked = tokio::time::timeout(LAUNCH_TIMEOUT, looking).await;
        Self(looked.ok().and_then(Result::ok))
    }
}

impl PartialEq for Sights {
    fn eq(&self, other: &Self) -> bool {
        self.0.is_some() && self.0 == other.0
    }
}

fn look(path: &PathBuf) -> Sight {
    let metadata = fs::symlink_metadata(path).map_err(|error| error.kind())?;
    Ok((metadata.dev(), metadata.ino(), metadata.created().ok()))
}

#[cfg(test)]
mod tests {
    use super::{Sights, look};

    #[test]
    fn a_path_that_leads_to_another_file_of_the_same_name_is_another_sight() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("a"), dir.path().join("b"));
        let nothing = look(&path);
        std::fs::write(&path, "1").unwrap();
        let first = look(&path);
        std::fs::write(&path, "22").unwrap();
        assert_eq!(look(&path), first, "a change of what is shown is shown");
        std::fs::write(&other, "1").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert!(look(&path) != first && first != nothing);
    }

    #[test]
    fn what_cannot_be_known_is_equal_to_nothing() {
        assert!(Sights(None) != Sights(None) && Sights(Some(Vec::new())) == Sights(Some(Vec::new())));
    }
}
