//! The reader: a set of shards as one list of images.

use std::hash::Hasher;
use std::path::{Path, PathBuf};

use twox_hash::XxHash3_64;

use super::index::{Class, Counts, Index, MEAN_FILE};
use crate::error::Error;
use crate::pixels::{Crop, Damaged, PrincipalComponents, Resize, Status};
use crate::shard::{Description, Records, Shard, Split, format};

/// A packed set, open and checked.
///
/// Opening checks everything but the pixels: the index, every shard's header, length and image
/// records, and the mean image, each against its checksum. Images are then read in any order, from
/// any number of threads, each against its checksum. A shard that shrinks meanwhile, or a disk that
/// fails, is an error that names the file.
///
/// The shards are mapped. What became of a page that cannot be had is noticed by a handler of SIGBUS,
/// which is installed once and passes on what does not concern it; a program that installs its own
/// later shall do so too.
pub struct Dataset {
    folder: PathBuf,
    index: Index,
    classes: Vec<Class>,
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
            let (shard, _) = open_shard(&folder, &index, number)?;
            starts.push(starts[number] + shard.len());
            shards.push(shard);
        }
        let mean = read_mean(&folder, &index)?;
        let classes = index.classes();
        Ok(Dataset {
            folder,
            index,
            classes,
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
        self.index.description.size as usize
    }

    /// Bytes of an image: rows from the top, three bytes R, G, B a pixel.
    pub fn image_bytes(&self) -> usize {
        self.size() * self.size() * 3
    }

    /// The pixels of an image, checked against their checksum.
    ///
    /// # Panics
    /// If `index` is not less than [`Dataset::len`].
    pub fn image(&self, index: usize) -> Result<Vec<u8>, Error> {
        let mut pixels = vec![0; self.image_bytes()];
        self.read(index, &mut pixels)?;
        Ok(pixels)
    }

    /// Reads the pixels of an image into a buffer, and checks them against their checksum.
    ///
    /// # Panics
    /// If `index` is not less than [`Dataset::len`], or `out` not of [`Dataset::image_bytes`].
    pub fn read(&self, index: usize, out: &mut [u8]) -> Result<(), Error> {
        let side = self.size();
        self.read_crop(index, Crop { y: 0, x: 0, side }, out)
    }

    /// Reads a square of an image into a buffer, and checks the whole image against its checksum.
    ///
    /// # Panics
    /// If `index` is not less than [`Dataset::len`], the square not within the image, or `out` not
    /// of [`Crop::bytes`].
    pub fn read_crop(&self, index: usize, crop: Crop, out: &mut [u8]) -> Result<(), Error> {
        let (shard, at) = self.locate(index);
        let whole = shard.pixels(at, |pixels| {
            // First the checksum: it brings the image into the cache.
            let sum = format::checksum(pixels);
            crop.copy(pixels, self.size(), out);
            sum == shard.checksum_of(at)
        })?;
        if !whole {
            let cause = format!("image {index} of the set does not match its checksum");
            return Err(shard.damaged(cause));
        }
        Ok(())
    }

    /// Tells the system that an image will be read soon, so that a disk can fetch it meanwhile.
    ///
    /// # Panics
    /// If `index` is not less than [`Dataset::len`].
    pub fn prefetch(&self, index: usize) {
        let (shard, at) = self.locate(index);
        shard.prefetch(at);
    }

    /// The label of an image: its class's place in [`Dataset::classes`].
    ///
    /// # Panics
    /// If `index` is not less than [`Dataset::len`].
    pub fn label(&self, index: usize) -> u32 {
        let (shard, at) = self.locate(index);
        shard.label(at)
    }

    /// The path of an image within its source.
    ///
    /// # Panics
    /// If `index` is not less than [`Dataset::len`].
    pub fn source(&self, index: usize) -> Result<String, Error> {
        let (shard, at) = self.locate(index);
        shard.source(at)
    }

    /// Width and height that an image had before it was packed.
    ///
    /// # Panics
    /// If `index` is not less than [`Dataset::len`].
    pub fn original_size(&self, index: usize) -> Result<(u32, u32), Error> {
        let (shard, at) = self.locate(index);
        shard.record(at).map(|record| (record.width, record.height))
    }

    /// What was done to an image beyond resizing it.
    ///
    /// # Panics
    /// If `index` is not less than [`Dataset::len`].
    pub fn status(&self, index: usize) -> Result<Status, Error> {
        let (shard, at) = self.locate(index);
        shard.record(at).map(|record| Status(record.status))
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
        &self.classes
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
        self.index.description.split
    }

    /// The resize rule the images were packed with.
    pub fn resize(&self) -> Resize {
        self.index.description.resize
    }

    /// The decoder of JPEG files the images were packed with.
    pub fn decoder(&self) -> &str {
        &self.index.description.decoder
    }

    /// The program and version that packed the set.
    pub fn tool(&self) -> &str {
        &self.index.description.tool
    }

    /// The seed of the order in which the images are packed.
    pub fn seed(&self) -> u64 {
        self.index.description.seed
    }

    /// What was done with damaged images.
    pub fn damaged(&self) -> Damaged {
        self.index.description.damaged
    }

    /// Hash of all that decides the content: source names, labels, options. Equal for equal sets.
    pub fn id(&self) -> u64 {
        self.index.description.set_id
    }

    /// Hash of the images and labels in their order, whatever they were called and whoever packed them: what a
    /// trainer sees of two sets with the same is the same.
    pub fn content(&self) -> u64 {
        let mut hash = XxHash3_64::new();
        for (shard, at) in (0..self.len()).map(|index| self.locate(index)) {
            hash.write(&shard.label(at).to_le_bytes());
            hash.write(&shard.checksum_of(at).to_le_bytes());
        }
        hash.finish()
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
}

/// Opens a shard and checks that it is the one the index speaks of.
pub(crate) fn open_shard(
    folder: &Path,
    index: &Index,
    number: usize,
) -> Result<(Shard, Records), Error> {
    let entry = &index.shards[number];
    let (shard, records) = open_part(&folder.join(&entry.file), &index.description, number as u32)?;
    let header = &shard.header;
    let agrees = shard.checksum == entry.checksum
        && (header.images, header.file_bytes) == (entry.images, entry.bytes);
    if !agrees {
        return Err(shard.damaged("not the shard that the index was written for"));
    }
    Ok((shard, records))
}

/// Opens a shard and checks that it is the one of this number in the set described.
pub(crate) fn open_part(
    path: &Path,
    set: &Description,
    number: u32,
) -> Result<(Shard, Records), Error> {
    let mut shard = Shard::open(path)?;
    let header = &shard.header;
    // Whose shard it is comes first: a foreign one is not "cut short".
    if header.set_id != set.set_id {
        return Err(shard.damaged("it belongs to another set"));
    }
    if header.shard != number {
        let cause = format!("it is shard {} under the name of {number}", header.shard);
        return Err(shard.damaged(cause));
    }
    let agrees = (header.size, header.split, header.resize, header.seed)
        == (set.size, set.split.id(), set.resize.id(), set.seed)
        && (header.shard_count, header.class_count) == (set.shard_count, set.classes.len() as u32)
        && header.candidates == set.candidates_of(number);
    if !agrees {
        return Err(shard.damaged("its header contradicts the description of the set"));
    }
    let records = shard.load()?;
    Ok((shard, records))
}

/// Reads the mean image, if the set has one.
pub(crate) fn read_mean(folder: &Path, index: &Index) -> Result<Option<Vec<f32>>, Error> {
    let Some(statistics) = &index.statistics else {
        return Ok(None);
    };
    let path = folder.join(MEAN_FILE);
    let bytes = std::fs::read(&path).map_err(Error::io(&path, "read"))?;
    let size = index.description.size as usize;
    let expected = size * size * 3 * 4;
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
