//! What was done to an image besides resizing it.

/// What was done to an image beyond resizing it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status(pub u32);

impl Status {
    /// It had transparency, which was composited on white.
    pub const ALPHA: u32 = 1;
    /// Its shorter side was less than the set's size.
    pub const ENLARGED: u32 = 2;
    /// It was damaged or cut short, and was kept with what could be decoded of it.
    pub const DAMAGED: u32 = 4;
    /// Its colours were CMYK or YCCK.
    pub const CMYK: u32 = 8;
    /// It was greyscale.
    pub const GREY: u32 = 16;
    /// It had more than 8 bits a channel.
    pub const DEEP: u32 = 32;
    /// Its content was of another type than its name.
    pub const MISNAMED: u32 = 64;
    /// It is a little smaller than the set's size, and was put in the middle of zeros.
    pub const PADDED: u32 = 128;

    /// The flags in words; empty for an image that was just resized.
    pub fn words(self) -> Vec<&'static str> {
        [
            (Self::ALPHA, "transparency on white"),
            (Self::ENLARGED, "enlarged"),
            (Self::DAMAGED, "damaged"),
            (Self::CMYK, "from CMYK"),
            (Self::GREY, "from greyscale"),
            (Self::DEEP, "from 16 bits"),
            (Self::MISNAMED, "misnamed"),
            (Self::PADDED, "padded with zeros"),
        ]
        .into_iter()
        .filter_map(|(flag, word)| (self.0 & flag != 0).then_some(word))
        .collect()
    }
}
