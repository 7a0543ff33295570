//! The reader: a set of mapped shards as one list of images.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::format::{self, Record, Status};
use crate::index::{Class, Counts, Index, MEAN_FILE, Split};
use crate::resize::Resize;
use crate::shard::Shard;
use crate::statistics::PrincipalComponents;

/// A packed set, mapped and checked.
///
/// Opening checks everything but the pixels: the index, every shard's header, length and image
/// records, and the mean image, each against its checksum. (`verify` checks the pixels too.)
/// Images are then read without copying, in any order, from any number of threads.
///
/// A shard must not be written to or cut short while a `Dataset` is open: as with any mapped
/// file, the system would end the program on an access to what is no longer there.
pub struct Dataset {
    folder: PathBuf,
    index: Index,
    shards: Vec<Shard>,
    /// The number of the first image of each shard, and the number of all.
    starts: Vec<usize>,
    mean: Option<Vec<f32>>,
}

impl Dataset {
    /// Opens the set in a folder.
    pub fn open(dir: impl AsRef<Path>) -> Result<Dataset, Error> {
        let folder = dir.as_ref().to_path_buf();
        let index = Index::read(&folder)?;
        let mut shards = Vec::with_capacity(index.shards.len());
        let mut starts = vec![0];
        for number in 0..index.shards.len() {
            let shard = open_shard(&folder, &index, number)?;
            starts.push(starts[number] + shard.len());
            shards.push(shard);
        }
        let mean = read_mean(&folder, &index)?;
        Ok(Dataset {
            folder,
            index,
            shards,
            starts,
            mean,
        })
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.starts[self.shards.len()]
    }

    /// Whether there are no images. Packing never makes such a set.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Width and height of every image.
    pub fn size(&self) -> usize {
        self.index.size as usize
    }

    /// The pixels of an image: rows from the top, three bytes R, G, B a pixel.
    ///
    /// # Panics
    /// If `index` is not less than [`Dataset::len`].
    pub fn image(&self, index: usize) -> &[u8] {
        let (shard, at) = self.locate(index);
        shard.image(at)
    }

    /// The label of an image: its class's place in [`Dataset::classes`].
    ///
    /// # Panics
    /// If `index` is not less than [`Dataset::len`].
    pub fn label(&self, index: usize) -> u32 {
        self.record(index).label
    }

    /// The path of an image relative to the source folder.
    ///
    /// # Panics
    /// If `index` is not less than [`Dataset::len`].
    pub fn source(&self, index: usize) -> &str {
        let (shard, at) = self.locate(index);
        shard.source(at)
    }

    /// Width and height that an image had before it was packed.
    ///
    /// # Panics
    /// If `index` is not less than [`Dataset::len`].
    pub fn original_size(&self, index: usize) -> (u32, u32) {
        let record = self.record(index);
        (record.width, record.height)
    }

    /// What was done to an image beyond resizing it.
    ///
    /// # Panics
    /// If `index` is not less than [`Dataset::len`].
    pub fn status(&self, index: usize) -> Status {
        Status(self.record(index).status)
    }

    /// Whether an image's pixels match their checksum.
    ///
    /// # Panics
    /// If `index` is not less than [`Dataset::len`].
    pub fn is_intact(&self, index: usize) -> bool {
        format::checksum(self.image(index)) == self.record(index).checksum
    }

    /// The file that holds an image.
    ///
    /// # Panics
    /// If `index` is not less than [`Dataset::len`].
    pub fn shard_file(&self, index: usize) -> &Path {
        self.locate(index).0.path()
    }

    /// The classes, in label order.
    pub fn classes(&self) -> &[Class] {
        &self.index.classes
    }

    /// The mean image of a training set, laid out as the images are.
    pub fn mean(&self) -> Option<&[f32]> {
        self.mean.as_deref()
    }

    /// Covariance of R, G and B over all pixels of a training set, in squared levels of 0..=255.
    pub fn covariance(&self) -> Option<[[f64; 3]; 3]> {
        self.index
            .statistics
            .as_ref()
            .map(|s| s.moments.covariance())
    }

    /// Principal components of the pixels of a training set.
    pub fn principal_components(&self) -> Option<PrincipalComponents> {
        self.covariance().map(PrincipalComponents::of)
    }

    /// Which part of the data this set is.
    pub fn split(&self) -> Split {
        self.index.split
    }

    /// The resize rule the images were packed with.
    pub fn resize(&self) -> Resize {
        self.index.resize
    }

    /// The decoder of JPEG files the images were packed with.
    pub fn decoder(&self) -> &str {
        &self.index.decoder
    }

    /// The program and version that packed the set.
    pub fn tool(&self) -> &str {
        &self.index.tool
    }

    /// The seed of the order in which the images are packed.
    pub fn seed(&self) -> u64 {
        self.index.seed
    }

    /// Hash of all that decides the content: source names, labels, options. Equal for equal sets.
    pub fn id(&self) -> u64 {
        self.index.set_id
    }

    /// Number of shards.
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// What became of the files of the source.
    pub fn counts(&self) -> Counts {
        self.index.counts
    }

    /// The folder the set was opened from.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn locate(&self, index: usize) -> (&Shard, usize) {
        assert!(
            index < self.len(),
            "image {index} of a set of {}",
            self.len()
        );
        // The last shard that starts at or before the image; empty shards are passed over.
        let shard = self.starts.partition_point(|&start| start <= index) - 1;
        (&self.shards[shard], index - self.starts[shard])
    }

    fn record(&self, index: usize) -> &Record {
        let (shard, at) = self.locate(index);
        &shard.records()[at]
    }
}

/// Opens a shard and checks that it is the one the index speaks of.
pub(crate) fn open_shard(folder: &Path, index: &Index, number: usize) -> Result<Shard, Error> {
    let entry = &index.shards[number];
    let path = folder.join(&entry.file);
    let shard = Shard::map(&path)?;
    let header = &shard.header;
    // Whose shard it is comes first: a foreign one is not "cut short".
    if header.set_id != index.set_id {
        return Err(Error::damaged(&path, "it belongs to another set"));
    }
    if header.shard as usize != number {
        let cause = format!("it is shard {} under the name of {number}", header.shard);
        return Err(Error::damaged(&path, cause));
    }
    shard.check()?;
    let agrees = shard.checksum == entry.checksum
        && (header.images, header.file_bytes, header.size)
            == (entry.images, entry.bytes, index.size)
        && header.class_count as usize == index.classes.len();
    if !agrees {
        return Err(Error::damaged(
            &path,
            "not the shard that the index was written for",
        ));
    }
    Ok(shard)
}

/// Reads the mean image, if the set has one.
pub(crate) fn read_mean(folder: &Path, index: &Index) -> Result<Option<Vec<f32>>, Error> {
    let Some(statistics) = &index.statistics else {
        return Ok(None);
    };
    let path = folder.join(MEAN_FILE);
    let bytes = std::fs::read(&path).map_err(Error::io(&path, "read"))?;
    let expected = index.size as usize * index.size as usize * 3 * 4;
    if bytes.len() != expected {
        let cause = format!("{} bytes where a mean image has {expected}", bytes.len());
        return Err(Error::damaged(&path, cause));
    }
    if format::checksum(&bytes) != statistics.mean_checksum {
        return Err(Error::damaged(
            &path,
            "the mean image does not match its checksum",
        ));
    }
    Ok(Some(bytemuck::pod_collect_to_vec(&bytes)))
}
