"""Writes the images of tests/reference/ and what Pillow makes of them.

    pip install pillow numpy opencv-python-headless
    python tests/reference/make.py

For each NAME.EXT in images/ there is expected/NAME.png: Pillow's full decode, transparency on
white, BILINEAR resize of the shorter side to SIZE (longer side floored), centre crop. Files in
expected-2012/ are OpenCV's INTER_AREA or INTER_CUBIC of the same.
"""

import io
import pathlib

import cv2
import numpy as np
from PIL import Image

SIZE = 64
HERE = pathlib.Path(__file__).parent


def picture(width, height, seed, channels=3):
    """Noise with the spectrum of photographs (amplitude 1/f), colours partly correlated."""
    rng = np.random.default_rng(seed)
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :]
    amplitude = 1 / np.maximum(np.hypot(fy, fx), 1 / max(width, height))
    layers = [np.fft.ifft2(np.fft.fft2(rng.normal(size=(height, width))) * amplitude).real
              for _ in range(channels + 1)]
    mixed = np.stack([layers[0] + 0.6 * layer for layer in layers[1:]], axis=-1)
    mixed = (mixed - mixed.mean()) / mixed.std() * 55 + 128
    return mixed.clip(0, 255).round().astype(np.uint8)


def rgb(width, height, seed):
    return Image.fromarray(picture(width, height, seed))


def alpha_ramp(width, height):
    return Image.fromarray(np.tile(np.linspace(0, 255, width).astype(np.uint8), (height, 1)))


def deep_png(width, height, seed):
    """16 bits a channel, which Pillow reads but does not write."""
    levels = picture(width, height, seed).astype(np.uint16) * 257
    return cv2.imencode(".png", levels[:, :, ::-1])[1].tobytes()


def first_scans(jpeg, count):
    """A progressive JPEG that ends, as if it were whole, after some of its scans."""
    at = 0
    for _ in range(count):
        at = jpeg.index(b"\xff\xda", at) + 2
        while jpeg[at] != 0xFF or jpeg[at + 1] == 0 or 0xD0 <= jpeg[at + 1] <= 0xD7:
            at += 1
    return jpeg[:at] + b"\xff\xd9"


def images():
    """Yields (file name, content)."""

    def encoded(image, format, **options):
        buffer = io.BytesIO()
        image.save(buffer, format, **options)
        return buffer.getvalue()

    yield "wide-420.jpg", encoded(rgb(200, 131, 1), "JPEG", quality=90)
    yield "tall-444.jpg", encoded(rgb(97, 150, 2), "JPEG", quality=92, subsampling=0)
    yield "progressive-422.jpg", encoded(rgb(150, 150, 3), "JPEG", progressive=True, subsampling=1)
    yield "grey.jpg", encoded(rgb(130, 100, 4).convert("L"), "JPEG", quality=90)
    yield "cmyk.jpg", encoded(rgb(120, 90, 5).convert("CMYK"), "JPEG", quality=90)
    yield "small.png", encoded(rgb(40, 30, 6), "PNG")
    yield "trailing-junk.jpg", encoded(rgb(90, 80, 7), "JPEG", quality=90) + b"junk after the end" * 9
    turned = Image.Exif()
    turned[0x0112] = 6
    yield "turned.jpg", encoded(rgb(100, 80, 8), "JPEG", quality=90, exif=turned)
    yield "png-in-disguise.jpg", encoded(rgb(99, 70, 9), "PNG")
    rgba = rgb(100, 70, 10)
    rgba.putalpha(alpha_ramp(100, 70))
    yield "alpha.png", encoded(rgba, "PNG")
    grey_alpha = rgb(80, 100, 11).convert("L")
    grey_alpha.putalpha(alpha_ramp(80, 100))
    yield "grey-alpha.png", encoded(grey_alpha, "PNG")
    palette = rgb(90, 90, 12).quantize(32)
    yield "palette-transparent.png", encoded(palette, "PNG", transparency=3)
    yield "one-bit.png", encoded(rgb(70, 90, 13).convert("1"), "PNG")
    frames = [rgb(80, 70, seed).quantize(64) for seed in (14, 15)]
    yield "animated.gif", encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    yield "one-wide.bmp", encoded(rgb(1, 9, 16), "BMP")
    yield "lossless.webp", encoded(rgb(80, 66, 17), "WEBP", lossless=True)
    yield "deflate.tiff", encoded(rgb(75, 64, 18), "TIFF", compression="tiff_deflate")
    yield "right-size.png", encoded(rgb(64, 64, 19), "PNG")
    # Even widths that fill no whole blocks, the right edge within the crop.
    yield "enlarged-420.jpg", encoded(rgb(38, 50, 20), "JPEG", quality=90)
    yield "enlarged-422.jpg", encoded(rgb(42, 56, 21), "JPEG", quality=85, subsampling=1)
    yield "edge-420.jpg", encoded(rgb(100, 140, 22), "JPEG", quality=90)
    ycck = bytearray(encoded(rgb(90, 80, 23).convert("CMYK"), "JPEG", quality=90))
    ycck[ycck.index(b"Adobe") + 11] = 2
    yield "ycck.jpg", bytes(ycck)
    broken = bytes.fromhex("ffe1 0016 457869660000 49492a00 ffffff7f 010203040506".replace(" ", ""))
    whole = encoded(rgb(90, 80, 24), "JPEG", quality=90)
    yield "broken-exif.jpg", whole[:2] + broken + whole[2:]
    frames = [rgb(80, 70, seed) for seed in (25, 26)]
    yield "animated.webp", encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    yield "animated.png", encoded(frames[0], "PNG", save_all=True, append_images=frames[1:])
    yield "deep.png", deep_png(70, 80, 27)
    yield "first-scans.jpg", first_scans(encoded(rgb(96, 80, 28), "JPEG", progressive=True), 3)


def decoded(content):
    """Pillow's pixels as RGB, transparency on white."""
    image = Image.open(io.BytesIO(content))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def resized_size(image):
    shorter = min(image.size)
    return tuple(SIZE * side // shorter for side in image.size)


def crop(image):
    left, top = ((side - SIZE) // 2 for side in image.size)
    return image.crop((left, top, left + SIZE, top + SIZE))


def resize_2012(image):
    method = cv2.INTER_AREA if min(image.size) > SIZE else cv2.INTER_CUBIC
    return Image.fromarray(cv2.resize(np.asarray(image), resized_size(image), interpolation=method))


def main():
    for folder in ("images", "expected", "expected-2012"):
        (HERE / folder).mkdir(exist_ok=True)
    for name, content in images():
        (HERE / "images" / name).write_bytes(content)
        image, target = decoded(content), name + ".png"
        bilinear = image.resize(resized_size(image), Image.Resampling.BILINEAR)
        crop(bilinear).save(HERE / "expected" / target, optimize=True)
        crop(resize_2012(image)).save(HERE / "expected-2012" / target, optimize=True)


if __name__ == "__main__":
    main()
