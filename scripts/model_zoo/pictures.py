"""What does a network see that looks like a photograph, or like a line of text, when none is shipped?

Both are drawn from a fixed seed: smooth noise with the 1/f spectrum of photographs, letters of a 5x7 font.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Picture = np.ndarray[Any, np.dtype[np.float32]]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# Rows from top to bottom, five bits each, the leftmost pixel is the highest bit.
FONT = {
    "E": (31, 16, 16, 30, 16, 16, 31),
    "F": (31, 16, 16, 30, 16, 16, 16),
    "G": (14, 17, 16, 23, 17, 17, 14),
    "H": (17, 17, 17, 31, 17, 17, 17),
    "I": (14, 4, 4, 4, 4, 4, 14),
    "R": (30, 17, 17, 30, 20, 18, 17),
    "S": (15, 16, 16, 14, 1, 1, 30),
    "T": (31, 4, 4, 4, 4, 4, 4),
    "U": (17, 17, 17, 17, 17, 17, 14),
    "W": (17, 17, 17, 21, 21, 21, 10),
    " ": (0, 0, 0, 0, 0, 0, 0),
}


def photograph(height: int, width: int, seed: int = 0) -> Picture:
    """A [3, height, width] picture in [0, 1]: coloured 1/f noise with a few flat discs in front of it."""
    rng = np.random.default_rng(seed)
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    falloff = 1.0 / np.maximum(np.hypot(fy, fx), 1.0 / max(height, width))
    planes = []
    common = rng.standard_normal((height, width))
    for _ in range(3):
        noise = common + 0.4 * rng.standard_normal((height, width))
        plane = np.fft.irfft2(np.fft.rfft2(noise) * falloff, s=(height, width))
        planes.append((plane - plane.min()) / (plane.max() - plane.min()))
    picture = np.stack(planes).astype(np.float32)
    y, x = np.mgrid[0:height, 0:width]
    for _ in range(4):
        centre_y, centre_x = rng.uniform(0, height), rng.uniform(0, width)
        inside = np.hypot(y - centre_y, x - centre_x) < rng.uniform(0.06, 0.18) * min(height, width)
        picture[:, inside] = 0.3 * picture[:, inside] + 0.7 * rng.uniform(0, 1, (3, 1)).astype(np.float32)
    return picture


def normalised(picture: Picture) -> Picture:
    """[3, h, w] in [0, 1] -> [1, 3, h, w] as networks trained on ImageNet take it."""
    mean = np.array(IMAGENET_MEAN, np.float32)[:, None, None]
    std = np.array(IMAGENET_STD, np.float32)[:, None, None]
    return ((picture - mean) / std)[None]


def centred(picture: Picture) -> Picture:
    """[3, h, w] in [0, 1] -> [1, 3, h, w] in [-1, 1]."""
    return (2.0 * picture - 1.0)[None].astype(np.float32)


def text_mask(text: str, scale: int) -> Picture:
    """[7*scale, 6*scale*len(text)]: 1 where a letter of `text` is inked, softened at the edges."""
    columns = [np.array([[row >> bit & 1 for bit in (4, 3, 2, 1, 0)] + [0] for row in FONT[c]]) for c in text]
    mask = np.kron(np.concatenate(columns, axis=1), np.ones((scale, scale))).astype(np.float32)
    padded = np.pad(mask, 1)
    height, width = mask.shape
    blurred = sum(padded[i : i + height, j : j + width] for i in range(3) for j in range(3)) / np.float32(9)
    return np.asarray(blurred, np.float32)


def write(picture: Picture, text: str, top: int, left: int, scale: int) -> Picture:
    """A copy of `picture` with `text` inked at (top, left); what falls outside is cut off."""
    mask = text_mask(text, scale)[: picture.shape[1] - top, : picture.shape[2] - left]
    out = picture.copy()
    area = out[:, top : top + mask.shape[0], left : left + mask.shape[1]]
    area *= 1.0 - 0.9 * mask
    return out


def page(height: int, width: int) -> Picture:
    """A bright sheet with lines of text, for text detection."""
    sheet = 0.75 + 0.25 * photograph(height, width, seed=3)
    for line, top in enumerate(range(height // 12, height - 60, height // 7)):
        sheet = write(sheet, "FUSEWRIGHT HERE"[line:], top, 20 + 12 * line, 3 + line % 3)
    return np.asarray(sheet, np.float32)


def text_line(height: int, width: int) -> Picture:
    """One line of text, as a detector cuts it out, for recognition."""
    strip = 0.75 + 0.25 * photograph(height, width, seed=4)
    return np.asarray(write(strip, "FUSEWRIGHT", height // 8, 8, max(1, height * 3 // 4 // 7)), np.float32)
